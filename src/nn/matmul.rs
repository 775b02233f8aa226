//! Matrix products, on slices: the one place in the crate with `unsafe` code.
//!
//! The `gemm` crate works on raw pointers and picks the widest vector instructions of the processor
//! at run time. This file checks bounds once, so that nothing outside of it has to.

use gemm::Parallelism;
use std::ops::Range;

/// A matrix seen in a slice: `rows` by `cols`, in row-major order or transposed.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// The row-major matrix that fills `data`.
    ///
    /// # Panics
    ///
    /// If `data` has not exactly `rows * cols` elements.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "a {rows} by {cols} matrix");
        Self {
            data,
            rows,
            cols,
            row_stride: cols,
            col_stride: 1,
        }
    }

    /// The same elements, rows as columns.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.cols
    }

    /// Some of the rows.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn some_rows(self, rows: Range<usize>) -> Self {
        assert!(
            rows.start < rows.end && rows.end <= self.rows,
            "rows of a matrix"
        );
        Self {
            data: &self.data[rows.start * self.row_stride..],
            rows: rows.len(),
            ..self
        }
    }
}

/// What happens to the values that a product finds in its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// They are replaced by the product.
    Overwrite,
    /// The product is added to them.
    Add,
}

/// Computes `left * right` into the row-major `out`, on the calling thread.
///
/// # Panics
///
/// If the shapes do not fit each other.
pub fn matmul(left: Matrix, right: Matrix, out: &mut [f32], destination: Destination) {
    assert_eq!(left.cols, right.rows, "inner dimensions of a product");
    assert_eq!(out.len(), left.rows * right.cols, "size of a product");
    // SAFETY: `Matrix::new` guarantees that the last element of `left` and of `right`, and so each, is
    // within their slices; transposing and taking some rows keep that. The assertions above say the
    // same of `out` and make the three shapes agree. `out` is borrowed mutably, so it overlaps neither.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            left.rows,
            right.cols,
            left.cols,
            out.as_mut_ptr(),
            1,
            right.cols as isize,
            destination == Destination::Add,
            left.data.as_ptr(),
            left.col_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.col_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(left: &[f32], right: &[f32], rows: usize, inner: usize, cols: usize) -> Vec<f32> {
        let mut out = vec![0.0; rows * cols];
        for r in 0..rows {
            for c in 0..cols {
                out[r * cols + c] = (0..inner)
                    .map(|i| left[r * inner + i] * right[i * cols + c])
                    .sum();
            }
        }
        out
    }

    fn transpose(data: &[f32], rows: usize, cols: usize) -> Vec<f32> {
        let mut out = vec![0.0; data.len()];
        for r in 0..rows {
            for c in 0..cols {
                out[c * rows + r] = data[r * cols + c];
            }
        }
        out
    }

    /// A slice with something else before and after it.
    struct Framed(Vec<f32>);

    impl Framed {
        const WIDTH: usize = 64;
        /// Spoils each sum that it gets into.
        const FRAME: f32 = f32::NAN;

        fn new(values: &[f32]) -> Self {
            let frame = [Self::FRAME; Self::WIDTH];
            Self([&frame, values, &frame].concat())
        }

        fn inside(&mut self) -> &mut [f32] {
            let end = self.0.len() - Self::WIDTH;
            &mut self.0[Self::WIDTH..end]
        }

        fn is_whole(&self) -> bool {
            let end = self.0.len() - Self::WIDTH;
            let mut frame = self.0[..Self::WIDTH].iter().chain(&self.0[end..]);
            frame.all(|value| value.to_bits() == Self::FRAME.to_bits())
        }
    }

    #[test]
    fn products_match_the_definition_in_every_orientation_and_touch_nothing_else() {
        for (rows, inner, cols) in [
            (1, 1, 1),
            (3, 5, 2),
            (17, 33, 19),
            (64, 100, 1),
            (1, 70, 65),
        ] {
            let left: Vec<f32> = (0..rows * inner).map(|i| (i % 7) as f32 - 3.0).collect();
            let right: Vec<f32> = (0..inner * cols).map(|i| (i % 5) as f32 - 2.0).collect();
            let expected = naive(&left, &right, rows, inner, cols);
            let (left_t, right_t) = (
                transpose(&left, rows, inner),
                transpose(&right, inner, cols),
            );
            let [mut left, mut left_t] = [left, left_t].map(|values| Framed::new(&values));
            let [mut right, mut right_t] = [right, right_t].map(|values| Framed::new(&values));
            let lefts = [
                Matrix::new(left.inside(), rows, inner),
                Matrix::new(left_t.inside(), inner, rows).transposed(),
            ];
            let rights = [
                Matrix::new(right.inside(), inner, cols),
                Matrix::new(right_t.inside(), cols, inner).transposed(),
            ];
            for l in lefts {
                for r in rights {
                    let mut framed = Framed::new(&vec![f32::NAN; rows * cols]);
                    let out = framed.inside();
                    matmul(l, r, out, Destination::Overwrite);
                    assert_eq!(out, expected);
                    matmul(l, r, out, Destination::Add);
                    let doubled: Vec<f32> = expected.iter().map(|v| v * 2.0).collect();
                    assert_eq!(out, doubled);
                    let first = rows / 2;
                    let some = &mut out[first * cols..];
                    matmul(l.some_rows(first..rows), r, some, Destination::Overwrite);
                    assert_eq!(out[first * cols..], expected[first * cols..]);
                    assert!(framed.is_whole());
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "inner dimensions")]
    fn shapes_that_do_not_fit_are_refused() {
        let data = [0.0; 6];
        let (left, right) = (Matrix::new(&data, 2, 3), Matrix::new(&data, 2, 3));
        matmul(left, right, &mut [0.0; 6], Destination::Overwrite);
    }
}

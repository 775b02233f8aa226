//! Matrix products, on slices: the one place in the crate with `unsafe` code.
//!
//! The `gemm` crate works on raw pointers and picks the widest vector instructions of the processor
//! at run time. This file checks bounds once, so that nothing outside of it has to. What it reads can be asked for ahead
//! ([`prefetch`]), which takes a pointer, too.

use gemm::Parallelism;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Once;

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
        let len = rows.checked_mul(cols);
        assert_eq!(len, Some(data.len()), "a {rows} by {cols} matrix");
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

    /// The values of a row.
    ///
    /// # Panics
    ///
    /// If there are not so many rows, or the matrix is a transposed one.
    pub fn row(&self, row: usize) -> &'a [f32] {
        assert!(row < self.rows && self.col_stride == 1, "row of a matrix");
        &self.data[row * self.row_stride..][..self.cols]
    }

    /// Some of the columns.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn some_columns(self, columns: Range<usize>) -> Self {
        self.transposed().some_rows(columns).transposed()
    }

    /// [`prefetch`]es the values of a row-major matrix. Of rows of some columns, which lie apart, a processor
    /// would not notice by itself that they are read in turn.
    ///
    /// # Panics
    ///
    /// If the matrix is a transposed one.
    pub fn prefetch(&self) {
        for row in 0..self.rows {
            prefetch(self.row(row));
        }
    }
}

/// Values that a line of the cache has, on most processors.
pub const LINE: usize = 16;

/// Asks the processor to bring values into its cache, and does not wait for them. On others than x86-64 it does nothing.
#[inline(always)]
pub fn prefetch(values: &[f32]) {
    for line in values.chunks(LINE) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint. It neither faults nor changes anything, at whatever address, and each x86-64 has it.
        #[allow(unsafe_code)]
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = line;
    }
}

/// A row-major matrix, or some columns of one, to be written.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    first: *mut f32,
    rows: usize,
    cols: usize,
    row_stride: usize,
    values: PhantomData<&'a mut [f32]>,
}

// SAFETY: a matrix is the only way to its values, as `&mut [f32]` is; those can be sent, too.
#[allow(unsafe_code)]
unsafe impl Send for MatrixMut<'_> {}

impl<'a> MatrixMut<'a> {
    /// The matrix of `cols` columns that fills `data`.
    ///
    /// # Panics
    ///
    /// If `data` is no whole number of rows.
    pub fn new(data: &'a mut [f32], cols: usize) -> Self {
        assert!(data.len().is_multiple_of(cols), "rows of {cols} columns");
        Self {
            rows: data.len() / cols,
            cols,
            row_stride: cols,
            first: data.as_mut_ptr(),
            values: PhantomData,
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

    /// The matrix itself, to be used again when what is given is gone.
    pub fn reborrow(&mut self) -> MatrixMut<'_> {
        MatrixMut {
            values: PhantomData,
            ..*self
        }
    }

    /// The first `columns` columns, and the others.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn split_columns(self, columns: usize) -> (Self, Self) {
        assert!(columns <= self.cols, "columns of a matrix");
        let first = Self {
            cols: columns,
            values: PhantomData,
            ..self
        };
        let others = Self {
            first: self.first.wrapping_add(columns),
            cols: self.cols - columns,
            ..self
        };
        (first, others)
    }

    /// The matrix in blocks of `width` columns; the last may have fewer.
    pub fn by_columns(self, width: usize) -> impl ExactSizeIterator<Item = Self> {
        (0..self.cols).step_by(width).map(move |first| Self {
            first: self.first.wrapping_add(first),
            cols: width.min(self.cols - first),
            values: PhantomData,
            ..self
        })
    }

    /// The matrix in blocks of `height` rows and `width` columns, column by column, each with the rows and
    /// columns that it has; the last may have fewer.
    pub fn by_blocks(
        self,
        [height, width]: [usize; 2],
    ) -> impl Iterator<Item = ([Range<usize>; 2], Self)> {
        let blocks = self.by_columns(width).enumerate();
        blocks.flat_map(move |(number, block)| {
            let columns = number * width..number * width + block.cols;
            block
                .by_rows(height)
                .enumerate()
                .map(move |(number, block)| {
                    let rows = number * height..number * height + block.rows;
                    ([rows, columns.clone()], block)
                })
        })
    }

    /// The matrix in blocks of `height` rows; the last may have fewer.
    pub fn by_rows(self, height: usize) -> impl Iterator<Item = Self> {
        (0..self.rows).step_by(height).map(move |first| Self {
            first: self.first.wrapping_add(first * self.row_stride),
            rows: height.min(self.rows - first),
            values: PhantomData,
            ..self
        })
    }

    /// The values of a row.
    ///
    /// # Panics
    ///
    /// If there are not so many rows.
    pub fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "row of a matrix");
        // SAFETY: `MatrixMut::new` takes `rows * row_stride` values, of which these are some, since a block
        // of columns ends where its matrix does. No other block has them, and `self` is borrowed.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(self.first.add(row * self.row_stride), self.cols)
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

/// Computes `left * right` into `out`, on the calling thread.
///
/// # Panics
///
/// If the shapes do not fit each other.
pub fn matmul(left: Matrix, right: Matrix, out: MatrixMut, destination: Destination) {
    assert_eq!(left.cols, right.rows, "inner dimensions of a product");
    let shape = (left.rows, right.cols);
    assert_eq!((out.rows, out.cols), shape, "shape of a product");
    leave_rows_in_place();
    // SAFETY: `Matrix::new` guarantees that the last element of `left` and of `right`, and so each, is
    // within their slices; transposing and taking some rows or columns keep that, as they do for `out`.
    // The assertions above make the three shapes agree. `out` is the only way to its values, so it
    // overlaps neither.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            out.rows,
            out.cols,
            left.cols,
            out.first,
            1,
            out.row_stride as isize,
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

/// Has `gemm` read the rows of `right` where they lie, if they are whole vectors. It would copy them first where `left`
/// has more than some 48 rows, which takes longer than it gains. This holds for candle's products on one thread, too.
fn leave_rows_in_place() {
    static ONCE: Once = Once::new();
    // The most that it takes, and more than its blocks have.
    ONCE.call_once(|| gemm::set_lhs_packing_threshold_single_thread(256));
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
                    matmul(l, r, MatrixMut::new(out, cols), Destination::Overwrite);
                    assert_eq!(out, expected);
                    matmul(l, r, MatrixMut::new(out, cols), Destination::Add);
                    let doubled: Vec<f32> = expected.iter().map(|v| v * 2.0).collect();
                    assert_eq!(out, doubled);
                    let first = rows / 2;
                    let some = MatrixMut::new(&mut out[first * cols..], cols);
                    matmul(l.some_rows(first..rows), r, some, Destination::Overwrite);
                    assert_eq!(out[first * cols..], expected[first * cols..]);
                    for (number, block) in MatrixMut::new(out, cols).by_columns(16).enumerate() {
                        let columns = number * 16..number * 16 + block.columns();
                        matmul(l, r.some_columns(columns), block, Destination::Overwrite);
                    }
                    assert_eq!(out, expected);
                    assert!(framed.is_whole());
                }
            }
        }
    }

    #[test]
    fn blocks_of_columns_are_apart() {
        let mut values: Vec<usize> = (0..5 * 7).collect();
        let mut floats: Vec<f32> = vec![0.0; values.len()];
        let blocks = MatrixMut::new(&mut floats, 7).by_columns(3);
        assert_eq!(blocks.len(), 3);
        for (number, mut block) in blocks.enumerate() {
            assert_eq!((block.rows(), block.columns()), (5, [3, 3, 1][number]));
            for row in 0..5 {
                for (column, value) in block.row(row).iter_mut().enumerate() {
                    *value += (row * 7 + number * 3 + column) as f32;
                }
            }
        }
        let found = floats.iter().map(|&value| value as usize);
        assert!(found.eq(values.drain(..)));
    }

    #[test]
    #[should_panic(expected = "inner dimensions")]
    fn shapes_that_do_not_fit_are_refused() {
        let data = [0.0; 6];
        let (left, right) = (Matrix::new(&data, 2, 3), Matrix::new(&data, 2, 3));
        let mut out = [0.0; 6];
        let out = MatrixMut::new(&mut out, 3);
        matmul(left, right, out, Destination::Overwrite);
    }
}

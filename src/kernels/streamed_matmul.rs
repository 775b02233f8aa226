//! Matrix products whose left factor comes from beyond a core's cache.
//!
//! The `gemm` crate would find out anew how to go about each, and copy a transposed factor first. Here both are read
//! from where they lie, and while some rows of a product are computed, what the left factor has for the next ones is
//! asked for. The right factor is read again for all of them: it should stay in cache.

use super::matmul::{Destination, LINE, Matrix, MatrixMut, prefetch};
use super::register_block::chunk_at;
use pulp::{Arch, Simd, WithSimd};
use std::array::from_fn;

/// The columns of the right factor are a multiple of this, so that its rows are whole vectors.
const COLUMNS: usize = 16;

/// Computes `left * right` into `out`, on the calling thread. Each sum is made in the order of the rows of `right`.
///
/// # Shapes
///
/// - left: (rows, inner)
/// - right: (inner, columns); columns are a multiple of 16
/// - out: (rows, columns)
///
/// # Panics
///
/// If the shapes do not fit each other, or columns are no multiple of 16.
pub fn matmul(left: &[f32], right: &[f32], out: MatrixMut) {
    check_whole_vectors(out.columns());
    let inner = right.len() / out.columns();
    let shape = (out.rows() * inner, inner * out.columns());
    assert_eq!((left.len(), right.len()), shape, "shape of a product");
    Arch::new().dispatch(Product {
        left,
        right,
        inner,
        out,
    });
}

/// Computes `leftᵀ * right` into `out`, on the calling thread. Each sum is made in the order of the rows of `right`, and
/// then added to what is there if it is to be.
///
/// # Shapes
///
/// - left: (inner, rows)
/// - right: (inner, columns); columns are a multiple of 16
/// - out: (rows, columns)
///
/// # Panics
///
/// If the shapes do not fit each other, columns are no multiple of 16, or `left` or `right` is seen transposed.
pub fn matmul_transposed(left: Matrix, right: Matrix, out: MatrixMut, destination: Destination) {
    check_whole_vectors(right.columns());
    assert_eq!(left.rows(), right.rows(), "inner dimensions of a product");
    let shape = (left.columns(), right.columns());
    assert_eq!((out.rows(), out.columns()), shape, "shape of a product");
    Arch::new().dispatch(TransposedProduct {
        left,
        right,
        out,
        destination,
    });
}

fn check_whole_vectors(columns: usize) {
    assert!(
        columns > 0 && columns.is_multiple_of(COLUMNS),
        "{columns} columns are no whole vectors"
    );
}

/// A product by blocks of few rows and vectors, whose sums stay in registers.
trait Blocks: Sized {
    /// Computes the block of `R` rows from `row` on and `V` vectors from `first` on, and tells how many vectors.
    fn block<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        first: usize,
    ) -> usize;

    /// Computes all blocks of `rows` rows and `columns` columns.
    #[inline(always)]
    fn all<S: Simd>(&mut self, simd: S, rows: usize, columns: usize) {
        let vectors = columns / S::F32_LANES;
        let mut row = 0;
        while row < rows {
            row += match rows - row {
                6.. => self.rows::<S, 6>(simd, row, vectors),
                4.. => self.rows::<S, 4>(simd, row, vectors),
                2.. => self.rows::<S, 2>(simd, row, vectors),
                _ => self.rows::<S, 1>(simd, row, vectors),
            }
        }
    }

    /// Computes the blocks of `R` rows, and tells how many rows.
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(&mut self, simd: S, row: usize, vectors: usize) -> usize {
        let mut first = 0;
        while first < vectors {
            first += match vectors - first {
                4.. if S::REGISTER_COUNT >= 32 => self.block::<S, R, 4>(simd, row, first),
                2.. => self.block::<S, R, 2>(simd, row, first),
                _ => self.block::<S, R, 1>(simd, row, first),
            }
        }
        R
    }
}

struct Product<'a> {
    left: &'a [f32],
    right: &'a [f32],
    inner: usize,
    out: MatrixMut<'a>,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        self.all(simd, self.out.rows(), self.out.columns());
    }
}

impl Blocks for Product<'_> {
    #[inline(always)]
    fn block<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        first: usize,
    ) -> usize {
        let vectors = self.out.columns() / S::F32_LANES;
        // As long as each other, and no row of `right` beyond that, for one check to do for all of them.
        let left: [&[f32]; R] = from_fn(|r| &self.left[(row + r) * self.inner..][..self.inner]);
        // With the first vectors it is asked for; with the others it is there.
        let next = match first {
            0 => &self.left[(row + R) * self.inner..],
            _ => &[],
        };
        let next = &next[..next.len().min(R * self.inner)];
        let (right, _) = S::as_simd_f32s(self.right);
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        for (index, right) in right.chunks_exact(vectors).enumerate().take(self.inner) {
            prefetch_at(next, index * LINE);
            let left = left.map(|left| &left[index]);
            add_outer_product(simd, left, *chunk_at(right, first), &mut sums);
        }
        for (r, sums) in sums.iter().enumerate() {
            let (out, _) = S::as_mut_simd_f32s(self.out.row(row + r));
            out[first..][..V].copy_from_slice(sums);
        }
        V
    }
}

struct TransposedProduct<'a> {
    left: Matrix<'a>,
    right: Matrix<'a>,
    out: MatrixMut<'a>,
    destination: Destination,
}

impl WithSimd for TransposedProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        self.all(simd, self.out.rows(), self.out.columns());
    }
}

impl Blocks for TransposedProduct<'_> {
    #[inline(always)]
    fn block<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        first: usize,
    ) -> usize {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        for index in 0..self.right.rows() {
            let left = self.left.row(index);
            prefetch_at(left, row + LINE);
            let (right, _) = S::as_simd_f32s(self.right.row(index));
            let left = chunk_at(left, row).each_ref();
            add_outer_product(simd, left, *chunk_at(right, first), &mut sums);
        }
        for (r, sums) in sums.iter().enumerate() {
            let (out, _) = S::as_mut_simd_f32s(self.out.row(row + r));
            for (out, sum) in out[first..][..V].iter_mut().zip(sums) {
                *out = match self.destination {
                    Destination::Overwrite => *sum,
                    Destination::Add => simd.add_f32s(*out, *sum),
                };
            }
        }
        V
    }
}

/// Adds to `sums` the products of some values and the vectors of a row.
///
/// The values come as places, which leaves the compiler one of them at a time to hold. Where it got them as numbers, before
/// the row, it could take a register for each of them, and put sums on the stack.
///
/// The loop in [`super::register_block`] does the same; made one with this, it is compiled to something slower.
#[inline(always)]
fn add_outer_product<S: Simd, const R: usize, const V: usize>(
    simd: S,
    values: [&f32; R],
    row: [S::f32s; V],
    sums: &mut [[S::f32s; V]; R],
) {
    for (sums, value) in sums.iter_mut().zip(values) {
        let value = simd.splat_f32s(*value);
        for (sum, vector) in sums.iter_mut().zip(row) {
            *sum = simd.mul_add_e_f32s(value, vector, *sum);
        }
    }
}

/// Asks for the line of the cache with one of the values, if there are so many.
#[inline(always)]
fn prefetch_at(values: &[f32], index: usize) {
    if let Some(value) = values.get(index) {
        prefetch(std::slice::from_ref(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::Scalar;

    /// Whole numbers, so that sums are exact with any instructions.
    fn values(len: usize, seed: usize) -> Vec<f32> {
        let value = |i: usize| ((i * 7 + seed) % 11) as f32 - 5.0;
        (0..len).map(value).collect()
    }

    /// Calls `check` with a product of each shape: rows, inner, columns, both factors, and what it should be.
    fn each_product(check: impl Fn([usize; 3], &[f32], &[f32], &[f32])) {
        for shape in [
            [0, 5, 16],
            [3, 0, 16],
            [1, 1, 16],
            [4, 128, 64],
            [9, 30, 48],
            [16, 64, 128],
            [23, 5, 112],
            [35, 200, 80],
        ] {
            let [rows, inner, columns] = shape;
            let (left, right) = (values(rows * inner, 1), values(inner * columns, 2));
            let sum = |index: usize| {
                let (row, column) = (index / columns, index % columns);
                let products =
                    (0..inner).map(|i| left[row * inner + i] * right[i * columns + column]);
                products.sum()
            };
            let expected: Vec<f32> = (0..rows * columns).map(sum).collect();
            check(shape, &left, &right, &expected);
        }
    }

    /// Runs a product with each kind of instructions that there is.
    macro_rules! with_any_instructions {
        ($run:expr) => {
            $run(&|product| Arch::new().dispatch(product));
            $run(&|product| product.with_simd(Scalar));
            #[cfg(target_arch = "x86_64")]
            if let Some(avx2) = pulp::x86::V3::try_new() {
                $run(&|product| Simd::vectorize(avx2, product));
            }
        };
    }

    #[test]
    fn products_of_all_sizes_match_the_definition_with_any_instructions() {
        each_product(|[rows, inner, columns], left, right, expected| {
            let mut out = vec![f32::NAN; rows * columns];
            let mut check = |run: &dyn Fn(Product)| {
                out.fill(f32::NAN);
                run(Product {
                    left,
                    right,
                    inner,
                    out: MatrixMut::new(&mut out, columns),
                });
                assert_eq!(out, expected, "{rows} {inner} {columns}");
            };
            with_any_instructions!(check);
        });
    }

    #[test]
    fn transposed_products_match_the_definition_with_any_instructions() {
        each_product(|[rows, inner, columns], left, right, expected| {
            let mut transposed = vec![0.0; left.len()];
            for (index, value) in left.iter().enumerate() {
                transposed[index % inner * rows + index / inner] = *value;
            }
            let left = Matrix::new(&transposed, inner, rows);
            let right = Matrix::new(right, inner, columns);
            let doubled: Vec<f32> = expected.iter().map(|value| value * 2.0).collect();
            let mut out = vec![f32::NAN; rows * columns];
            let mut check = |run: &dyn Fn(TransposedProduct)| {
                out.fill(f32::NAN);
                for (destination, expected) in [
                    (Destination::Overwrite, expected),
                    (Destination::Add, &doubled),
                ] {
                    run(TransposedProduct {
                        left,
                        right,
                        out: MatrixMut::new(&mut out, columns),
                        destination,
                    });
                    assert_eq!(out, expected, "{rows} {inner} {columns}");
                }
            };
            with_any_instructions!(check);
            // Some columns of wider matrices, which lie apart.
            if rows > 1 && inner > 0 {
                let mut wider = vec![7.0; (rows - 1) * 2 * columns];
                let (to, _) = MatrixMut::new(&mut wider, 2 * columns).split_columns(columns);
                let some = left.some_columns(1..rows);
                matmul_transposed(some, right, to, Destination::Overwrite);
                for (found, expected) in wider
                    .chunks(2 * columns)
                    .zip(expected[columns..].chunks(columns))
                {
                    assert_eq!(found[..columns], *expected);
                    assert!(found[columns..].iter().all(|beyond| *beyond == 7.0));
                }
            }
        });
    }

    #[test]
    #[should_panic(expected = "7 columns are no whole vectors")]
    fn columns_that_are_no_whole_vectors_are_refused() {
        matmul(&[0.0; 3], &[0.0; 21], MatrixMut::new(&mut [0.0; 7], 7));
    }

    #[test]
    #[should_panic(expected = "shape of a product")]
    fn factors_that_do_not_fit_are_refused() {
        matmul(&[0.0; 6], &[0.0; 32], MatrixMut::new(&mut [0.0; 16], 16));
    }

    #[test]
    #[should_panic(expected = "inner dimensions")]
    fn transposed_factors_that_do_not_fit_are_refused() {
        let (left, right) = ([0.0; 6], [0.0; 32]);
        let (left, right) = (Matrix::new(&left, 3, 2), Matrix::new(&right, 2, 16));
        let to = &mut [0.0; 32];
        matmul_transposed(left, right, MatrixMut::new(to, 16), Destination::Overwrite);
    }
}

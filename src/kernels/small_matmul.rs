//! Products of some rows with a matrix that stays in a core's first-level cache.
//!
//! The `gemm` crate finds out for each product how to go about it, which takes a tenth of the time of these, and more
//! where there are few rows.

use super::register_block::chunk_at;
use pulp::{Arch, Simd, WithSimd};
use std::array::from_fn;

/// The values of a matrix that has columns by so many are whole vectors.
const COLUMNS: usize = 16;
/// Values of a matrix that stays in a usual core's first-level cache, with what is multiplied by it.
const MOST: usize = 8 * 1024;

/// Whether [`matmul`] is the faster one for products with a matrix of so many rows and columns.
pub fn is_small(rows: usize, columns: usize) -> bool {
    rows * columns <= MOST && columns.is_multiple_of(COLUMNS)
}

/// Computes `left * right` into `out`, on the calling thread. Each sum is made in the order of the rows of `right`.
///
/// # Shapes
///
/// - left: (rows, inner)
/// - right: (inner, columns), which [is small](is_small)
/// - out: (rows, columns)
pub fn matmul(left: &[f32], right: &[f32], columns: usize, out: &mut [f32]) {
    assert!(
        columns.is_multiple_of(COLUMNS),
        "{columns} are no whole vectors"
    );
    let inner = right.len() / columns;
    assert_eq!(
        left.len() * columns,
        out.len() * inner,
        "shape of a product"
    );
    Arch::new().dispatch(Product {
        left,
        right,
        inner,
        columns,
        out,
    });
}

struct Product<'a> {
    left: &'a [f32],
    right: &'a [f32],
    inner: usize,
    columns: usize,
    out: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let rows = self.left.len() / self.inner;
        let mut row = 0;
        while row < rows {
            row += match rows - row {
                6.. => self.rows::<S, 6>(simd, row),
                4.. => self.rows::<S, 4>(simd, row),
                2.. => self.rows::<S, 2>(simd, row),
                _ => self.rows::<S, 1>(simd, row),
            }
        }
    }
}

impl Product<'_> {
    /// Computes `R` rows of `out`, and tells how many.
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(&mut self, simd: S, row: usize) -> usize {
        let vectors = self.columns / S::F32_LANES;
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

    /// Computes `V` vectors of them, and tells how many.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        first: usize,
    ) -> usize {
        let vectors = self.columns / S::F32_LANES;
        // As long as each other, for one check to do for all of them.
        let left: [&[f32]; R] = from_fn(|r| &self.left[(row + r) * self.inner..][..self.inner]);
        let (right, _) = S::as_simd_f32s(self.right);
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        for (index, right) in right.chunks_exact(vectors).enumerate().take(self.inner) {
            let right: &[_; V] = chunk_at(right, first);
            for (sums, left) in sums.iter_mut().zip(left) {
                let left = simd.splat_f32s(left[index]);
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = simd.mul_add_e_f32s(left, *right, *sum);
                }
            }
        }
        let (out, _) = S::as_mut_simd_f32s(self.out);
        for (r, sums) in sums.iter().enumerate() {
            out[(row + r) * vectors + first..][..V].copy_from_slice(sums);
        }
        V
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_all_sizes_match_the_definition() {
        for (rows, inner, columns) in [
            (1, 1, 16),
            (4, 128, 64),
            (9, 30, 48),
            (16, 64, 128),
            (23, 5, 112),
        ] {
            assert!(is_small(inner, columns));
            let values = |len: usize, seed: usize| -> Vec<f32> {
                (0..len)
                    .map(|i| ((i * 7 + seed) % 11) as f32 - 5.0)
                    .collect()
            };
            let (left, right) = (values(rows * inner, 1), values(inner * columns, 2));
            let mut out = vec![f32::NAN; rows * columns];
            matmul(&left, &right, columns, &mut out);
            for (index, found) in out.into_iter().enumerate() {
                let (row, column) = (index / columns, index % columns);
                let products =
                    (0..inner).map(|i| left[row * inner + i] * right[i * columns + column]);
                assert_eq!(
                    found,
                    products.sum::<f32>(),
                    "{rows} {inner} {columns} {index}"
                );
            }
        }
    }
}

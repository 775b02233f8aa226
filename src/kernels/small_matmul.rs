//! Products of some rows with a small matrix.
//!
//! The `gemm` crate finds out for each product how to go about it, which takes a tenth of the time of these, and more
//! where there are few rows.

use super::register_block::chunk_at;
use pulp::{Arch, Simd, WithSimd};
use std::array::from_fn;

/// The values of a matrix that has columns by so many are whole vectors.
const COLUMNS: usize = 16;
/// Values of a matrix up to which these products are faster than those of `gemm`, as measured: 32 KiB, which stay in
/// the first-level cache or nearly.
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
        columns > 0 && columns.is_multiple_of(COLUMNS),
        "{columns} columns are no whole vectors"
    );
    let (rows, inner) = (out.len() / columns, right.len() / columns);
    let shape = (rows * inner, inner * columns, rows * columns);
    assert_eq!(
        (left.len(), right.len(), out.len()),
        shape,
        "shape of a product"
    );
    Arch::new().dispatch(Product {
        left,
        right,
        rows,
        inner,
        columns,
        out,
    });
}

struct Product<'a> {
    left: &'a [f32],
    right: &'a [f32],
    rows: usize,
    inner: usize,
    columns: usize,
    out: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut row = 0;
        while row < self.rows {
            row += match self.rows - row {
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
        // As long as each other, and no row of `right` beyond that, for one check to do for all of them.
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
    use pulp::Scalar;

    /// Whole numbers, so that sums are exact with any instructions.
    fn values(len: usize, seed: usize) -> Vec<f32> {
        let value = |i: usize| ((i * 7 + seed) % 11) as f32 - 5.0;
        (0..len).map(value).collect()
    }

    #[test]
    fn products_of_all_sizes_match_the_definition_with_any_instructions() {
        for (rows, inner, columns) in [
            (0, 5, 16),
            (3, 0, 16),
            (1, 1, 16),
            (4, 128, 64),
            (9, 30, 48),
            (16, 64, 128),
            (23, 5, 112),
        ] {
            assert!(is_small(inner, columns));
            let (left, right) = (values(rows * inner, 1), values(inner * columns, 2));
            let expected: Vec<f32> = (0..rows * columns)
                .map(|index| {
                    let (row, column) = (index / columns, index % columns);
                    let products =
                        (0..inner).map(|i| left[row * inner + i] * right[i * columns + column]);
                    products.sum()
                })
                .collect();
            let mut out = vec![f32::NAN; rows * columns];
            matmul(&left, &right, columns, &mut out);
            assert_eq!(out, expected, "{rows} {inner} {columns}");
            let mut check = |run: &dyn Fn(Product)| {
                out.fill(f32::NAN);
                run(Product {
                    left: &left,
                    right: &right,
                    rows,
                    inner,
                    columns,
                    out: &mut out,
                });
                assert_eq!(out, expected, "{rows} {inner} {columns}");
            };
            check(&|product| product.with_simd(Scalar));
            #[cfg(target_arch = "x86_64")]
            if let Some(avx2) = pulp::x86::V3::try_new() {
                check(&|product| Simd::vectorize(avx2, product));
            }
        }
    }
}

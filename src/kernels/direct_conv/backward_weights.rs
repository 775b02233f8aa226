//! The gradient of the weights.

use super::places::{kernel_row, padded_row, place_step};
use crate::kernels::geometry::{Geometry, Grid};
use crate::kernels::padding::PaddedGrid;
use crate::kernels::register_block::chunk_at;
use crate::kernels::scratch::with_scratch;
use pulp::{Arch, Simd, WithSimd};

/// `Pᵀ S`, the gradient of `Wᵀ`.
pub fn backward_weights(geometry: &Geometry, large: &[f32], small: &[f32]) -> Vec<f32> {
    let padding = PaddedGrid::of(geometry);
    let mut gradient = vec![0.0; geometry.patch_len() * geometry.small[2]];
    with_scratch(padding.padded_len(), |padded| {
        padded.fill(0.0);
        let images = large.chunks_exact(geometry.values(Grid::Large));
        for (large, small) in images.zip(small.chunks_exact(geometry.values(Grid::Small))) {
            padding.pad(large, padded);
            Arch::new().dispatch(BackwardWeights {
                geometry,
                padded,
                small,
                gradient: &mut gradient,
            });
        }
    });
    gradient
}

struct BackwardWeights<'a> {
    geometry: &'a Geometry,
    padded: &'a [f32],
    small: &'a [f32],
    gradient: &'a mut [f32],
}

impl WithSimd for BackwardWeights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let row_len = kernel_row(self.geometry);
        for row in 0..self.geometry.kernel {
            let mut tap = 0;
            while tap < row_len {
                let taps = match row_len - tap {
                    left if left.is_multiple_of(6) => 6,
                    4.. => 4,
                    _ => 1,
                };
                match taps {
                    6 => self.taps::<S, 6>(simd, row, tap),
                    4 => self.taps::<S, 4>(simd, row, tap),
                    _ => self.taps::<S, 1>(simd, row, tap),
                }
                tap += taps;
            }
        }
    }
}

impl BackwardWeights<'_> {
    #[inline(always)]
    fn taps<S: Simd, const T: usize>(&mut self, simd: S, row: usize, tap: usize) {
        let vectors = self.geometry.small[2] / S::F32_LANES;
        let pairs = vectors / 2 * 2;
        for vector in (0..pairs).step_by(2) {
            self.vectors::<S, T, 2>(simd, row, tap, vector);
        }
        for vector in pairs..vectors {
            self.vectors::<S, T, 1>(simd, row, tap, vector);
        }
    }

    /// `T` taps of a row, `V` vectors of channels.
    #[inline(always)]
    fn vectors<S: Simd, const T: usize, const V: usize>(
        &mut self,
        simd: S,
        tap_row: usize,
        tap: usize,
        vector: usize,
    ) {
        let [rows, columns, channels] = self.geometry.small;
        let (row_len, step) = (kernel_row(self.geometry), place_step(self.geometry));
        let vectors = channels / S::F32_LANES;
        let (small, _) = S::as_simd_f32s(self.small);
        let mut sums = [[simd.splat_f32s(0.0); V]; T];
        for row in 0..rows {
            let from = padded_row(self.geometry, self.padded, row, tap_row);
            let from = from[tap..].windows(T).step_by(step);
            let values = small[row * columns * vectors..].chunks_exact(vectors);
            for (from, values) in from.zip(values).take(columns) {
                let (from, values): (&[_; T], &[_; V]) =
                    (chunk_at(from, 0), chunk_at(values, vector));
                for (sums, from) in sums.iter_mut().zip(from) {
                    let from = simd.splat_f32s(*from);
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = simd.mul_add_e_f32s(from, *value, *sum);
                    }
                }
            }
        }
        let (gradient, _) = S::as_mut_simd_f32s(self.gradient);
        for (number, sums) in sums.iter().enumerate() {
            let first = (tap_row * row_len + tap + number) * vectors + vector;
            for (to, sum) in gradient[first..].iter_mut().zip(sums) {
                *to = simd.add_f32s(*to, *sum);
            }
        }
    }
}

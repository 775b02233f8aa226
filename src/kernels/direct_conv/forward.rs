//! From large grids to small ones.

use super::places::{kernel_row, padded_row, place_step, places_at_a_time};
use crate::kernels::geometry::{Geometry, Grid};
use crate::kernels::padding::PaddedGrid;
use crate::kernels::register_block::{Columns, add_products};
use crate::kernels::scratch::with_scratch;
use pulp::{Arch, Simd, WithSimd};

/// `small = P Wᵀ`. `epilogue` is called on each image while it is in cache. `weight` is `Wᵀ`.
pub fn forward(
    geometry: &Geometry,
    large: &[f32],
    weight: &[f32],
    small: &mut [f32],
    epilogue: impl Fn(&mut [f32]),
) {
    let padding = PaddedGrid::of(geometry);
    with_scratch(padding.padded_len(), |padded| {
        padded.fill(0.0);
        let images = large.chunks_exact(geometry.values(Grid::Large));
        for (large, small) in images.zip(small.chunks_exact_mut(geometry.values(Grid::Small))) {
            padding.pad(large, padded);
            Arch::new().dispatch(Forward {
                geometry,
                padded,
                weight,
                small,
            });
            epilogue(small);
        }
    });
}

struct Forward<'a> {
    geometry: &'a Geometry,
    padded: &'a [f32],
    weight: &'a [f32],
    small: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let [rows, columns, _] = self.geometry.small;
        for row in 0..rows {
            let mut column = 0;
            while column < columns {
                let places = places_at_a_time(columns - column);
                match places {
                    8 => self.places::<S, 8>(simd, row, column),
                    7 => self.places::<S, 7>(simd, row, column),
                    4 => self.places::<S, 4>(simd, row, column),
                    _ => self.places::<S, 1>(simd, row, column),
                }
                column += places;
            }
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn places<S: Simd, const P: usize>(&mut self, simd: S, row: usize, column: usize) {
        let vectors = self.geometry.small[2] / S::F32_LANES;
        let pairs = vectors / 2 * 2;
        for vector in (0..pairs).step_by(2) {
            self.vectors::<S, P, 2>(simd, row, column, vector);
        }
        for vector in pairs..vectors {
            self.vectors::<S, P, 1>(simd, row, column, vector);
        }
    }

    /// `P` places, `V` vectors of channels.
    #[inline(always)]
    fn vectors<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
        vector: usize,
    ) {
        let [_, columns, channels] = self.geometry.small;
        let vectors = channels / S::F32_LANES;
        let first = (row, column, vector);
        let mut sums = [[simd.splat_f32s(0.0); V]; P];
        // The same for all; with numbers that it knows, the compiler checks a block's places at once. These are those
        // of usual kernels, of 4 with stride 2, on grey and on colours; for blocks of few places it is not worth it.
        match (kernel_row(self.geometry), place_step(self.geometry)) {
            (4, 2) if P > 4 => self.add_taps(simd, first, 4, 2, &mut sums),
            (12, 6) if P > 4 => self.add_taps(simd, first, 12, 6, &mut sums),
            (taps, step) => self.add_taps(simd, first, taps, step, &mut sums),
        }
        let (small, _) = S::as_mut_simd_f32s(self.small);
        let small = &mut small[(row * columns + column) * vectors..][..P * vectors];
        for (place, sums) in sums.iter().enumerate() {
            small[place * vectors + vector..][..V].copy_from_slice(sums);
        }
    }

    /// Adds to `sums` what all taps give: rows of `taps` values, each place `step` further than the one before.
    #[inline(always)]
    fn add_taps<S: Simd, const P: usize, const V: usize>(
        &self,
        simd: S,
        (row, column, vector): (usize, usize, usize),
        taps: usize,
        step: usize,
        sums: &mut [[S::f32s; V]; P],
    ) {
        let vectors = self.geometry.small[2] / S::F32_LANES;
        let (weight, _) = S::as_simd_f32s(self.weight);
        let weight_rows = weight.chunks_exact(taps * vectors);
        for (tap_row, weight) in weight_rows.enumerate() {
            let from = &padded_row(self.geometry, self.padded, row, tap_row)[column * step..];
            let weight = Columns {
                values: weight,
                row_len: vectors,
                first: vector,
            };
            add_products(simd, from, step, weight, taps, sums);
        }
    }
}

//! From small grids to large ones.

use super::places::{MOST_PLACES, kernel_row, padded_row_len, place_step, places_at_a_time};
use crate::kernels::geometry::{Geometry, Grid};
use crate::kernels::padding::PaddedGrid;
use crate::kernels::register_block::{Columns, add_products, chunk_at};
use crate::kernels::scratch::with_scratch;
use pulp::{Arch, Simd, WithSimd};
use std::array::from_fn;

/// `large = S W`, its patches added up. `weight` is `W`.
pub fn backward_data(geometry: &Geometry, small: &[f32], weight: &[f32], large: &mut [f32]) {
    let padding = PaddedGrid::of(geometry);
    let patches = MOST_PLACES * geometry.patch_len();
    with_scratch(padding.padded_len() + patches, |scratch| {
        let (patches, padded) = scratch.split_at_mut(patches);
        let images = large.chunks_exact_mut(geometry.values(Grid::Large));
        for (large, small) in images.zip(small.chunks_exact(geometry.values(Grid::Small))) {
            padded.fill(0.0);
            Arch::new().dispatch(BackwardData {
                geometry,
                small,
                weight,
                patches,
                padded,
            });
            padding.crop(padded, large);
        }
    });
}

struct BackwardData<'a> {
    geometry: &'a Geometry,
    small: &'a [f32],
    weight: &'a [f32],
    /// Those of the places that are handled at a time.
    patches: &'a mut [f32],
    padded: &'a mut [f32],
}

impl WithSimd for BackwardData<'_> {
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

impl BackwardData<'_> {
    #[inline(always)]
    fn places<S: Simd, const P: usize>(&mut self, simd: S, row: usize, column: usize) {
        let vectors = self.geometry.patch_len() / S::F32_LANES;
        let pairs = vectors / 2 * 2;
        for vector in (0..pairs).step_by(2) {
            self.vectors::<S, P, 2>(simd, row, column, vector);
        }
        for vector in pairs..vectors {
            self.vectors::<S, P, 1>(simd, row, column, vector);
        }
        // One by one, for the compiler to know how many values there are.
        match (place_step(self.geometry), kernel_row(self.geometry)) {
            (2, 4) => self.add_halves::<P, 2, 4>([row, column]),
            (6, 12) => self.add_halves::<P, 6, 12>([row, column]),
            _ => self.add_any_patches(P, [row, column]),
        }
    }

    /// The patches of `P` places, `V` vectors of taps.
    #[inline(always)]
    fn vectors<S: Simd, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
        vector: usize,
    ) {
        let [_, columns, channels] = self.geometry.small;
        let vectors = self.geometry.patch_len() / S::F32_LANES;
        let (weight, _) = S::as_simd_f32s(self.weight);
        let weight = Columns {
            values: weight,
            row_len: vectors,
            first: vector,
        };
        let small = &self.small[(row * columns + column) * channels..];
        let mut sums = [[simd.splat_f32s(0.0); V]; P];
        // The same for all; with usual channels, which it knows, the compiler checks a block's places at once. For
        // blocks of few places it is not worth it.
        match channels {
            32 if P > 4 => add_products(simd, small, 32, weight, 32, &mut sums),
            64 if P > 4 => add_products(simd, small, 64, weight, 64, &mut sums),
            _ => add_products(simd, small, channels, weight, channels, &mut sums),
        }
        let (patches, _) = S::as_mut_simd_f32s(self.patches);
        let patches = &mut patches[..P * vectors];
        for (place, sums) in sums.iter().enumerate() {
            patches[place * vectors + vector..][..V].copy_from_slice(sums);
        }
    }

    /// Adds the patches of some places, from the `first` on, to the padded grid. A row of the kernel has `ROW` values, half of
    /// which, `STEP`, the next place has, too. Where places meet, what each gives is added from left to right.
    #[inline(always)]
    fn add_halves<const P: usize, const STEP: usize, const ROW: usize>(
        &mut self,
        [row, column]: [usize; 2],
    ) {
        let Geometry { kernel, stride, .. } = *self.geometry;
        let patches = &self.patches[..P * kernel * ROW];
        for tap_row in 0..kernel {
            let at = (row * stride + tap_row) * padded_row_len(self.geometry) + column * STEP;
            let to = &mut self.padded[at..][..(P + 1) * STEP];
            let (to, _) = to.as_chunks_mut::<STEP>();
            let mut before = [0.0; STEP];
            for (place, to) in to[..P].iter_mut().enumerate() {
                let patch: &[f32; ROW] = chunk_at(patches, (place * kernel + tap_row) * ROW);
                *to = from_fn(|value| to[value] + before[value] + patch[value]);
                before = from_fn(|value| patch[STEP + value]);
            }
            let last = &mut to[P];
            *last = from_fn(|value| last[value] + before[value]);
        }
    }

    /// The same for any kernel that the stride divides.
    #[inline(always)]
    fn add_any_patches(&mut self, places: usize, first: [usize; 2]) {
        match place_step(self.geometry) {
            2 => self.add_patches::<2>(places, 2, first),
            6 => self.add_patches::<6>(places, 6, first),
            step if step.is_multiple_of(4) => self.add_patches::<4>(places, step, first),
            step => self.add_patches::<1>(places, step, first),
        }
    }

    /// Adds the patches of some places, from the `first` on, to the padded grid, `N` of the values from a place to the next
    /// at a time. Where places meet, what each gives is added from left to right.
    #[inline(always)]
    fn add_patches<const N: usize>(&mut self, places: usize, step: usize, first: [usize; 2]) {
        let [row, column] = first;
        let Geometry { kernel, stride, .. } = *self.geometry;
        let (patch_len, taps) = (self.geometry.patch_len(), kernel / stride);
        let row_len = taps * step;
        for tap_row in 0..kernel {
            let at = (row * stride + tap_row) * padded_row_len(self.geometry) + column * step;
            let to = &mut self.padded[at..][..(places - 1) * step + row_len];
            for (number, to) in to.chunks_exact_mut(step).enumerate() {
                for (part, to) in to.as_chunks_mut::<N>().0.iter_mut().enumerate() {
                    let mut sum = *to;
                    for place in (number + 1).saturating_sub(taps)..places.min(number + 1) {
                        let tap = tap_row * row_len + (number - place) * step + part * N;
                        let from: &[_; N] = chunk_at(self.patches, place * patch_len + tap);
                        sum = from_fn(|value| sum[value] + from[value]);
                    }
                    *to = sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{backward_weights, forward, has_blocks_of_taps, has_few_channels};
    use super::*;

    fn values(len: usize, seed: usize) -> Vec<f32> {
        let value = |i: usize| ((i * 7 + seed) % 11) as f32 - 5.0;
        (0..len).map(value).collect()
    }

    /// Calls `visit(tap, place on the small grid, value of the large grid)` wherever a tap meets a pixel.
    fn for_taps(geometry: &Geometry, mut visit: impl FnMut(usize, usize, usize)) {
        let Geometry {
            large: [large_rows, large_columns, channels],
            small: [rows, columns, _],
            kernel,
            stride,
            pad,
        } = *geometry;
        for place in 0..rows * columns {
            for tap in 0..kernel * kernel {
                let row = place / columns * stride + tap / kernel;
                let column = place % columns * stride + tap % kernel;
                let inside = (pad[0]..pad[0] + large_rows).contains(&row)
                    && (pad[1]..pad[1] + large_columns).contains(&column);
                for channel in (0..channels).filter(|_| inside) {
                    let pixel = (row - pad[0]) * large_columns + column - pad[1];
                    visit(tap * channels + channel, place, pixel * channels + channel);
                }
            }
        }
    }

    /// Whole numbers, so that sums are exact in any order.
    #[test]
    fn all_three_match_the_definition() {
        for (side, colours, places, channels, kernel, stride, pad) in [
            (28, 1, 14, 32, 4, 2, 1),
            (28, 1, 14, 64, 4, 2, 1),
            (32, 3, 16, 32, 4, 2, 1),
            (10, 2, 5, 16, 4, 2, 1),
            (9, 3, 9, 16, 3, 1, 1),
            (9, 4, 12, 16, 4, 1, 3),
            (9, 1, 9, 16, 4, 1, 1),
            (11, 1, 4, 48, 5, 3, 2),
            (7, 1, 8, 16, 8, 1, 4),
            (3, 1, 3, 16, 1, 1, 0),
            (16, 1, 4, 16, 4, 4, 0),
            (16, 3, 4, 16, 4, 4, 0),
            (12, 4, 6, 16, 6, 2, 2),
            (17, 3, 8, 32, 4, 2, 1),
            (28, 1, 14, 16, 8, 2, 3),
            (28, 3, 14, 16, 8, 2, 3),
            (36, 1, 6, 16, 12, 6, 3),
        ] {
            let geometry = Geometry {
                large: [side, side, colours],
                small: [places, places, channels],
                kernel,
                stride,
                pad: [pad, pad],
            };
            let (images, taps) = (2, geometry.patch_len());
            let (pixels, cells) = (side * side * colours, places * places * channels);
            let (large, small) = (values(images * pixels, 1), values(images * cells, 2));
            let transposed = values(taps * channels, 3);
            let weight: Vec<f32> = (0..taps * channels)
                .map(|i| transposed[i % taps * channels + i / taps])
                .collect();
            let mut outputs = vec![0.0; images * cells];
            let mut input_gradients = vec![0.0; images * pixels];
            let mut gradient = vec![0.0; taps * channels];
            for image in 0..images {
                for_taps(&geometry, |tap, place, pixel| {
                    let pixel = image * pixels + pixel;
                    for channel in 0..channels {
                        let cell = image * cells + place * channels + channel;
                        let tap = tap * channels + channel;
                        outputs[cell] += large[pixel] * transposed[tap];
                        input_gradients[pixel] += small[cell] * transposed[tap];
                        gradient[tap] += large[pixel] * small[cell];
                    }
                });
            }

            assert!(has_few_channels(&geometry));
            let mut found = vec![f32::NAN; images * cells];
            forward(&geometry, &large, &transposed, &mut found, |_| ());
            assert_eq!(found, outputs, "{geometry:?}");
            let found = backward_weights(&geometry, &large, &small);
            assert_eq!(found, gradient, "{geometry:?}");
            if has_blocks_of_taps(&geometry) {
                let mut found = vec![f32::NAN; images * pixels];
                backward_data(&geometry, &small, &weight, &mut found);
                assert_eq!(found, input_gradients, "{geometry:?}");
            }
        }
    }
}

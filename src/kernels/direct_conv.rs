//! Direct convolutions, of large grids with one channel: those next to grey images.
//!
//! Their patches are as short as they are many. The products of [`super::convolution`] are computed here straight
//! from the grid, without patches in between: a vector holds neighbouring channels of the small grid or
//! neighbouring taps, and some places share what is loaded for them.

use super::elementwise::add;
use super::geometry::{Geometry, Grid};
use super::padding::PaddedGrid;
use super::scratch::with_scratch;
use pulp::{Arch, Simd, WithSimd};
use std::array::from_fn;

/// Neighbouring channels or taps that vectors are made of, whatever their length.
const CHANNEL_BLOCK: usize = 16;
/// Places that are handled at a time: rows of usual small grids are multiples of it.
const PLACES: usize = 7;
/// Neighbouring taps of a row that are handled at a time.
const TAPS: usize = 4;

/// Whether [`forward`] and [`backward_weights`] can do it.
pub fn has_one_channel(geometry: &Geometry) -> bool {
    geometry.large[2] == 1 && geometry.small[2].is_multiple_of(CHANNEL_BLOCK)
}

/// Whether [`backward_data`] can do it.
pub fn has_blocks_of_taps(geometry: &Geometry) -> bool {
    geometry.large[2] == 1 && (geometry.kernel * geometry.kernel).is_multiple_of(CHANNEL_BLOCK)
}

/// The row of the padded grid that the kernel's row `tap` reads at the row `row` of the small grid.
#[inline(always)]
fn padded_row<'a>(geometry: &Geometry, padded: &'a [f32], row: usize, tap: usize) -> &'a [f32] {
    let len = (geometry.small[1] - 1) * geometry.stride + geometry.kernel;
    &padded[(row * geometry.stride + tap) * len..][..len]
}

/// `N` values from `first` on, which the compiler then knows to be so many.
#[inline(always)]
fn chunk_at<T, const N: usize>(values: &[T], first: usize) -> &[T; N] {
    match values[first..].first_chunk() {
        Some(chunk) => chunk,
        None => panic!("{N} values from {first} on, of {}", values.len()),
    }
}

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
            let whole = columns / PLACES * PLACES;
            for column in (0..whole).step_by(PLACES) {
                self.places::<S, PLACES>(simd, row, column);
            }
            for column in whole..columns {
                self.places::<S, 1>(simd, row, column);
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
        let Geometry {
            small: [_, columns, channels],
            kernel,
            stride,
            ..
        } = *self.geometry;
        let vectors = channels / S::F32_LANES;
        let (weight, _) = S::as_simd_f32s(self.weight);
        let mut sums = [[simd.splat_f32s(0.0); V]; P];
        let weight_rows = weight.chunks_exact(kernel * vectors);
        for (tap_row, weight) in weight_rows.enumerate() {
            let from = padded_row(self.geometry, self.padded, row, tap_row);
            let from: [&[f32]; P] = from_fn(|place| &from[(column + place) * stride..][..kernel]);
            for (tap, weight) in weight.chunks_exact(vectors).enumerate() {
                let weight: &[_; V] = chunk_at(weight, vector);
                for (sums, from) in sums.iter_mut().zip(from) {
                    let value = simd.splat_f32s(from[tap]);
                    for (sum, weight) in sums.iter_mut().zip(weight) {
                        *sum = simd.mul_add_e_f32s(value, *weight, *sum);
                    }
                }
            }
        }
        let (small, _) = S::as_mut_simd_f32s(self.small);
        for (place, sums) in sums.iter().enumerate() {
            let first = (row * columns + column + place) * vectors + vector;
            small[first..first + V].copy_from_slice(sums);
        }
    }
}

/// `Pᵀ S`, the gradient of `Wᵀ`.
pub fn backward_weights(geometry: &Geometry, large: &[f32], small: &[f32]) -> Vec<f32> {
    let padding = PaddedGrid::of(geometry);
    let mut gradient = vec![0.0; geometry.kernel * geometry.kernel * geometry.small[2]];
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
        let kernel = self.geometry.kernel;
        let whole = kernel / TAPS * TAPS;
        for row in 0..kernel {
            for tap in (0..whole).step_by(TAPS) {
                self.taps::<S, TAPS>(simd, row, tap);
            }
            for tap in whole..kernel {
                self.taps::<S, 1>(simd, row, tap);
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
        let Geometry {
            small: [rows, columns, channels],
            kernel,
            stride,
            ..
        } = *self.geometry;
        let vectors = channels / S::F32_LANES;
        let (small, _) = S::as_simd_f32s(self.small);
        let mut sums = [[simd.splat_f32s(0.0); V]; T];
        for row in 0..rows {
            let from = padded_row(self.geometry, self.padded, row, tap_row);
            let from = from[tap..].windows(T).step_by(stride);
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
            let first = (tap_row * kernel + tap + number) * vectors + vector;
            for (to, sum) in gradient[first..].iter_mut().zip(sums) {
                *to = simd.add_f32s(*to, *sum);
            }
        }
    }
}

/// `large = S W`, its patches added up. `weight` is `W`.
pub fn backward_data(geometry: &Geometry, small: &[f32], weight: &[f32], large: &mut [f32]) {
    let padding = PaddedGrid::of(geometry);
    with_scratch(padding.padded_len(), |padded| {
        let images = large.chunks_exact_mut(geometry.values(Grid::Large));
        for (large, small) in images.zip(small.chunks_exact(geometry.values(Grid::Small))) {
            padded.fill(0.0);
            Arch::new().dispatch(BackwardData {
                geometry,
                small,
                weight,
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
    padded: &'a mut [f32],
}

impl WithSimd for BackwardData<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let [rows, columns, _] = self.geometry.small;
        for row in 0..rows {
            let whole = columns / PLACES * PLACES;
            for column in (0..whole).step_by(PLACES) {
                self.places::<S, PLACES>(simd, row, column);
            }
            for column in whole..columns {
                self.places::<S, 1>(simd, row, column);
            }
        }
    }
}

impl BackwardData<'_> {
    /// The patches of `P` places, tap vector by tap vector.
    #[inline(always)]
    fn places<S: Simd, const P: usize>(&mut self, simd: S, row: usize, column: usize) {
        let Geometry {
            small: [_, columns, channels],
            kernel,
            ..
        } = *self.geometry;
        let vectors = kernel * kernel / S::F32_LANES;
        let (weight, _) = S::as_simd_f32s(self.weight);
        let first = (row * columns + column) * channels;
        let small: [&[f32]; P] =
            from_fn(|place| &self.small[first + place * channels..][..channels]);
        for vector in 0..vectors {
            let mut sums = [simd.splat_f32s(0.0); P];
            for channel in 0..channels {
                let weight = weight[channel * vectors + vector];
                for (sum, small) in sums.iter_mut().zip(small) {
                    let value = simd.splat_f32s(small[channel]);
                    *sum = simd.mul_add_e_f32s(value, weight, *sum);
                }
            }
            let first = vector * S::F32_LANES;
            for (place, sum) in sums.iter().enumerate() {
                let taps: &[f32] = pulp::bytemuck::cast_slice(std::slice::from_ref(sum));
                self.add(
                    taps,
                    [row, column + place],
                    [first / kernel, first % kernel],
                );
            }
        }
    }

    /// Adds what some taps of a place give, from the tap in the row `tap_row` of the kernel on.
    #[inline(always)]
    fn add(&mut self, taps: &[f32], [row, column]: [usize; 2], [mut tap_row, mut tap]: [usize; 2]) {
        let Geometry { kernel, stride, .. } = *self.geometry;
        let len = (self.geometry.small[1] - 1) * stride + kernel;
        // A processor without vectors gives one tap at a time.
        for taps in taps.chunks(TAPS) {
            let place = (row * stride + tap_row) * len + column * stride + tap;
            add(&mut self.padded[place..place + taps.len()], taps);
            tap += taps.len();
            if tap == kernel {
                (tap_row, tap) = (tap_row + 1, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(len: usize, seed: usize) -> Vec<f32> {
        let value = |i: usize| ((i * 7 + seed) % 11) as f32 - 5.0;
        (0..len).map(value).collect()
    }

    /// Calls `visit(tap, place on the small grid, place on the large grid)` wherever a tap meets a pixel.
    fn for_taps(geometry: &Geometry, mut visit: impl FnMut(usize, usize, usize)) {
        let Geometry {
            large: [large_rows, large_columns, _],
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
                if inside {
                    let pixel = (row - pad[0]) * large_columns + column - pad[1];
                    visit(tap, place, pixel);
                }
            }
        }
    }

    /// Whole numbers, so that sums are exact in any order.
    #[test]
    fn all_three_match_the_definition() {
        for (side, places, channels, kernel, stride, pad) in [
            (28, 14, 32, 4, 2, 1),
            (28, 14, 64, 4, 2, 1),
            (9, 9, 16, 4, 1, 1),
            (11, 4, 48, 5, 3, 2),
            (7, 8, 16, 8, 1, 4),
            (3, 3, 16, 1, 1, 0),
        ] {
            let geometry = Geometry {
                large: [side, side, 1],
                small: [places, places, channels],
                kernel,
                stride,
                pad: [pad, pad],
            };
            let (images, taps) = (2, kernel * kernel);
            let (pixels, cells) = (side * side, places * places * channels);
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

            assert!(has_one_channel(&geometry));
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

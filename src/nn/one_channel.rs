//! Convolutions whose large grid has one channel: those next to images.
//!
//! Their patches are as short as they are many. The products of [`super::convolution`] are computed here straight
//! from the grid, without patches in between: a vector holds neighbouring channels of the small grid or
//! neighbouring taps, and some places share what is loaded for them.

use super::convolution::{Geometry, Grid};
use super::with_scratch;
use pulp::{Arch, Simd, WithSimd};
use std::array::from_fn;

/// Neighbouring channels or taps that vectors are made of, whatever their length.
const LINE: usize = 16;
/// Places that are handled at a time: rows of usual small grids are multiples of it.
const PLACES: usize = 7;
/// Neighbouring taps of a row that are handled at a time.
const TAPS: usize = 4;

impl Geometry {
    /// Whether [`gather`] and [`weight_gradient`] can do it.
    pub(super) fn has_one_channel(&self) -> bool {
        self.large[2] == 1 && self.small[2].is_multiple_of(LINE)
    }

    /// Whether [`scatter`] can do it.
    pub(super) fn has_lines_of_taps(&self) -> bool {
        self.large[2] == 1 && (self.kernel * self.kernel).is_multiple_of(LINE)
    }

    /// The row of the frame that the kernel's row `tap` reads at the row `row` of the small grid.
    #[inline(always)]
    fn framed_row<'a>(&self, framed: &'a [f32], row: usize, tap: usize) -> &'a [f32] {
        let len = (self.small[1] - 1) * self.stride + self.kernel;
        &framed[(row * self.stride + tap) * len..][..len]
    }
}

/// `N` values from `first` on, which the compiler then knows to be so many.
#[inline(always)]
fn some<T, const N: usize>(values: &[T], first: usize) -> &[T; N] {
    match values[first..].first_chunk() {
        Some(some) => some,
        None => panic!("{N} values from {first} on, of {}", values.len()),
    }
}

/// `small = P Wᵀ`. `finish` is called on each image while it is in cache. `weight` is `Wᵀ`.
pub(super) fn gather(
    geometry: &Geometry,
    large: &[f32],
    weight: &[f32],
    small: &mut [f32],
    finish: impl Fn(&mut [f32]),
) {
    let frame = geometry.frame();
    with_scratch(frame.len(), |framed| {
        framed.fill(0.0);
        let images = large.chunks_exact(geometry.len(Grid::Large));
        for (large, small) in images.zip(small.chunks_exact_mut(geometry.len(Grid::Small))) {
            frame.put(large, framed);
            Arch::new().dispatch(Gather {
                geometry,
                framed,
                weight,
                small,
            });
            finish(small);
        }
    });
}

struct Gather<'a> {
    geometry: &'a Geometry,
    framed: &'a [f32],
    weight: &'a [f32],
    small: &'a mut [f32],
}

impl WithSimd for Gather<'_> {
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

impl Gather<'_> {
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
            let from = self.geometry.framed_row(self.framed, row, tap_row);
            let from: [&[f32]; P] = from_fn(|place| &from[(column + place) * stride..][..kernel]);
            for (tap, weight) in weight.chunks_exact(vectors).enumerate() {
                let weight: &[_; V] = some(weight, vector);
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
pub(super) fn weight_gradient(geometry: &Geometry, large: &[f32], small: &[f32]) -> Vec<f32> {
    let frame = geometry.frame();
    let mut gradient = vec![0.0; geometry.kernel * geometry.kernel * geometry.small[2]];
    with_scratch(frame.len(), |framed| {
        framed.fill(0.0);
        let images = large.chunks_exact(geometry.len(Grid::Large));
        for (large, small) in images.zip(small.chunks_exact(geometry.len(Grid::Small))) {
            frame.put(large, framed);
            Arch::new().dispatch(WeightGradient {
                geometry,
                framed,
                small,
                gradient: &mut gradient,
            });
        }
    });
    gradient
}

struct WeightGradient<'a> {
    geometry: &'a Geometry,
    framed: &'a [f32],
    small: &'a [f32],
    gradient: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
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

impl WeightGradient<'_> {
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
            let from = self.geometry.framed_row(self.framed, row, tap_row);
            let from = from[tap..].windows(T).step_by(stride);
            let values = small[row * columns * vectors..].chunks_exact(vectors);
            for (from, values) in from.zip(values).take(columns) {
                let (from, values): (&[_; T], &[_; V]) = (some(from, 0), some(values, vector));
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
pub(super) fn scatter(geometry: &Geometry, small: &[f32], weight: &[f32], large: &mut [f32]) {
    let frame = geometry.frame();
    with_scratch(frame.len(), |framed| {
        let images = large.chunks_exact_mut(geometry.len(Grid::Large));
        for (large, small) in images.zip(small.chunks_exact(geometry.len(Grid::Small))) {
            framed.fill(0.0);
            Arch::new().dispatch(Scatter {
                geometry,
                small,
                weight,
                framed,
            });
            frame.take(framed, large);
        }
    });
}

struct Scatter<'a> {
    geometry: &'a Geometry,
    small: &'a [f32],
    weight: &'a [f32],
    framed: &'a mut [f32],
}

impl WithSimd for Scatter<'_> {
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

impl Scatter<'_> {
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
            super::add(&mut self.framed[place..place + taps.len()], taps);
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
            let mut gathered = vec![0.0; images * cells];
            let mut scattered = vec![0.0; images * pixels];
            let mut gradient = vec![0.0; taps * channels];
            for image in 0..images {
                for_taps(&geometry, |tap, place, pixel| {
                    let pixel = image * pixels + pixel;
                    for channel in 0..channels {
                        let cell = image * cells + place * channels + channel;
                        let tap = tap * channels + channel;
                        gathered[cell] += large[pixel] * transposed[tap];
                        scattered[pixel] += small[cell] * transposed[tap];
                        gradient[tap] += large[pixel] * small[cell];
                    }
                });
            }

            assert!(geometry.has_one_channel());
            let mut found = vec![f32::NAN; images * cells];
            gather(&geometry, &large, &transposed, &mut found, |_| ());
            assert_eq!(found, gathered, "{geometry:?}");
            let found = weight_gradient(&geometry, &large, &small);
            assert_eq!(found, gradient, "{geometry:?}");
            if geometry.has_lines_of_taps() {
                let mut found = vec![f32::NAN; images * pixels];
                scatter(&geometry, &small, &weight, &mut found);
                assert_eq!(found, scattered, "{geometry:?}");
            }
        }
    }
}

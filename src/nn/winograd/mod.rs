//! Convolutions tile by tile, at the points of [`points`], with fewer multiplications.
//!
//! A tile is a square of a small grid and what a convolution reads for it. A stride is no obstacle: every
//! `stride`-th pixel makes a grid of its own with `kernel / stride` taps, a convolution of stride 1. These
//! phases are further channels of the large grid.
//!
//! At the points a convolution is one matrix product a point. With `V` the tiles of the large grid (a row a
//! tile, a column a phase and channel), `M` those of the small grid and `U` the weights, the three products
//! of [`super::convolution`] are `M = V U`, `V = M Uᵀ` and the gradient `Vᵀ M`, and each way back from the
//! points is the transpose of the way there.

pub(super) mod matrices;
mod points;
mod weights;

use super::convolution::{Geometry, Grid};
use super::frame::Frame;
use super::matmul::{Destination, Matrix, MatrixMut, matmul};
use matrices::{Position, Sizes, matrices, sizes};
use points::{AREA, INPUTS, LINE, POINTS, Place, coefficients, read, write};

/// How a convolution is cut into tiles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiling {
    geometry: Geometry,
    /// Taps of a phase along one axis: from 2 to 4.
    taps: usize,
    /// Rows and columns of tiles.
    tiles: [usize; 2],
    /// How many of them are whole; the last may be short.
    whole: [usize; 2],
}

impl Tiling {
    /// The tiling of a convolution that is worth it: one with neither too few nor too many taps, and with
    /// channels by the line.
    pub(super) fn of(geometry: Geometry) -> Option<Self> {
        let taps = geometry.kernel / geometry.stride;
        let fits = taps * geometry.stride == geometry.kernel && (2..=4).contains(&taps);
        let by_line = |[_, _, channels]: [usize; 3]| channels.is_multiple_of(LINE);
        (fits && by_line(geometry.large) && by_line(geometry.small)).then(|| {
            let side = POINTS + 1 - taps;
            let [rows, columns, _] = geometry.small;
            Self {
                geometry,
                taps,
                tiles: [rows, columns].map(|size| size.div_ceil(side)),
                whole: [rows, columns].map(|size| (size / side).max(1)),
            }
        })
    }

    fn phases(&self) -> usize {
        self.geometry.stride * self.geometry.stride
    }

    /// Columns of `V`: phases and channels of the large grid.
    fn large_columns(&self) -> usize {
        self.phases() * self.geometry.large[2]
    }

    /// Columns of `M`: channels of the small grid.
    fn small_columns(&self) -> usize {
        self.geometry.small[2]
    }

    /// Columns of `V` or `M`.
    fn columns(&self, grid: Grid) -> usize {
        match grid {
            Grid::Large => self.large_columns(),
            Grid::Small => self.small_columns(),
        }
    }

    /// Values of `U`.
    fn weight_sizes(&self) -> Sizes {
        [self.large_columns() * self.small_columns(); AREA]
    }

    /// Values of `V` or `M` for an image.
    pub(super) fn sizes(&self, grid: Grid) -> Sizes {
        sizes(self.tiles, self.whole, self.columns(grid))
    }

    /// The tiles of an image, by row and column; and where they are in `V` or `M`.
    fn tiles(self, grid: Grid, image: usize) -> impl Iterator<Item = ([usize; 2], Position)> {
        let [rows, columns] = self.tiles;
        let each = self.columns(grid);
        (0..rows * columns).map(move |number| {
            let tile = [number / columns, number % columns];
            let position = Position::new(image, tile, self.tiles, self.whole, each);
            (tile, position)
        })
    }

    /// Outputs of a tile along one axis.
    fn side(&self) -> usize {
        POINTS + 1 - self.taps
    }

    /// A grid within what its tiles reach.
    fn frame(&self, grid: Grid) -> Frame {
        let Geometry {
            large,
            small,
            stride,
            pad,
            ..
        } = self.geometry;
        match grid {
            Grid::Large => Frame {
                grid: large,
                before: pad,
                size: self
                    .tiles
                    .map(|tiles| ((tiles - 1) * self.side() + POINTS) * stride),
            },
            Grid::Small => Frame {
                grid: small,
                before: [0, 0],
                size: self.tiles.map(|tiles| tiles * self.side()),
            },
        }
    }

    /// Values of scratch that [`Tiling::read`] and [`Tiling::write`] need.
    pub(super) fn framed_len(&self) -> usize {
        let [large, small] = [Grid::Large, Grid::Small].map(|grid| self.frame(grid).len());
        large.max(small)
    }

    /// Where the tiles of an image lie in the frame of its large grid, phase by phase: the order of a row of `V`.
    fn large_places(self, image: usize) -> impl Iterator<Item = (Place, Position)> {
        let Geometry {
            large: [_, _, channels],
            stride,
            ..
        } = self.geometry;
        let row_len = self.frame(Grid::Large).row_len();
        let tiles = self.tiles(Grid::Large, image);
        tiles.flat_map(move |([row, column], position)| {
            (0..stride * stride).map(move |phase| {
                let [row, column] = [(row, phase / stride), (column, phase % stride)]
                    .map(|(tile, phase)| tile * self.side() * stride + phase);
                let place = Place {
                    first: row * row_len + column * channels,
                    row: stride * row_len,
                    column: stride * channels,
                    channels,
                };
                (place, position.further(phase * channels))
            })
        })
    }

    /// Where the tiles of an image lie in the frame of its small grid.
    fn small_places(self, image: usize) -> impl Iterator<Item = (Place, Position)> {
        let row_len = self.frame(Grid::Small).row_len();
        let (side, channels) = (self.side(), self.small_columns());
        let tiles = self.tiles(Grid::Small, image);
        tiles.map(move |([row, column], position)| {
            let place = Place {
                first: row * side * row_len + column * side * channels,
                row: row_len,
                column: channels,
                channels,
            };
            (place, position)
        })
    }

    /// Grids to the points: large ones to `V`, small ones to `M`. `framed` is scratch.
    pub(super) fn read(&self, grid: Grid, from: &[f32], to: &mut [&mut [f32]], framed: &mut [f32]) {
        let frame = self.frame(grid);
        let framed = &mut framed[..frame.len()];
        framed.fill(0.0);
        let images = from.chunks_exact(self.geometry.len(grid)).enumerate();
        for (image, from) in images {
            frame.put(from, framed);
            match (grid, self.taps) {
                (Grid::Large, _) => read_large(*self, image, framed, to),
                (Grid::Small, 2) => read_small::<4>(*self, image, framed, to),
                (Grid::Small, 3) => read_small::<3>(*self, image, framed, to),
                (Grid::Small, _) => read_small::<2>(*self, image, framed, to),
            }
        }
    }

    /// The transpose of [`Tiling::read`].
    pub(super) fn write(
        &self,
        grid: Grid,
        from: &[&mut [f32]],
        to: &mut [f32],
        framed: &mut [f32],
    ) {
        let frame = self.frame(grid);
        let framed = &mut framed[..frame.len()];
        let images = to.chunks_exact_mut(self.geometry.len(grid)).enumerate();
        for (image, to) in images {
            match (grid, self.taps) {
                (Grid::Large, _) => write_large(*self, image, from, framed),
                (Grid::Small, 2) => write_small::<4>(*self, image, from, framed),
                (Grid::Small, 3) => write_small::<3>(*self, image, from, framed),
                (Grid::Small, _) => write_small::<2>(*self, image, from, framed),
            }
            frame.take(framed, to);
        }
    }

    /// The products at each point that give the `target` grid: `M = V U` or `V = M Uᵀ`. `weights` is what
    /// [`Tiling::weights`] gave for it.
    pub(super) fn products(
        &self,
        target: Grid,
        from: &[&mut [f32]],
        weights: &[f32],
        to: &mut [&mut [f32]],
    ) {
        let columns = self.columns(target);
        let sizes = self.weight_sizes();
        let inner = sizes[0] / columns;
        let weights = matrices(weights, &sizes);
        for ((from, weights), to) in from.iter().zip(weights).zip(to) {
            let from = Matrix::new(from, from.len() / inner, inner);
            let weights = Matrix::new(weights, inner, columns);
            matmul(
                from,
                weights,
                MatrixMut::new(to, columns),
                Destination::Overwrite,
            );
        }
    }
}

vectorized! {
    fn read_large(tiling: Tiling, image: usize, framed: &[f32], to: &mut [&mut [f32]]) {
        let mut half = [[[0.0; LINE]; POINTS]; POINTS];
        for (place, position) in tiling.large_places(image) {
            read(&INPUTS, framed, place, to, position, &mut half);
        }
    }
}

vectorized! {
    fn write_large(tiling: Tiling, image: usize, from: &[&mut [f32]], framed: &mut [f32]) {
        framed.fill(0.0);
        let mut half = [[[0.0; LINE]; POINTS]; POINTS];
        for (place, position) in tiling.large_places(image) {
            let axis = const { &INPUTS.transposed() };
            // Tiles overlap here.
            write(axis, from, position, framed, place, true, &mut half);
        }
    }
}

vectorized! {
    fn read_small<const N: usize>(
        tiling: Tiling,
        image: usize,
        framed: &[f32],
        to: &mut [&mut [f32]],
    ) {
        let mut half = [[[0.0; LINE]; N]; POINTS];
        for (place, position) in tiling.small_places(image) {
            let axis = const { &coefficients::<N>() };
            read(axis, framed, place, to, position, &mut half);
        }
    }
}

vectorized! {
    fn write_small<const N: usize>(
        tiling: Tiling,
        image: usize,
        from: &[&mut [f32]],
        framed: &mut [f32],
    ) {
        let mut half = [[[0.0; LINE]; POINTS]; N];
        for (place, position) in tiling.small_places(image) {
            let axis = const { &coefficients::<N>().transposed() };
            write(axis, from, position, framed, place, false, &mut half);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_of_every_size_are_tiled_or_not() {
        for kernel in 1..=12 {
            for stride in 1..=4 {
                let geometry = Geometry {
                    large: [28, 28, 16],
                    small: [7, 7, 16],
                    kernel,
                    stride,
                    pad: [0, 0],
                };
                let taps = kernel / stride;
                let tiled = kernel % stride == 0 && (2..=4).contains(&taps);
                assert_eq!(
                    Tiling::of(geometry).is_some(),
                    tiled,
                    "{kernel} by {stride}"
                );
            }
        }
    }
}

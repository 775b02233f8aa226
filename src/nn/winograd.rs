//! Convolutions tile by tile, at the points of [`super::points`], with fewer multiplications.
//!
//! A tile is a square of a small grid and what a convolution reads for it. A stride is no obstacle: every
//! `stride`-th pixel makes a grid of its own with `kernel / stride` taps, a convolution of stride 1. These
//! phases are further channels of the large grid.
//!
//! At the points a convolution is one matrix product a point. With `V` the tiles of the large grid (a row a
//! tile, a column a phase and channel), `M` those of the small grid and `U` the weights, the three products
//! of [`super::convolution`] are `M = V U`, `V = M Uᵀ` and the gradient `Vᵀ M`, and each way back from the
//! points is the transpose of the way there.

use super::buffers::Buffers;
use super::convolution::{Geometry, Grid};
use super::matmul::{Destination, Matrix, matmul};
use super::points::{
    AREA, INPUTS, LINE, POINTS, Place, Position, Sizes, add_back, coefficients, matrices, points,
    points_by, read, room, sizes, taps, times,
};
use rayon::prelude::*;
use std::array::from_fn;

/// Rows of weights that a thread handles at a time.
const ROWS: usize = 16;

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

/// A tile of an image: its row and column there.
#[derive(Debug, Clone, Copy)]
struct Tile {
    image: usize,
    row: usize,
    column: usize,
}

impl Tiling {
    /// The tiling of a convolution that is worth it: one with neither too few nor too many taps, and with
    /// channels by the line.
    pub(super) fn of(geometry: Geometry) -> Option<Self> {
        let taps = geometry.kernel / geometry.stride;
        let fits = taps * geometry.stride == geometry.kernel && (2..=4).contains(&taps);
        let by_line = |[_, _, channels]: [usize; 3]| channels.is_multiple_of(LINE);
        let side = POINTS + 1 - taps;
        let [rows, columns, _] = geometry.small;
        let tiles = [rows, columns].map(|size| size.div_ceil(side));
        let whole = [rows, columns].map(|size| (size / side).max(1));
        (fits && by_line(geometry.large) && by_line(geometry.small)).then_some(Self {
            geometry,
            taps,
            tiles,
            whole,
        })
    }

    /// Columns of `V`: phases and channels of the large grid.
    fn large_columns(&self) -> usize {
        self.geometry.stride * self.geometry.stride * self.geometry.large[2]
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

    /// The tiles of some images, and where they are in `V` or `M`.
    fn tiles(self, grid: Grid, images: usize) -> impl Iterator<Item = (Tile, Position)> {
        let [rows, columns] = self.tiles;
        let each = self.columns(grid);
        (0..images * rows * columns).map(move |number| {
            let tile = Tile {
                image: number / (rows * columns),
                row: number / columns % rows,
                column: number % columns,
            };
            let place = [tile.row, tile.column];
            let position = Position::new(tile.image, place, self.tiles, self.whole, each);
            (tile, position)
        })
    }

    /// Where the tiles of some images lie on their large grids, phase by phase: the order of a row of `V`.
    fn large_places(self, images: usize) -> impl Iterator<Item = (Place<POINTS>, Position)> {
        let Geometry {
            large: [rows, columns, channels],
            stride,
            pad,
            ..
        } = self.geometry;
        let side = POINTS + 1 - self.taps;
        let on_grid = move |tile: usize, index: usize, phase: usize, pad: usize, size: usize| {
            let place = ((tile * side + index) * stride + phase).wrapping_sub(pad);
            (place < size).then_some(place)
        };
        let tiles = self.tiles(Grid::Large, images);
        tiles.flat_map(move |(tile, position)| {
            (0..stride * stride).map(move |phase| {
                let place = Place {
                    rows: from_fn(|index| {
                        let row = on_grid(tile.row, index, phase / stride, pad[0], rows)?;
                        Some((tile.image * rows + row) * columns * channels)
                    }),
                    columns: from_fn(|index| {
                        let column = on_grid(tile.column, index, phase % stride, pad[1], columns)?;
                        Some(column * channels)
                    }),
                };
                (place, position.further(phase * channels))
            })
        })
    }

    /// Where the tiles of some images lie on their small grids.
    fn small_places<const N: usize>(
        self,
        images: usize,
    ) -> impl Iterator<Item = (Place<N>, Position)> {
        let [rows, columns, channels] = self.geometry.small;
        self.tiles(Grid::Small, images)
            .map(move |(tile, position)| {
                let place = Place {
                    rows: from_fn(|index| {
                        let row = tile.row * N + index;
                        (row < rows).then_some((tile.image * rows + row) * columns * channels)
                    }),
                    columns: from_fn(|index| {
                        let column = tile.column * N + index;
                        (column < columns).then_some(column * channels)
                    }),
                };
                (place, position)
            })
    }

    /// Grids to the points: large ones to `V`, small ones to `M`.
    pub(super) fn read(&self, grid: Grid, from: &[f32], to: &mut [&mut [f32]]) {
        match (grid, self.taps) {
            (Grid::Large, _) => read_large(self, from, to),
            (Grid::Small, 2) => read_small::<4>(self, from, to),
            (Grid::Small, 3) => read_small::<3>(self, from, to),
            (Grid::Small, _) => read_small::<2>(self, from, to),
        }
    }

    /// The transpose of [`Tiling::read`].
    pub(super) fn write(&self, grid: Grid, from: &[&mut [f32]], to: &mut [f32]) {
        to.fill(0.0);
        match (grid, self.taps) {
            (Grid::Large, _) => add_large(self, from, to),
            (Grid::Small, 2) => add_small::<4>(self, from, to),
            (Grid::Small, 3) => add_small::<3>(self, from, to),
            (Grid::Small, _) => add_small::<2>(self, from, to),
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
            matmul(from, weights, to, Destination::Overwrite);
        }
    }

    /// The weights, from PyTorch's order to the points: `U` for the products that give small grids, `Uᵀ`
    /// for those that give large ones.
    pub(super) fn weights(&self, target: Grid, torch: &[f32], buffers: &Buffers) -> Vec<f32> {
        let from = self.geometry.weights(target, torch);
        let mut to = buffers.take(room(&self.weight_sizes()));
        let channels = self.geometry.large[2];
        match target {
            Grid::Small => {
                let columns = self.small_columns();
                self.read_weights(&from, &mut to, columns, channels * columns, |row| {
                    (row / channels, row % channels * columns)
                });
            }
            Grid::Large => {
                let phases = self.large_columns() / channels;
                let row_len = from.len() / self.small_columns();
                self.read_weights(&from, &mut to, channels, channels, |row| {
                    (row % phases, row / phases * row_len)
                });
            }
        }
        to
    }

    /// Weights to the points, in rows of `row_len` values. `place` tells a row's phase, and where its first
    /// tap is; the next tap is `next_tap` values further.
    fn read_weights(
        &self,
        from: &[f32],
        to: &mut [f32],
        row_len: usize,
        next_tap: usize,
        place: impl Fn(usize) -> (usize, usize) + Sync,
    ) {
        let Geometry { kernel, stride, .. } = self.geometry;
        let rows = points_by(to, &self.weight_sizes(), &[ROWS * row_len; AREA])
            .into_par_iter()
            .enumerate();
        rows.for_each(|(block, mut points)| {
            for row in 0..points[0].len() / row_len {
                let (phase, first) = place(block * ROWS + row);
                let first = first + (phase / stride * kernel + phase % stride) * next_tap;
                let steps = (stride * kernel * next_tap, stride * next_tap);
                match self.taps {
                    2 => read_taps::<2>(from, first, steps, row * row_len, row_len, &mut points),
                    3 => read_taps::<3>(from, first, steps, row * row_len, row_len, &mut points),
                    _ => read_taps::<4>(from, first, steps, row * row_len, row_len, &mut points),
                }
            }
        });
    }

    /// The gradient `Vᵀ M` of `U`, back to the order of `Wᵀ`.
    pub(super) fn weight_gradient(
        &self,
        images: usize,
        large: &[f32],
        small: &[f32],
        buffers: &Buffers,
    ) -> Vec<f32> {
        let (rows, columns) = (self.large_columns(), self.small_columns());
        let sizes = self.weight_sizes();
        let mut gradient = buffers.take(room(&sizes));
        let grid_sizes = |grid| times(&self.sizes(grid), images);
        let (large_sizes, small_sizes) = (grid_sizes(Grid::Large), grid_sizes(Grid::Small));
        let grids = matrices(large, &large_sizes).zip(matrices(small, &small_sizes));
        let products: Vec<_> = points(&mut gradient, &sizes)
            .into_iter()
            .zip(grids)
            .collect();
        products
            .into_par_iter()
            .for_each(|(gradient, (large, small))| {
                let tiles = large.len() / rows;
                let large = Matrix::new(large, tiles, rows).transposed();
                let small = Matrix::new(small, tiles, columns);
                matmul(large, small, gradient, Destination::Overwrite);
            });
        // First with the taps of a row of `U` together, so that threads write apart.
        let taps = self.taps * self.taps;
        let mut by_row = vec![0.0; taps * rows * columns];
        points_by(&mut gradient, &sizes, &[columns; AREA])
            .into_par_iter()
            .zip(by_row.par_chunks_mut(taps * columns))
            .with_min_len(ROWS)
            .for_each(|(points, to)| match self.taps {
                2 => add_taps::<2>(&points, to),
                3 => add_taps::<3>(&points, to),
                _ => add_taps::<4>(&points, to),
            });
        buffers.give(gradient);
        self.taps_first(&by_row)
    }

    /// From the order (phase, channel, tap of the phase, small channel) to that of `Wᵀ`, (tap of the kernel,
    /// channel, small channel).
    fn taps_first(&self, by_row: &[f32]) -> Vec<f32> {
        let Geometry { kernel, stride, .. } = self.geometry;
        let (channels, columns) = (self.geometry.large[2], self.small_columns());
        let mut weights = vec![0.0; by_row.len()];
        for (number, from) in by_row.chunks_exact(columns).enumerate() {
            let (row, tap) = (
                number / (self.taps * self.taps),
                number % (self.taps * self.taps),
            );
            let (phase, channel) = (row / channels, row % channels);
            let tap_row = tap / self.taps * stride + phase / stride;
            let tap_column = tap % self.taps * stride + phase % stride;
            let first = ((tap_row * kernel + tap_column) * channels + channel) * columns;
            weights[first..first + columns].copy_from_slice(from);
        }
        weights
    }
}

vectorized! {
    fn read_large(tiling: &Tiling, large: &[f32], to: &mut [&mut [f32]]) {
        let channels = tiling.geometry.large[2];
        let places = tiling.large_places(large.len() / tiling.geometry.len(Grid::Large));
        for (place, position) in places {
            read(&INPUTS, large, &place, channels, to, &position);
        }
    }
}

vectorized! {
    fn add_large(tiling: &Tiling, from: &[&mut [f32]], large: &mut [f32]) {
        let channels = tiling.geometry.large[2];
        let places = tiling.large_places(large.len() / tiling.geometry.len(Grid::Large));
        for (place, position) in places {
            let axis = const { &INPUTS.transposed() };
            add_back(axis, from, &position, large, &place, channels);
        }
    }
}

vectorized! {
    fn read_small<const N: usize>(tiling: &Tiling, small: &[f32], to: &mut [&mut [f32]]) {
        let channels = tiling.small_columns();
        let places = tiling.small_places::<N>(small.len() / tiling.geometry.len(Grid::Small));
        for (place, position) in places {
            let axis = const { &coefficients::<N>() };
            read(axis, small, &place, channels, to, &position);
        }
    }
}

vectorized! {
    fn add_small<const N: usize>(tiling: &Tiling, from: &[&mut [f32]], small: &mut [f32]) {
        let channels = tiling.small_columns();
        let places = tiling.small_places::<N>(small.len() / tiling.geometry.len(Grid::Small));
        for (place, position) in places {
            let axis = const { &coefficients::<N>().transposed() };
            add_back(axis, from, &position, small, &place, channels);
        }
    }
}

vectorized! {
    fn read_taps<const N: usize>(
        from: &[f32],
        first: usize,
        steps: (usize, usize),
        position: usize,
        channels: usize,
        to: &mut [&mut [f32]],
    ) {
        let place = Place::<N>::even(first, steps.0, steps.1);
        let position = Position::even(position);
        read(const { &taps::<N>() }, from, &place, channels, to, &position);
    }
}

vectorized! {
    fn add_taps<const N: usize>(from: &[&mut [f32]], to: &mut [f32]) {
        let channels = from[0].len();
        let place = Place::<N>::even(0, N * channels, channels);
        let axis = const { &taps::<N>().transposed() };
        add_back(axis, from, &Position::even(0), to, &place, channels);
    }
}

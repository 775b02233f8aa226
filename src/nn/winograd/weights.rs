//! The weights of tiled convolutions: from PyTorch's order to the points, and their gradients back.

use super::Tiling;
use super::matrices::{Position, matrices, points, points_by, room, times};
use super::points::{AREA, LINE, POINTS, Place, read, taps, write};
use crate::nn::buffers::{Buffer, Buffers};
use crate::nn::convolution::{Geometry, Grid};
use crate::nn::matmul::{Destination, Matrix, MatrixMut, matmul};
use crate::nn::transpose::transpose;
use crate::nn::with_scratch;
use crate::parallel::for_each;

/// Rows of weights that a thread handles at a time.
const ROWS: usize = 16;

impl Tiling {
    /// The weights, from PyTorch's order to the points: `U` for the products that give small grids, `Uᵀ`
    /// for those that give large ones.
    pub(in crate::nn) fn weights(&self, target: Grid, torch: &[f32], buffers: &Buffers) -> Buffer {
        let channels = self.geometry.large[2];
        let area = self.geometry.kernel * self.geometry.kernel;
        let (phases, small) = (self.phases(), self.small_columns());
        // A row has one phase: of one large channel and all small ones, or the other way round.
        let row_len = match target {
            Grid::Small => small,
            Grid::Large => channels,
        };
        let phase_and_weights = |row: usize| match target {
            Grid::Small => {
                let first = row % channels * area;
                let torch = Matrix::new(torch, small, channels * area);
                (row / channels, torch.some_columns(first..first + area))
            }
            Grid::Large => {
                let first = row / phases * channels;
                let torch = Matrix::new(torch, small * channels, area);
                (row % phases, torch.some_rows(first..first + channels))
            }
        };
        let sizes = self.weight_sizes();
        let mut to = buffers.take(room(&sizes));
        let blocks = points_by(&mut to, &sizes, &[ROWS * row_len; AREA]);
        let blocks = blocks.into_iter().enumerate();
        for_each(blocks, |(block, mut points)| {
            with_scratch(area * row_len, |weights| {
                for row in 0..points[0].len() / row_len {
                    let (phase, torch) = phase_and_weights(block * ROWS + row);
                    if row == 0 || target == Grid::Small || phase == 0 {
                        transpose(torch, MatrixMut::new(weights, row_len));
                    }
                    self.read_weights(weights, phase, row, &mut points);
                }
            });
        });
        to
    }

    /// The taps of a phase to the points of a row of weights. `weights` has the values of a row for each tap.
    fn read_weights(&self, weights: &[f32], phase: usize, row: usize, to: &mut [&mut [f32]]) {
        let row_len = weights.len() / (self.geometry.kernel * self.geometry.kernel);
        let (place, position) = (
            self.tap_place(phase, row_len),
            Position::even(row * row_len),
        );
        match self.taps {
            2 => read_taps::<2>(weights, place, position, to),
            3 => read_taps::<3>(weights, place, position, to),
            _ => read_taps::<4>(weights, place, position, to),
        }
    }

    /// Where a phase's taps lie in weights with `each` values a tap.
    fn tap_place(&self, phase: usize, each: usize) -> Place {
        let Geometry { kernel, stride, .. } = self.geometry;
        Place {
            first: (phase / stride * kernel + phase % stride) * each,
            row: stride * kernel * each,
            column: stride * each,
            channels: each,
        }
    }

    /// The gradient `Vᵀ M` of `U`, as that of the weights in PyTorch's order.
    pub(in crate::nn) fn weight_gradient(
        &self,
        images: usize,
        large: &[f32],
        small: &[f32],
        torch: &mut [f32],
        buffers: &Buffers,
    ) {
        let (rows, columns) = (self.large_columns(), self.small_columns());
        let sizes = self.weight_sizes();
        let mut gradient = buffers.take(room(&sizes));
        let grid_sizes = |grid| times(&self.sizes(grid), images);
        let (large_sizes, small_sizes) = (grid_sizes(Grid::Large), grid_sizes(Grid::Small));
        let grids = matrices(large, &large_sizes).zip(matrices(small, &small_sizes));
        let products = points(&mut gradient, &sizes).into_iter().zip(grids);
        for_each(products, |(gradient, (large, small))| {
            let tiles = large.len() / rows;
            let large = Matrix::new(large, tiles, rows).transposed();
            let small = Matrix::new(small, tiles, columns);
            let gradient = MatrixMut::new(gradient, columns);
            matmul(large, small, gradient, Destination::Overwrite);
        });
        self.torch_gradient(&gradient, torch);
    }

    /// The transpose of what [`Tiling::weights`] does for small grids.
    fn torch_gradient(&self, from: &[f32], torch: &mut [f32]) {
        let Geometry {
            kernel,
            large: [_, _, channels],
            ..
        } = self.geometry;
        let (area, columns) = (kernel * kernel, self.small_columns());
        let points: Vec<_> = matrices(from, &self.weight_sizes()).collect();
        let by_channel = MatrixMut::new(torch, channels * area).by_columns(area);
        let by_channel = by_channel.into_iter().enumerate();
        for_each(by_channel, |(channel, to)| {
            with_scratch(area * columns, |weights| {
                weights.fill(0.0);
                for phase in 0..self.phases() {
                    let row = phase * channels + channel;
                    self.add_weights(&points, row, phase, weights);
                }
                transpose(Matrix::new(weights, area, columns), to);
            });
        });
    }

    /// The transpose of [`Tiling::read_weights`].
    fn add_weights(&self, from: &[&[f32]], row: usize, phase: usize, weights: &mut [f32]) {
        let row_len = self.small_columns();
        let (place, position) = (
            self.tap_place(phase, row_len),
            Position::even(row * row_len),
        );
        match self.taps {
            2 => add_taps::<2>(from, position, weights, place),
            3 => add_taps::<3>(from, position, weights, place),
            _ => add_taps::<4>(from, position, weights, place),
        }
    }
}

vectorized! {
    fn read_taps<const N: usize>(
        from: &[f32],
        place: Place,
        position: Position,
        to: &mut [&mut [f32]],
    ) {
        let mut half = [[[0.0; LINE]; N]; POINTS];
        read(const { &taps::<N>() }, from, place, to, position, &mut half);
    }
}

vectorized! {
    fn add_taps<const N: usize>(
        from: &[&[f32]],
        position: Position,
        to: &mut [f32],
        place: Place,
    ) {
        let axis = const { &taps::<N>().transposed() };
        let mut half = [[[0.0; LINE]; POINTS]; N];
        write(axis, from, position, to, place, true, &mut half);
    }
}

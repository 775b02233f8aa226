//! The weights of tiled convolutions: from PyTorch's order to the Winograd domain, and their gradients back.

use super::layout::{Sizes, TileOffset, scaled, split_views_mut, storage_len, views, views_mut};
use super::tile::TileView;
use super::tiling::Tiling;
use super::transforms::CHANNEL_BLOCK;
use crate::kernels::buffers::{Buffer, Buffers};
use crate::kernels::geometry::{Geometry, Grid};
use crate::kernels::matmul::{Destination, Matrix, MatrixMut};
use crate::kernels::scratch::with_scratch;
use crate::kernels::streamed_matmul::matmul_transposed;
use crate::kernels::transpose::transpose;
use crate::parallel::for_each;

/// Tiles whose share of a gradient is found at a time: they stay in a core's cache.
const TILES: usize = 128;
/// Rows of weights that a thread handles at a time: channels come by so many.
const ROWS: usize = CHANNEL_BLOCK;

impl Tiling {
    /// The weights, from PyTorch's order to the Winograd domain: `U` for the products that give small grids, `Uᵀ`
    /// for those of [`Tiling::products`] that give large ones.
    pub fn weights(&self, target: Grid, torch: &[f32], buffers: &Buffers) -> Buffer {
        let mut to = buffers.take(storage_len(&self.weight_sizes()));
        match target {
            Grid::Small => self.weights_for_small(torch, &mut to),
            Grid::Large => self.weights_for_large(torch, &mut to),
        }
        to
    }

    /// `U`: a row has a phase of a large channel, for all small channels. Large channels follow each other, then phases.
    fn weights_for_small(&self, torch: &[f32], to: &mut [f32]) {
        let (area, channels) = (self.kernel_area(), self.geometry.large[2]);
        let row_len = self.small_columns();
        let torch = Matrix::new(torch, row_len, channels * area);
        let stretches = split_views_mut(to, &self.weight_sizes(), &self.block_sizes(row_len));
        let mut blocks: Vec<_> = (0..channels / ROWS).map(|_| Vec::new()).collect();
        for (number, stretch) in stretches.into_iter().enumerate() {
            blocks[number % (channels / ROWS)].push(stretch);
        }
        for_each(blocks.into_iter().enumerate(), |(block, mut phases)| {
            let columns = block * ROWS * area..(block + 1) * ROWS * area;
            let torch = torch.some_columns(columns);
            torch.prefetch();
            with_scratch(ROWS * area * row_len, |weights| {
                transpose(torch, MatrixMut::new(weights, row_len));
                for (phase, tiles) in phases.iter_mut().enumerate() {
                    for (row, weights) in weights.chunks_exact(area * row_len).enumerate() {
                        self.kernel_transform(weights, phase, row, tiles);
                    }
                }
            });
        });
    }

    /// `Uᵀ`: a row has a phase of a small channel, for all large channels. Phases follow each other, then small channels.
    fn weights_for_large(&self, torch: &[f32], to: &mut [f32]) {
        let (area, phases) = (self.kernel_area(), self.phases());
        let row_len = self.geometry.large[2];
        let torch = Matrix::new(torch, self.small_columns() * row_len, area);
        let blocks = split_views_mut(to, &self.weight_sizes(), &self.block_sizes(row_len));
        for_each(blocks.into_iter().enumerate(), |(block, mut tiles)| {
            with_scratch(area * row_len, |weights| {
                for row in 0..tiles[0].len() / row_len {
                    let (small, phase) =
                        ((block * ROWS + row) / phases, (block * ROWS + row) % phases);
                    if row == 0 || phase == 0 {
                        let torch = torch.some_rows(small * row_len..(small + 1) * row_len);
                        transpose(torch, MatrixMut::new(weights, row_len));
                    }
                    self.kernel_transform(weights, phase, row, &mut tiles);
                }
            });
        });
    }

    /// The sizes of [`ROWS`] rows.
    fn block_sizes(&self, row_len: usize) -> Sizes {
        vec![ROWS * row_len; self.algorithm.area()]
    }

    fn kernel_area(&self) -> usize {
        self.geometry.kernel * self.geometry.kernel
    }

    /// The kernel transform of the taps of a phase, to a row of `U`. `weights` has the values of a row for each tap.
    fn kernel_transform(&self, weights: &[f32], phase: usize, row: usize, to: &mut [&mut [f32]]) {
        let row_len = weights.len() / self.kernel_area();
        let taps = self.taps(phase, row_len, row);
        (self.algorithm.kernel.to_winograd)(weights, &mut std::iter::once(taps), to);
    }

    /// Where a phase's taps lie in weights with `each` values a tap, and where they are in the row `row` of `U`.
    fn taps(&self, phase: usize, each: usize, row: usize) -> (TileView, TileOffset) {
        let Geometry { kernel, stride, .. } = self.geometry;
        let view = TileView {
            grid: [kernel, kernel, each],
            first: [phase / stride, phase % stride],
            stride,
            phases: 1,
        };
        (view, TileOffset::even(row * each / CHANNEL_BLOCK))
    }

    /// The gradient `Vᵀ M` of `U`, as that of the weights in PyTorch's order.
    pub fn weight_gradient(
        &self,
        images: usize,
        large: &[f32],
        small: &[f32],
        torch: &mut [f32],
        buffers: &Buffers,
    ) {
        let (rows, columns) = (self.large_columns(), self.small_columns());
        let sizes = self.weight_sizes();
        let mut gradient = buffers.take(storage_len(&sizes));
        let grid_sizes = |grid| scaled(&self.sizes(grid), images);
        let (large_sizes, small_sizes) = (grid_sizes(Grid::Large), grid_sizes(Grid::Small));
        let grids = views(large, &large_sizes).zip(views(small, &small_sizes));
        let products = views_mut(&mut gradient, &sizes).into_iter().zip(grids);
        for_each(products, |(gradient, (large, small))| {
            let mut gradient = MatrixMut::new(gradient, columns);
            let mut destination = Destination::Overwrite;
            let parts = large
                .chunks(TILES * rows)
                .zip(small.chunks(TILES * columns));
            for (large, small) in parts {
                let large = Matrix::new(large, large.len() / rows, rows);
                let small = Matrix::new(small, small.len() / columns, columns);
                matmul_transposed(large, small, gradient.reborrow(), destination);
                destination = Destination::Add;
            }
        });
        self.torch_gradient(&gradient, torch);
    }

    /// The adjoint of what [`Tiling::weights`] does for small grids.
    fn torch_gradient(&self, from: &[f32], torch: &mut [f32]) {
        let (area, channels) = (self.kernel_area(), self.geometry.large[2]);
        let columns = self.small_columns();
        let tiles: Vec<_> = views(from, &self.weight_sizes()).collect();
        let blocks = MatrixMut::new(torch, channels * area).by_columns(ROWS * area);
        for_each(blocks.enumerate(), |(block, to)| {
            with_scratch(ROWS * area * columns, |weights| {
                for phase in 0..self.phases() {
                    for (row, weights) in weights.chunks_exact_mut(area * columns).enumerate() {
                        let row = phase * channels + block * ROWS + row;
                        self.kernel_transform_adjoint(&tiles, row, phase, weights);
                    }
                }
                transpose(Matrix::new(weights, ROWS * area, columns), to);
            });
        });
    }

    /// The adjoint of [`Tiling::kernel_transform`].
    fn kernel_transform_adjoint(
        &self,
        from: &[&[f32]],
        row: usize,
        phase: usize,
        weights: &mut [f32],
    ) {
        let row_len = self.small_columns();
        let taps = self.taps(phase, row_len, row);
        (self.algorithm.kernel.from_winograd)(from, &mut std::iter::once(taps), weights);
    }
}

//! Convolutions tile by tile in the Winograd domain.
//!
//! A tile is a square of a small grid and what a convolution reads for it. A stride is no obstacle: every
//! `stride`-th pixel makes a grid of its own with `kernel / stride` taps, a convolution of stride 1 (the decomposition
//! of DWM: Huang et al., 2020, <https://arxiv.org/abs/2002.00552>). These phases are further channels of the large grid.
//!
//! In the Winograd domain a convolution is one matrix product a point. With `V` the transformed tiles of the large grid
//! (a row a tile, a column a phase and channel), `M` those of the small grid and `U` the transformed weights, the three
//! products of [`crate::kernels::convolution`] are `M = V U`, `V = M Uᵀ` and the gradient `Vᵀ M`, and each way back from
//! the domain is the adjoint of the way there.

use super::algorithm::{ALGORITHMS, Algorithm, Pair};
use super::layout::{Cut, Sizes, TileOffset, scaled, views, views_mut};
use super::tile::TileView;
use super::transforms::{CHANNEL_BLOCK, MOST_DROPPED};
use crate::kernels::geometry::{Geometry, Grid};
use crate::kernels::matmul::{MatrixMut, prefetch};
use crate::kernels::scratch::with_scratch;
use crate::kernels::streamed_matmul;
use crate::kernels::transpose::transpose_slice;
use crate::parallel::for_each;
use std::array::from_fn;

/// Columns of `Uᵀ` that are transposed at a time, and stay in a core's first cache.
const TRANSPOSED: usize = 64;

/// How a convolution is cut into tiles.
#[derive(Debug, Clone, Copy)]
pub struct Tiling {
    pub(super) geometry: Geometry,
    pub(super) algorithm: &'static Algorithm,
    cut: Cut,
}

impl Tiling {
    /// The tiling of a convolution that is worth it, one with neither too few nor too many taps, and with channels by the
    /// block: of those there are the cheapest for a batch as it is by default. It is the same for any batch, as results
    /// are.
    pub fn of(geometry: Geometry) -> Option<Self> {
        let by_block = |[_, _, channels]: [usize; 3]| channels.is_multiple_of(CHANNEL_BLOCK);
        if !by_block(geometry.large) || !by_block(geometry.small) {
            return None;
        }
        let taps_fit = |of: &&Algorithm| of.taps * geometry.stride == geometry.kernel;
        let tilings = ALGORITHMS.iter().filter(taps_fit);
        let tilings = tilings.map(|algorithm| Self::with(geometry, algorithm));
        tilings.min_by_key(Self::cost)
    }

    fn with(geometry: Geometry, algorithm: &'static Algorithm) -> Self {
        let side = algorithm.outputs();
        let [rows, columns, _] = geometry.small;
        let tiles = [rows, columns].map(|size| size.div_ceil(side));
        let whole = [rows, columns].map(|size| (size / side).max(1));
        let missing = |size: usize| match size < side {
            true => 0,
            false => (size.next_multiple_of(side) - size).min(MOST_DROPPED),
        };
        let cut = Cut {
            alpha: algorithm.alpha,
            tiles,
            whole,
            dropped: [rows, columns].map(missing),
        };
        Self {
            geometry,
            algorithm,
            cut,
        }
    }

    /// Values that a step transforms for an image of a batch: more points make fewer of tiles, and more of weights.
    fn cost(&self) -> usize {
        /// Images of a batch, as it is by default.
        const IMAGES: usize = 64;
        let grids = [Grid::Large, Grid::Small];
        let tiles: usize = grids.iter().flat_map(|grid| self.sizes(*grid)).sum();
        // Of tiles there are those of either grid on both ways; of weights those of each way, and their gradient.
        2 * tiles + 3 * self.weight_sizes().iter().sum::<usize>() / IMAGES
    }

    /// Whether the weights take so much of a core's second-level cache that it is not worth fetching them for a few
    /// images: `U` with more than a mebibyte.
    pub fn has_large_weights(&self) -> bool {
        const MOST: usize = (1 << 20) / size_of::<f32>();
        self.weight_sizes().iter().sum::<usize>() > MOST
    }

    pub(super) fn phases(&self) -> usize {
        self.geometry.stride * self.geometry.stride
    }

    /// Columns of `V`: phases and channels of the large grid.
    pub(super) fn large_columns(&self) -> usize {
        self.phases() * self.geometry.large[2]
    }

    /// Columns of `M`: channels of the small grid.
    pub(super) fn small_columns(&self) -> usize {
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
    pub(super) fn weight_sizes(&self) -> Sizes {
        vec![self.large_columns() * self.small_columns(); self.algorithm.area()]
    }

    /// Values of `V` or `M` for an image.
    pub fn sizes(&self, grid: Grid) -> Sizes {
        self.cut.sizes(self.columns(grid))
    }

    /// The tiles of an image: where each lies on the grid, and where it is in `V` or `M`.
    fn tiles(self, grid: Grid, image: usize) -> impl Iterator<Item = (TileView, TileOffset)> {
        let Geometry {
            large,
            small,
            stride,
            pad,
            ..
        } = self.geometry;
        let blocks = self.columns(grid) / CHANNEL_BLOCK;
        let (grid, stride, pad) = match grid {
            Grid::Large => (large, stride, pad),
            Grid::Small => (small, 1, [0, 0]),
        };
        let step = self.algorithm.outputs() * stride;
        let [rows, columns] = self.cut.tiles;
        (0..rows * columns).map(move |number| {
            let tile = [number / columns, number % columns];
            let view = TileView {
                grid,
                first: from_fn(|axis| (tile[axis] * step).wrapping_sub(pad[axis])),
                stride,
                phases: stride,
            };
            (view, self.cut.offset(image, tile, blocks))
        })
    }

    /// Grids to the Winograd domain: large ones to `V`, by the input transform; small ones to `M`, by the adjoint of the
    /// output transform.
    pub fn transform(&self, grid: Grid, from: &[f32], to: &mut [&mut [f32]]) {
        let images = from.chunks_exact(self.geometry.values(grid)).enumerate();
        for (image, from) in images {
            // In turn: tiles read it in an order that a processor does not foresee.
            prefetch(from);
            (self.pair(grid).to_winograd)(from, &mut self.tiles(grid, image), to);
        }
    }

    /// The adjoint of [`Tiling::transform`]: small grids from `M`, by the output transform; large ones from `V`.
    pub fn transform_back(&self, grid: Grid, from: &[&mut [f32]], to: &mut [f32]) {
        let from: Vec<_> = from.iter().map(|tiles| &**tiles).collect();
        let images = to.chunks_exact_mut(self.geometry.values(grid)).enumerate();
        for (image, to) in images {
            // Tiles of large grids overlap, and are added to what is there; those of small ones replace it. But places
            // far apart that are not in cache are written much faster where all of them were written in turn before.
            to.fill(0.0);
            (self.pair(grid).from_winograd)(&from, &mut self.tiles(grid, image), to);
        }
    }

    /// The transforms of a grid's tiles.
    fn pair(&self, grid: Grid) -> &'static Pair {
        match grid {
            Grid::Large => &self.algorithm.read,
            Grid::Small => &self.algorithm.written,
        }
    }

    /// The products at each point of the domain that give the `target` grid: `M = V U` or `V = M Uᵀ`. `weights` is what
    /// [`Tiling::weights`] gave for it.
    pub fn products(
        &self,
        target: Grid,
        from: &[&mut [f32]],
        weights: &[f32],
        to: &mut [&mut [f32]],
    ) {
        let weights = views(weights, &self.weight_sizes());
        for ((from, weights), to) in from.iter().zip(weights).zip(to) {
            let to = MatrixMut::new(to, self.columns(target));
            streamed_matmul::matmul(from, weights, to);
        }
    }

    /// The same products for `images` images, on all threads. `weights` is `U` for either grid: with more than a few tiles, it
    /// takes longer to write and read a large `Uᵀ` than to transpose some rows of `U` at a time, within a core's cache.
    pub fn products_on_all_threads(
        &self,
        target: Grid,
        images: usize,
        from: &[f32],
        weights: &[f32],
        to: &mut [f32],
    ) {
        let sizes = |grid| scaled(&self.sizes(grid), images);
        let source = match target {
            Grid::Small => Grid::Large,
            Grid::Large => Grid::Small,
        };
        let (inner, columns) = (self.columns(source), self.columns(target));
        // Tiles and columns that a thread handles at a time.
        let block = match target {
            // Few tiles, for threads to share evenly what there is. The next ones read the same weights, which are in a
            // thread's cache by then.
            Grid::Small => [96, columns],
            // As many tiles as stay in cache, for all of them to share what is transposed; and that twice, as products of
            // few tiles are soon done.
            Grid::Large => [512, 2 * TRANSPOSED],
        };
        let from = views(from, &sizes(source));
        let to = views_mut(to, &sizes(target));
        let points = from.zip(views(weights, &self.weight_sizes())).zip(to);
        let parts = points.flat_map(|((from, weights), to)| {
            let blocks = MatrixMut::new(to, columns).by_blocks(block);
            blocks.map(move |([tiles, columns], to)| {
                let from = &from[tiles.start * inner..tiles.end * inner];
                (from, weights, columns, to)
            })
        });
        for_each(parts, |(from, weights, columns, to)| match target {
            Grid::Small => streamed_matmul::matmul(from, weights, to),
            Grid::Large => {
                let rows =
                    weights[columns.start * inner..columns.end * inner].chunks(TRANSPOSED * inner);
                for (rows, to) in rows.zip(to.by_columns(TRANSPOSED)) {
                    with_scratch(rows.len(), |transposed| {
                        prefetch(rows);
                        transpose_slice(rows, to.columns(), transposed);
                        streamed_matmul::matmul(from, transposed, to);
                    });
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::buffers::Buffers;
    use crate::kernels::winograd::layout::{storage_len, views_mut};
    use crate::rng::{Purpose, normal};

    const IMAGES: usize = 2;

    /// A convolution to a grid, with zeros around what it reads or without, from 32 channels to 16.
    fn geometry(kernel: usize, stride: usize, small: [usize; 2], pad: usize) -> Geometry {
        let large = small.map(|size| (size - 1) * stride + kernel - 2 * pad);
        Geometry {
            large: [large[0], large[1], 32],
            small: [small[0], small[1], 16],
            kernel,
            stride,
            pad: [pad, pad],
        }
    }

    fn random(number: u64, len: usize) -> Vec<f32> {
        normal(number, Purpose::Weights, 0, len)
    }

    /// Calls `visit` with the indices of each large value, small value and weight that a convolution multiplies.
    fn each_product(g: Geometry, mut visit: impl FnMut(usize, usize, usize)) {
        let at = |grid: [usize; 3], image, row, column| {
            ((image * grid[0] + row) * grid[1] + column) * grid[2]
        };
        let places = (0..IMAGES * g.small[0] * g.small[1] * g.kernel * g.kernel).map(|number| {
            let (rest, tap) = (
                number / (g.kernel * g.kernel),
                number % (g.kernel * g.kernel),
            );
            let (rest, column) = (rest / g.small[1], rest % g.small[1]);
            (rest / g.small[0], rest % g.small[0], column, tap)
        });
        for (image, row, column, tap) in places {
            let large = [(row, tap / g.kernel, 0), (column, tap % g.kernel, 1)]
                .map(|(place, tap, axis)| (place * g.stride + tap).wrapping_sub(g.pad[axis]));
            if large[0] < g.large[0] && large[1] < g.large[1] {
                let large = at(g.large, image, large[0], large[1]);
                let small = at(g.small, image, row, column);
                let [l, s] = [g.large[2], g.small[2]];
                for (l, s) in (0..l * s).map(|number| (number / s, number % s)) {
                    let weight = (s * g.large[2] + l) * g.kernel * g.kernel + tap;
                    visit(large + l, small + s, weight);
                }
            }
        }
    }

    /// The target's grids from the source's, through the Winograd domain; and the source's transformed tiles.
    fn convolved(tiling: Tiling, target: Grid, from: &[f32], weight: &[f32]) -> [Vec<f32>; 2] {
        let source = match target {
            Grid::Large => Grid::Small,
            Grid::Small => Grid::Large,
        };
        let [source_sizes, target_sizes] =
            [source, target].map(|grid| scaled(&tiling.sizes(grid), IMAGES));
        let weights = tiling.weights(target, weight, &used_buffers(&tiling));
        // What is left of something else must not matter.
        let mut transformed = vec![f32::NAN; storage_len(&source_sizes)];
        let mut products = vec![f32::NAN; storage_len(&target_sizes)];
        let mut to = vec![f32::NAN; IMAGES * tiling.geometry.values(target)];
        let mut tiles = views_mut(&mut transformed, &source_sizes);
        tiling.transform(source, from, &mut tiles);
        let mut target_tiles = views_mut(&mut products, &target_sizes);
        tiling.products(target, &tiles, &weights, &mut target_tiles);
        let mut on_all_threads = vec![f32::NAN; products.len()];
        let weights = tiling.weights(Grid::Small, weight, &used_buffers(&tiling));
        tiling.products_on_all_threads(target, IMAGES, &transformed, &weights, &mut on_all_threads);
        let target_tiles = views_mut(&mut products, &target_sizes);
        let same = target_tiles
            .iter()
            .zip(views(&on_all_threads, &target_sizes));
        assert!(same.into_iter().all(|(tiles, again)| **tiles == *again));
        tiling.transform_back(target, &target_tiles, &mut to);
        [to, transformed]
    }

    /// Buffers for weights that hold something else.
    fn used_buffers(tiling: &Tiling) -> Buffers {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(storage_len(&tiling.weight_sizes()));
        buffer.fill(f32::NAN);
        drop(buffer);
        buffers
    }

    fn check_near(found: &[f32], expected: &[f64], what: &str) {
        let largest = expected.iter().fold(0f64, |most, v| most.max(v.abs()));
        for (found, expected) in found.iter().zip(expected) {
            let near = (f64::from(*found) - expected).abs() < 2e-5 * largest;
            assert!(near, "{what}: {found} is not {expected}");
        }
    }

    /// Checks all three products of a convolution.
    fn check(tiling: Tiling) {
        let g = tiling.geometry;
        let weight = random(1, g.large[2] * g.small[2] * g.kernel * g.kernel);
        let large = random(2, IMAGES * g.values(Grid::Large));
        let small = random(3, IMAGES * g.values(Grid::Small));
        let mut expected = [large.len(), small.len(), weight.len()].map(|len| vec![0.0; len]);
        each_product(g, |l, s, w| {
            let [large, small, weight] = [large[l], small[s], weight[w]].map(f64::from);
            expected[0][l] += small * weight;
            expected[1][s] += large * weight;
            expected[2][w] += large * small;
        });
        let [to_small, v] = convolved(tiling, Grid::Small, &large, &weight);
        let [to_large, m] = convolved(tiling, Grid::Large, &small, &weight);
        let mut gradient = vec![f32::NAN; weight.len()];
        let buffers = used_buffers(&tiling);
        tiling.weight_gradient(IMAGES, &v, &m, &mut gradient, &buffers);
        let of = format!("{} points, {g:?}", tiling.algorithm.alpha);
        check_near(&to_large, &expected[0], &format!("large grids, {of}"));
        check_near(&to_small, &expected[1], &format!("small grids, {of}"));
        check_near(&gradient, &expected[2], &format!("gradient, {of}"));
    }

    #[test]
    fn every_algorithm_gives_the_convolution_and_its_gradients_on_grids_of_every_rest() {
        let grids = (1..=15).map(|rows| [rows, (rows * 4) % 15 + 1]);
        for (grid, algorithm) in grids.flat_map(|grid| ALGORITHMS.iter().map(move |a| (grid, a))) {
            // Eight points lose more digits, and the more so the more there is to add up.
            let stride = 1 + grid[0] % if algorithm.alpha == 5 { 4 } else { 3 };
            let kernel = algorithm.taps * stride;
            let least = grid[0].min(grid[1]);
            let pad = (grid[0] % 3).min(((least - 1) * stride + kernel - 1) / 2);
            let mut g = geometry(kernel, stride, grid, pad);
            // What is left over is read by no place.
            (g.large[0], g.large[1]) = (g.large[0] + grid[1] % stride, g.large[1] + stride - 1);
            check(Tiling::with(g, algorithm));
        }
    }

    #[test]
    fn many_channels_and_more_tiles_than_are_handled_at_a_time_give_the_same() {
        let mut channels = geometry(4, 2, [3, 5], 1);
        (channels.large[2], channels.small[2]) = (64, 64);
        check(Tiling::with(channels, &ALGORITHMS[0]));
        let tiles = Tiling::with(geometry(4, 1, [49, 25], 1), &ALGORITHMS[2]);
        assert!(IMAGES * tiles.cut.tiles[0] * tiles.cut.tiles[1] > 512);
        check(tiles);
    }

    #[test]
    fn kernels_of_every_size_are_tiled_or_not() {
        for kernel in 1..=12 {
            for stride in 1..=4 {
                let taps = kernel / stride;
                let tiled = kernel % stride == 0 && (2..=4).contains(&taps);
                assert_eq!(
                    Tiling::of(geometry(kernel, stride, [7, 7], 0)).is_some(),
                    tiled,
                    "{kernel} by {stride}"
                );
            }
        }
    }

    #[test]
    fn more_points_are_for_more_taps_and_larger_grids() {
        let alpha = |kernel, stride, grid| {
            let mut geometry = geometry(kernel, stride, grid, 0);
            (geometry.large[2], geometry.small[2]) = (64, 64);
            Tiling::of(geometry).map(|tiling| tiling.algorithm.alpha)
        };
        assert_eq!(alpha(4, 2, [7, 7]), Some(5));
        assert_eq!(alpha(4, 2, [32, 32]), Some(5));
        assert_eq!(alpha(4, 1, [2, 2]), Some(5));
        assert_eq!(alpha(4, 1, [7, 7]), Some(8));
        assert_eq!(alpha(3, 1, [14, 14]), Some(8));
    }
}

//! Tiles on their way to the Winograd domain and back, along both axes.

use super::layout::TileOffset;
use super::transforms::{ALPHA, CHANNEL_BLOCK, ChannelBlock, Transform, TransformMatrix};
use crate::kernels::elementwise::add;

/// Where a tile lies on a grid, in values.
#[derive(Clone, Copy)]
pub struct TileView {
    /// Its first value.
    pub first: usize,
    /// From a row to the next.
    pub row: usize,
    /// From a column to the next.
    pub column: usize,
    /// Channels, a multiple of [`CHANNEL_BLOCK`].
    pub channels: usize,
}

impl TileView {
    #[inline(always)]
    fn of(&self, row: usize, column: usize) -> usize {
        self.first + row * self.row + column * self.column
    }
}

/// Scratch for a tile that is transformed along one axis only. Who handles many tiles makes it once.
pub type HalfTransformed<const M: usize, const N: usize> = [[ChannelBlock; N]; M];

/// From a grid to the Winograd domain: `T d Tᵀ`, for each channel of the tile `d`. `T` is [`B_T`] for the tiles that a
/// convolution reads, [`a`] for those that it writes, and [`g`] for kernels.
///
/// [`B_T`]: super::transforms::B_T
/// [`a`]: super::transforms::a
/// [`g`]: super::transforms::g
#[inline(always)]
pub fn to_winograd<const N: usize>(
    transform: &Transform<ALPHA, N>,
    grid: &[f32],
    view: TileView,
    tiles: &mut [&mut [f32]],
    offset: TileOffset,
    half: &mut HalfTransformed<ALPHA, N>,
) {
    let Transform { whole, edge } = transform;
    // One by one, for the compiler to know the matrices.
    match offset.at_edge {
        [false, false] => tile_to_winograd([whole, whole], grid, view, tiles, offset, half),
        [false, true] => tile_to_winograd([whole, edge], grid, view, tiles, offset, half),
        [true, false] => tile_to_winograd([edge, whole], grid, view, tiles, offset, half),
        [true, true] => tile_to_winograd([edge, edge], grid, view, tiles, offset, half),
    }
}

#[inline(always)]
fn tile_to_winograd<const N: usize>(
    [rows, columns]: [&TransformMatrix<ALPHA, N>; 2],
    grid: &[f32],
    view: TileView,
    tiles: &mut [&mut [f32]],
    offset: TileOffset,
    half: &mut HalfTransformed<ALPHA, N>,
) {
    for channel in (0..view.channels).step_by(CHANNEL_BLOCK) {
        for column in 0..N {
            let mut values = [[0.0; CHANNEL_BLOCK]; N];
            for (row, value) in values.iter_mut().enumerate() {
                let first = view.of(row, column) + channel;
                value.copy_from_slice(&grid[first..first + CHANNEL_BLOCK]);
            }
            for (row, half) in half.iter_mut().enumerate() {
                if rows.has(row) {
                    half[column] = product(&rows.rows[row], &values);
                }
            }
        }
        for (row, half) in half.iter().enumerate() {
            for (column, factors) in columns.rows.iter().enumerate() {
                if rows.has(row) && columns.has(column) {
                    let first = offset.of(row, column) + channel;
                    let to = &mut tiles[row * ALPHA + column][first..first + CHANNEL_BLOCK];
                    to.copy_from_slice(&product(factors, half));
                }
            }
        }
    }
}

/// The adjoint of [`to_winograd`], from the Winograd domain to a grid: `T t Tᵀ`, for each channel of the transformed tile
/// `t`. `T` is an adjoint of one of the transforms there. `add_to` tells whether that is added to what is on the grid,
/// or replaces it.
#[inline(always)]
pub fn from_winograd<const N: usize>(
    transform: &Transform<N, ALPHA>,
    tiles: &[impl AsRef<[f32]>],
    offset: TileOffset,
    grid: &mut [f32],
    view: TileView,
    add_to: bool,
    half: &mut HalfTransformed<N, ALPHA>,
) {
    let Transform { whole, edge } = transform;
    match offset.at_edge {
        [false, false] => {
            tile_from_winograd([whole, whole], tiles, offset, grid, view, add_to, half)
        }
        [false, true] => tile_from_winograd([whole, edge], tiles, offset, grid, view, add_to, half),
        [true, false] => tile_from_winograd([edge, whole], tiles, offset, grid, view, add_to, half),
        [true, true] => tile_from_winograd([edge, edge], tiles, offset, grid, view, add_to, half),
    }
}

#[inline(always)]
fn tile_from_winograd<const N: usize>(
    [rows, columns]: [&TransformMatrix<N, ALPHA>; 2],
    tiles: &[impl AsRef<[f32]>],
    offset: TileOffset,
    grid: &mut [f32],
    view: TileView,
    add_to: bool,
    half: &mut HalfTransformed<N, ALPHA>,
) {
    for channel in (0..view.channels).step_by(CHANNEL_BLOCK) {
        for column in (0..ALPHA).filter(|column| columns.has(*column)) {
            let mut values = [[0.0; CHANNEL_BLOCK]; ALPHA];
            for (row, value) in values.iter_mut().enumerate() {
                if rows.has(row) {
                    let first = offset.of(row, column) + channel;
                    let from = tiles[row * ALPHA + column].as_ref();
                    value.copy_from_slice(&from[first..first + CHANNEL_BLOCK]);
                }
            }
            for (half, factors) in half.iter_mut().zip(&rows.rows) {
                half[column] = product(factors, &values);
            }
        }
        for (row, half) in half.iter().enumerate() {
            for (column, factors) in columns.rows.iter().enumerate() {
                let values = product(factors, half);
                let first = view.of(row, column) + channel;
                let to = &mut grid[first..first + CHANNEL_BLOCK];
                match add_to {
                    true => add(to, &values),
                    false => to.copy_from_slice(&values),
                }
            }
        }
    }
}

/// The sum of blocks times factors. The compiler knows the factors: what is multiplied by 0 or 1 costs nothing.
#[inline(always)]
fn product<const N: usize>(factors: &[f32; N], blocks: &[ChannelBlock; N]) -> ChannelBlock {
    let mut sum = [-0.0; CHANNEL_BLOCK];
    for (factor, block) in factors.iter().zip(blocks) {
        if *factor != 0.0 {
            for (sum, value) in sum.iter_mut().zip(block) {
                *sum += factor * value;
            }
        }
    }
    sum
}

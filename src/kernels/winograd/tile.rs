//! One tile on its way to the Winograd domain and back, along both axes.

use super::layout::TileOffset;
use super::transforms::{
    CHANNEL_BLOCK, ChannelBlock, MOST_DROPPED, Transform, TransformMatrix, has,
};
use crate::kernels::elementwise::add;
use crate::kernels::matmul::prefetch;
use std::array::from_fn;

/// Where a tile lies on a grid, around which there are zeros.
#[derive(Clone, Copy)]
pub struct TileView {
    /// Rows, columns and channels of the grid; the channels are a multiple of [`CHANNEL_BLOCK`].
    pub grid: [usize; 3],
    /// The row and the column of its first value. Those before the grid's first have wrapped around.
    pub first: [usize; 2],
    /// From a value to the next, along either axis.
    pub stride: usize,
    /// Phases along either axis. Each is a tile of its own, one further than the last; their channels follow each other
    /// in the Winograd domain.
    pub phases: usize,
}

impl TileView {
    /// Blocks of channels of a phase.
    #[inline(always)]
    fn blocks(&self) -> usize {
        self.grid[2] / CHANNEL_BLOCK
    }

    /// Where the first blocks of channels of a phase's values are: that of a row plus that of a column.
    #[inline(always)]
    fn places<const N: usize>(&self, phase: usize) -> [[usize; N]; 2] {
        /// For rows and columns around the grid: beyond any grid, and two of them and a block still do not overflow.
        const AROUND: usize = usize::MAX / 4;
        let [rows, columns, _] = self.grid;
        let along = |first: usize, size: usize, each: usize| {
            from_fn(|value| match first.wrapping_add(value * self.stride) {
                place if place < size => place * each,
                _ => AROUND,
            })
        };
        let row = self.first[0].wrapping_add(phase / self.phases);
        let column = self.first[1].wrapping_add(phase % self.phases);
        [
            along(row, rows, columns * self.blocks()),
            along(column, columns, self.blocks()),
        ]
    }
}

/// So many blocks of channels before it is read or written, a block of a matrix is asked for: a tile has one in each of
/// many matrices, too many for a processor to notice by itself that they are read or written in turn.
const AHEAD: usize = 8;

/// Scratch for a tile that is transformed along one axis only. Who handles many tiles makes it once.
///
/// Its blocks begin at multiples of 64 bytes: one that lay across two lines of the cache would take twice as long.
#[repr(align(64))]
pub struct HalfTransformed<const M: usize, const N: usize>([[ChannelBlock; N]; M]);

impl<const M: usize, const N: usize> HalfTransformed<M, N> {
    /// Scratch of zeros.
    #[inline(always)]
    pub fn zeros() -> Self {
        Self([[[0.0; CHANNEL_BLOCK]; N]; M])
    }
}

/// Does the same with the matrix of a transform for a tile that does without some points, however many: one by one, for
/// the compiler to know the matrix.
macro_rules! with_matrix {
    ($transform:ident, $number:ident, |$matrix:ident, $dropped:ident| $body:block) => {
        match $number {
            0 => with_matrix!($transform[0], |$matrix, $dropped| $body),
            1 => with_matrix!($transform[1], |$matrix, $dropped| $body),
            2 => with_matrix!($transform[2], |$matrix, $dropped| $body),
            3 => with_matrix!($transform[3], |$matrix, $dropped| $body),
            more => unreachable!("{more} points dropped, of {MOST_DROPPED} at most"),
        }
    };
    ($transform:ident[$number:literal], |$matrix:ident, $dropped:ident| $body:block) => {{
        let ($matrix, $dropped): (&TransformMatrix<_, _>, usize) = (&$transform[$number], $number);
        $body
    }};
}

/// From a grid to the Winograd domain: `T d Tᵀ`, for each channel of the tile `d`. `T` is [`b_t`] for the tiles that a
/// convolution reads, [`a`] for those that it writes, and [`g`] for kernels.
///
/// [`b_t`]: super::transforms::b_t
/// [`a`]: super::transforms::a
/// [`g`]: super::transforms::g
#[inline(always)]
pub fn to_winograd<const ALPHA: usize, const N: usize>(
    transform: &Transform<ALPHA, N>,
    grid: &[f32],
    view: TileView,
    tiles: &mut [&mut [f32]],
    offset: TileOffset,
    HalfTransformed(half): &mut HalfTransformed<ALPHA, N>,
) {
    let (grid, _) = grid.as_chunks::<CHANNEL_BLOCK>();
    let tiles = &mut tiles[..ALPHA * ALPHA];
    let [rows, columns] = offset.dropped;
    for phase in 0..view.phases * view.phases {
        let places = view.places::<N>(phase);
        for block in 0..view.blocks() {
            with_matrix!(transform, rows, |matrix, dropped| {
                // A loop that has the same length for all tiles, for the compiler to unroll it.
                for column in (0..N).filter(|column| column + columns < N) {
                    let mut values = [[0.0; CHANNEL_BLOCK]; N];
                    for (row, value) in values.iter_mut().enumerate().take(N - dropped) {
                        if let Some(found) = grid.get(places[0][row] + places[1][column] + block) {
                            *value = *found;
                        }
                    }
                    for (row, half) in half.iter_mut().enumerate() {
                        if has(ALPHA, dropped, row) {
                            half[column] = product(&matrix[row], &values);
                        }
                    }
                }
            });
            let further = phase * view.blocks() + block;
            with_matrix!(transform, columns, |matrix, dropped| {
                for (row, half) in half.iter().enumerate() {
                    if !has(ALPHA, rows, row) {
                        continue;
                    }
                    for (column, factors) in matrix.iter().enumerate() {
                        if has(ALPHA, dropped, column) {
                            let at = offset.of::<ALPHA>(row, column) + further;
                            let (to, _) = tiles[row * ALPHA + column].as_chunks_mut();
                            prefetch_block(to, at + AHEAD);
                            to[at] = product(factors, half);
                        }
                    }
                }
            });
        }
    }
}

/// The adjoint of [`to_winograd`], from the Winograd domain to a grid: `T t Tᵀ`, for each channel of the transformed tile
/// `t`. `T` is an adjoint of one of the transforms there. `add_to` tells whether that is added to what is on the grid,
/// or replaces it.
#[inline(always)]
pub fn from_winograd<const ALPHA: usize, const N: usize>(
    transform: &Transform<N, ALPHA>,
    tiles: &[&[f32]],
    offset: TileOffset,
    grid: &mut [f32],
    view: TileView,
    add_to: bool,
    HalfTransformed(half): &mut HalfTransformed<N, ALPHA>,
) {
    let (grid, _) = grid.as_chunks_mut::<CHANNEL_BLOCK>();
    let tiles = &tiles[..ALPHA * ALPHA];
    let [rows, columns] = offset.dropped;
    for phase in 0..view.phases * view.phases {
        let places = view.places::<N>(phase);
        for block in 0..view.blocks() {
            let further = phase * view.blocks() + block;
            with_matrix!(transform, rows, |matrix, dropped| {
                for column in (0..ALPHA).filter(|column| has(ALPHA, columns, *column)) {
                    let mut values = [[0.0; CHANNEL_BLOCK]; ALPHA];
                    for (row, value) in values.iter_mut().enumerate() {
                        if has(ALPHA, dropped, row) {
                            let at = offset.of::<ALPHA>(row, column) + further;
                            let (from, _) = tiles[row * ALPHA + column].as_chunks();
                            prefetch_block(from, at + AHEAD);
                            *value = from[at];
                        }
                    }
                    for (half, factors) in half.iter_mut().zip(matrix).take(N - dropped) {
                        half[column] = product(factors, &values);
                    }
                }
            });
            with_matrix!(transform, columns, |matrix, dropped| {
                for (row, half) in half.iter().enumerate().filter(|(row, _)| row + rows < N) {
                    for (column, factors) in matrix.iter().enumerate().take(N - dropped) {
                        let place = places[0][row] + places[1][column] + block;
                        if let Some(to) = grid.get_mut(place) {
                            let values = product(factors, half);
                            match add_to {
                                true => add(to, &values),
                                false => *to = values,
                            }
                        }
                    }
                }
            });
        }
    }
}

/// Asks for a block, if there are so many.
#[inline(always)]
fn prefetch_block(blocks: &[ChannelBlock], index: usize) {
    if let Some(block) = blocks.get(index) {
        prefetch(block);
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

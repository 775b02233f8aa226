//! How transformed tiles lie in memory: a matrix for each point of the Winograd domain, with a row a tile.
//!
//! Tiles at an edge have no value at some of the points, so that the matrices differ in size.

use super::transforms::{CHANNEL_BLOCK, MOST_DROPPED, drop_order, has};
use std::array::from_fn;

/// The matrices of all points, or a stretch of each.
pub type TransformedTiles<'a> = Vec<&'a mut [f32]>;

/// The sizes of the matrices of the points, in values. None is larger than the first.
pub type Sizes = Vec<usize>;

/// How a grid is cut into tiles, along rows and columns.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Points along an axis: α.
    pub alpha: usize,
    /// Rows and columns of tiles.
    pub tiles: [usize; 2],
    /// How many of them are whole; the last may be at an edge. A tile alone counts as whole, however much of it lies
    /// beyond the grid: each point has a matrix.
    pub whole: [usize; 2],
    /// Points that a tile at an edge does without.
    pub dropped: [usize; 2],
}

impl Cut {
    /// The sizes for the tiles of an image, with `each` values a tile.
    pub fn sizes(&self, each: usize) -> Sizes {
        let along = |axis: usize, point: usize| match has(self.alpha, self.dropped[axis], point) {
            true => self.tiles[axis],
            false => self.whole[axis],
        };
        let points = 0..self.alpha;
        let row = |row| {
            points
                .clone()
                .map(move |column| along(0, row) * along(1, column) * each)
        };
        points.clone().flat_map(row).collect()
    }

    /// The offset of the tile in row and column `number` of an image, among images of [`Cut::sizes`], with `each` blocks
    /// of channels a tile.
    pub fn offset(&self, image: usize, number: [usize; 2], each: usize) -> TileOffset {
        let along = |axis: usize, order: usize| match order {
            0 => self.tiles[axis],
            order if order > self.dropped[axis] => self.tiles[axis],
            _ => self.whole[axis],
        };
        let at = |rows, columns| ((image * rows + number[0]) * columns + number[1]) * each;
        TileOffset {
            dropped: from_fn(|axis| match number[axis] < self.whole[axis] {
                true => 0,
                false => self.dropped[axis],
            }),
            at: from_fn(|row| from_fn(|column| at(along(0, row), along(1, column)))),
        }
    }
}

/// The sizes of `count` times as much.
pub fn scaled(sizes: &Sizes, count: usize) -> Sizes {
    sizes.iter().map(|size| size * count).collect()
}

/// Values from the matrix of a point to that of the next. They are not next to each other: a tile touches
/// the same place in each, and what lies a power of two apart shares a processor's few places in its cache.
fn pitch(sizes: &Sizes) -> usize {
    sizes[0] + CHANNEL_BLOCK
}

/// Values that the matrices of all points take.
pub fn storage_len(sizes: &Sizes) -> usize {
    sizes.len() * pitch(sizes)
}

/// The matrices in their [`storage_len`].
pub fn views<'a>(values: &'a [f32], sizes: &Sizes) -> impl Iterator<Item = &'a [f32]> + use<'a> {
    let matrices = values.chunks_exact(pitch(sizes)).zip(sizes.clone());
    matrices.map(|(matrix, size)| &matrix[..size])
}

/// The matrices in their [`storage_len`], to be written.
pub fn views_mut<'a>(values: &'a mut [f32], sizes: &Sizes) -> TransformedTiles<'a> {
    let matrices = values.chunks_exact_mut(pitch(sizes)).zip(sizes);
    matrices
        .map(|(matrix, size)| &mut matrix[..*size])
        .collect()
}

/// Like [`views_mut`], each matrix cut into stretches of the sizes `part`: for each stretch, that of each point.
pub fn split_views_mut<'a>(
    values: &'a mut [f32],
    sizes: &Sizes,
    part: &Sizes,
) -> Vec<TransformedTiles<'a>> {
    let mut stretches: Vec<TransformedTiles> = (0..sizes[0].div_ceil(part[0]))
        .map(|_| Vec::with_capacity(sizes.len()))
        .collect();
    for (matrix, part) in views_mut(values, sizes).into_iter().zip(part) {
        for (stretch, part) in stretches.iter_mut().zip(matrix.chunks_mut(*part)) {
            stretch.push(part);
        }
    }
    stretches
}

/// Where a tile lies in the matrices of the points, in blocks of channels.
#[derive(Clone, Copy)]
pub struct TileOffset {
    /// Points that it does without, along rows and columns.
    pub dropped: [usize; 2],
    /// In the matrices of points, by the [`drop_order`] of their row and column: tiles at an edge may be missing there.
    at: [[usize; MOST_DROPPED + 1]; MOST_DROPPED + 1],
}

impl TileOffset {
    /// The offset of a whole tile that is at the same place in all matrices.
    pub fn even(at: usize) -> Self {
        Self {
            dropped: [0; 2],
            at: [[at; MOST_DROPPED + 1]; MOST_DROPPED + 1],
        }
    }

    /// The offset in the matrix of a point, of `ALPHA` along each axis.
    #[inline(always)]
    pub fn of<const ALPHA: usize>(&self, row: usize, column: usize) -> usize {
        self.at[drop_order(ALPHA, row)][drop_order(ALPHA, column)]
    }
}

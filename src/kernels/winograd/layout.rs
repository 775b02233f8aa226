//! How transformed tiles lie in memory: a matrix for each point of the Winograd domain, with a row a tile.
//!
//! Tiles at an edge have no value at one of the points, so that the matrices differ in size.

use super::transforms::{ALPHA, AREA, CHANNEL_BLOCK, DROPPED_AT_EDGE};
use std::array::from_fn;

/// The matrices of all points, or a stretch of each.
pub type TransformedTiles<'a> = Vec<&'a mut [f32]>;

/// The sizes of the matrices of the points, in values. None is larger than the first.
pub type Sizes = [usize; AREA];

/// The sizes for `all` rows and columns of tiles, of which the first `whole` are not at an edge, with `each`
/// values a tile.
pub fn sizes(all: [usize; 2], whole: [usize; 2], each: usize) -> Sizes {
    let along =
        |axis: usize, point: usize| if point == DROPPED_AT_EDGE { whole } else { all }[axis];
    from_fn(|point| along(0, point / ALPHA) * along(1, point % ALPHA) * each)
}

/// The sizes of `count` times as much.
pub fn scaled(sizes: &Sizes, count: usize) -> Sizes {
    sizes.map(|size| size * count)
}

/// Values from the matrix of a point to that of the next. They are not next to each other: a tile touches
/// the same place in each, and what lies a power of two apart shares a processor's few places in its cache.
fn pitch(sizes: &Sizes) -> usize {
    sizes[0] + CHANNEL_BLOCK
}

/// Values that the matrices of all points take.
pub fn storage_len(sizes: &Sizes) -> usize {
    AREA * pitch(sizes)
}

/// The matrices in their [`storage_len`].
pub fn views<'a>(values: &'a [f32], sizes: &Sizes) -> impl Iterator<Item = &'a [f32]> + use<'a> {
    let matrices = values.chunks_exact(pitch(sizes)).zip(*sizes);
    matrices.map(|(matrix, size)| &matrix[..size])
}

/// The matrices in their [`storage_len`], to be written.
pub fn views_mut<'a>(values: &'a mut [f32], sizes: &Sizes) -> TransformedTiles<'a> {
    let matrices = values.chunks_exact_mut(pitch(sizes)).zip(*sizes);
    matrices.map(|(matrix, size)| &mut matrix[..size]).collect()
}

/// Like [`views_mut`], each matrix cut into stretches of the sizes `part`: for each stretch, that of each point.
pub fn split_views_mut<'a>(
    values: &'a mut [f32],
    sizes: &Sizes,
    part: &Sizes,
) -> Vec<TransformedTiles<'a>> {
    let mut stretches: Vec<TransformedTiles> = (0..sizes[0].div_ceil(part[0]))
        .map(|_| Vec::with_capacity(AREA))
        .collect();
    for (matrix, part) in views_mut(values, sizes).into_iter().zip(part) {
        for (stretch, part) in stretches.iter_mut().zip(matrix.chunks_mut(*part)) {
            stretch.push(part);
        }
    }
    stretches
}

/// Where a tile lies in the matrices of the points.
#[derive(Clone, Copy)]
pub struct TileOffset {
    /// Whether it is at an edge along rows and columns.
    pub at_edge: [bool; 2],
    /// In the matrices of most points, of those without tiles at the lower edge, at the right edge, and at either.
    at: [usize; 4],
}

impl TileOffset {
    /// The offset of the tile in row and column `number` of an image, among images whose sizes are
    /// [`sizes`]`(all, whole, each)`.
    pub fn new(
        image: usize,
        number: [usize; 2],
        all: [usize; 2],
        whole: [usize; 2],
        each: usize,
    ) -> Self {
        let at =
            |rows: usize, columns: usize| ((image * rows + number[0]) * columns + number[1]) * each;
        Self {
            at_edge: from_fn(|axis| number[axis] >= whole[axis]),
            at: [
                at(all[0], all[1]),
                at(whole[0], all[1]),
                at(all[0], whole[1]),
                at(whole[0], whole[1]),
            ],
        }
    }

    /// The offset of a whole tile that is at the same place in all matrices.
    pub fn even(at: usize) -> Self {
        Self {
            at_edge: [false; 2],
            at: [at; 4],
        }
    }

    /// The same tile, `offset` values further in each matrix.
    pub fn further(self, offset: usize) -> Self {
        Self {
            at: self.at.map(|at| at + offset),
            ..self
        }
    }

    /// The offset in the matrix of a point.
    #[inline(always)]
    pub fn of(&self, row: usize, column: usize) -> usize {
        self.at[usize::from(row == DROPPED_AT_EDGE) + 2 * usize::from(column == DROPPED_AT_EDGE)]
    }
}

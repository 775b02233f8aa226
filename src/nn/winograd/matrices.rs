//! The matrices of the points: how large they are, and where squares lie in them.

use super::points::{AREA, LINE, POINTS, SPARE};
use std::array::from_fn;

/// The matrices of the points, or a stretch of each.
pub type Points<'a> = Vec<&'a mut [f32]>;

/// The sizes of the matrices of the points, in values. None is larger than the first.
pub type Sizes = [usize; AREA];

/// The sizes for `all` rows and columns of squares, of which the first `whole` are not short, with `each`
/// values a square.
pub fn sizes(all: [usize; 2], whole: [usize; 2], each: usize) -> Sizes {
    let along = |axis: usize, point: usize| if point == SPARE { whole } else { all }[axis];
    from_fn(|point| along(0, point / POINTS) * along(1, point % POINTS) * each)
}

/// The sizes of `count` times as much.
pub fn times(sizes: &Sizes, count: usize) -> Sizes {
    sizes.map(|size| size * count)
}

/// Values from the matrix of a point to that of the next. They are not next to each other: a square touches
/// the same place in each, and what lies a power of two apart shares a processor's few places in its cache.
fn distance(sizes: &Sizes) -> usize {
    sizes[0] + LINE
}

/// Values that the matrices of all points take.
pub fn room(sizes: &Sizes) -> usize {
    AREA * distance(sizes)
}

/// The matrices of the points in their [`room`].
pub fn matrices<'a>(values: &'a [f32], sizes: &Sizes) -> impl Iterator<Item = &'a [f32]> {
    let matrices = values.chunks_exact(distance(sizes)).zip(*sizes);
    matrices.map(|(matrix, size)| &matrix[..size])
}

/// The matrices of the points in their [`room`], to be written.
pub fn points<'a>(values: &'a mut [f32], sizes: &Sizes) -> Points<'a> {
    let matrices = values.chunks_exact_mut(distance(sizes)).zip(*sizes);
    matrices.map(|(matrix, size)| &mut matrix[..size]).collect()
}

/// Like [`points`], each matrix cut into stretches of the sizes `part`: for each stretch, that of each point.
pub fn points_by<'a>(values: &'a mut [f32], sizes: &Sizes, part: &Sizes) -> Vec<Points<'a>> {
    let mut stretches: Vec<Points> = (0..sizes[0].div_ceil(part[0]))
        .map(|_| Vec::with_capacity(AREA))
        .collect();
    for (matrix, part) in points(values, sizes).into_iter().zip(part) {
        for (stretch, part) in stretches.iter_mut().zip(matrix.chunks_mut(*part)) {
            stretch.push(part);
        }
    }
    stretches
}

/// Where a square lies in the matrices of the points.
#[derive(Clone, Copy)]
pub struct Position {
    /// Whether it is short along rows and columns.
    pub short: [bool; 2],
    /// In the matrices of most points, of those that have no short rows, no short columns, and neither.
    at: [usize; 4],
}

impl Position {
    /// The position of a square in row and column `number` of an image, among images whose sizes are
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
            short: from_fn(|axis| number[axis] >= whole[axis]),
            at: [
                at(all[0], all[1]),
                at(whole[0], all[1]),
                at(all[0], whole[1]),
                at(whole[0], whole[1]),
            ],
        }
    }

    /// The position of a whole square that is at the same place in all matrices.
    pub fn even(at: usize) -> Self {
        Self {
            short: [false; 2],
            at: [at; 4],
        }
    }

    /// The same square, `offset` values further in each matrix.
    pub fn further(self, offset: usize) -> Self {
        Self {
            at: self.at.map(|at| at + offset),
            ..self
        }
    }

    #[inline(always)]
    pub fn of(&self, row: usize, column: usize) -> usize {
        self.at[usize::from(row == SPARE) + 2 * usize::from(column == SPARE)]
    }
}

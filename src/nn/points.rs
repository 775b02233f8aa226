//! Squares of a grid, and what their polynomials are at some points.
//!
//! Two polynomials can be multiplied by evaluating both at enough points, multiplying the values point by
//! point, and interpolating. Read backwards, the same matrices give several neighbouring outputs of a
//! convolution at once (Winograd, 1980; Lavin and Gray, 2016): with the points 0, 1, -1, 2 and infinity,
//! `r` taps give `6 - r` outputs for 5 multiplications rather than `r (6 - r)`. Where a grid ends before the
//! last of them, four points do for the others: a short square does without the 2.

use super::add;
use std::array::from_fn;

/// The points along one axis.
pub(super) const POINTS: usize = 5;
/// The points along rows and columns both.
pub(super) const AREA: usize = POINTS * POINTS;

/// Values of neighbouring channels that are handled at a time.
pub(super) const LINE: usize = 16;
type Line = [f32; LINE];

/// The point that a short square does without.
const SPARE: usize = 3;

/// What is done along an axis: to a whole one and to a short one.
#[derive(Clone, Copy)]
pub(super) struct Axis<const M: usize, const N: usize> {
    whole: [[f32; N]; M],
    short: [[f32; N]; M],
}

/// From five values that a convolution reads to the points: the inverse of the points' Vandermonde matrix,
/// transposed, with rows scaled to whole numbers. Short ones read four, and have the same scales.
pub(super) const INPUTS: Axis<POINTS, POINTS> = Axis {
    whole: [
        [2.0, -1.0, -2.0, 1.0, 0.0],
        [0.0, 2.0, 1.0, -1.0, 0.0],
        [0.0, -2.0, 3.0, -1.0, 0.0],
        [0.0, -1.0, 0.0, 1.0, 0.0],
        [0.0, 2.0, -1.0, -2.0, 1.0],
    ],
    short: [
        [2.0, 0.0, -2.0, 0.0, 0.0],
        [0.0, 1.0, 1.0, 0.0, 0.0],
        [0.0, -3.0, 3.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, -1.0, 0.0, 1.0, 0.0],
    ],
};

/// What undoes the scaling of [`INPUTS`].
const SCALES: [f32; POINTS] = [1.0 / 2.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 6.0, 1.0];

/// The powers of the points, up to the third. Of infinity counts the highest alone.
const POWERS: [[f32; 4]; POINTS - 1] = [
    [1.0, 0.0, 0.0, 0.0],
    [1.0, 1.0, 1.0, 1.0],
    [1.0, -1.0, 1.0, -1.0],
    [1.0, 2.0, 4.0, 8.0],
];

/// From the coefficients of a polynomial to its values at the points. A short one has one less.
pub(super) const fn coefficients<const N: usize>() -> Axis<POINTS, N> {
    let mut short = powers(N - 1);
    short[SPARE] = [0.0; N];
    Axis {
        whole: powers(N),
        short,
    }
}

/// The powers of each point that are less than `count`.
const fn powers<const N: usize>(count: usize) -> [[f32; N]; POINTS] {
    let mut matrix = [[0.0; N]; POINTS];
    let mut point = 0;
    while point < POINTS - 1 {
        let mut power = 0;
        while power < count {
            matrix[point][power] = POWERS[point][power];
            power += 1;
        }
        point += 1;
    }
    matrix[POINTS - 1][count - 1] = 1.0;
    matrix
}

/// From the taps of a kernel to the points: as [`coefficients`], and what undoes a scaling. Taps are never
/// short.
pub(super) const fn taps<const N: usize>() -> Axis<POINTS, N> {
    let mut matrix = powers(N);
    let mut point = 0;
    while point < POINTS {
        let mut tap = 0;
        while tap < N {
            matrix[point][tap] *= SCALES[point];
            tap += 1;
        }
        point += 1;
    }
    Axis {
        whole: matrix,
        short: matrix,
    }
}

impl<const M: usize, const N: usize> Axis<M, N> {
    /// The way back.
    pub(super) const fn transposed(&self) -> Axis<N, M> {
        Axis {
            whole: transposed(&self.whole),
            short: transposed(&self.short),
        }
    }
}

const fn transposed<const M: usize, const N: usize>(matrix: &[[f32; N]; M]) -> [[f32; M]; N] {
    let mut transposed = [[0.0; M]; N];
    let mut row = 0;
    while row < M {
        let mut column = 0;
        while column < N {
            transposed[column][row] = matrix[row][column];
            column += 1;
        }
        row += 1;
    }
    transposed
}

/// The matrices of the points, or a stretch of each.
pub(super) type Points<'a> = Vec<&'a mut [f32]>;

/// The sizes of the matrices of the points, in values. None is larger than the first.
pub(super) type Sizes = [usize; AREA];

/// The sizes for `all` rows and columns of squares, of which the first `whole` are not short, with `each`
/// values a square.
pub(super) fn sizes(all: [usize; 2], whole: [usize; 2], each: usize) -> Sizes {
    let along = |axis: usize, point: usize| if point == SPARE { whole } else { all }[axis];
    from_fn(|point| along(0, point / POINTS) * along(1, point % POINTS) * each)
}

/// The sizes of `count` times as much.
pub(super) fn times(sizes: &Sizes, count: usize) -> Sizes {
    sizes.map(|size| size * count)
}

/// Values from the matrix of a point to that of the next. They are not next to each other: a square touches
/// the same place in each, and what lies a power of two apart shares a processor's few places in its cache.
fn distance(sizes: &Sizes) -> usize {
    sizes[0] + LINE
}

/// Values that the matrices of all points take.
pub(super) fn room(sizes: &Sizes) -> usize {
    AREA * distance(sizes)
}

/// The matrices of the points in their [`room`].
pub(super) fn matrices<'a>(values: &'a [f32], sizes: &Sizes) -> impl Iterator<Item = &'a [f32]> {
    let matrices = values.chunks_exact(distance(sizes)).zip(*sizes);
    matrices.map(|(matrix, size)| &matrix[..size])
}

/// The matrices of the points in their [`room`], to be written.
pub(super) fn points<'a>(values: &'a mut [f32], sizes: &Sizes) -> Points<'a> {
    let matrices = values.chunks_exact_mut(distance(sizes)).zip(*sizes);
    matrices.map(|(matrix, size)| &mut matrix[..size]).collect()
}

/// Like [`points`], each matrix cut into stretches of the sizes `part`: for each stretch, that of each point.
pub(super) fn points_by<'a>(values: &'a mut [f32], sizes: &Sizes, part: &Sizes) -> Vec<Points<'a>> {
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

/// Whether a square is short along rows and columns.
pub(super) type Short = [bool; 2];

/// Where a square lies in the matrices of the points.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub short: Short,
    /// In the matrices of all points, of those without short rows, without short columns, and without either.
    at: [usize; 4],
}

impl Position {
    /// The position of a square in row and column `number` of an image, among images whose sizes are
    /// [`sizes`]`(all, whole, each)`.
    pub(super) fn new(
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
    pub(super) fn even(at: usize) -> Self {
        Self {
            short: [false; 2],
            at: [at; 4],
        }
    }

    /// The same square, `offset` values further in each matrix.
    pub(super) fn further(self, offset: usize) -> Self {
        Self {
            at: self.at.map(|at| at + offset),
            ..self
        }
    }

    #[inline(always)]
    fn of(&self, row: usize, column: usize) -> usize {
        self.at[usize::from(row == SPARE) + 2 * usize::from(column == SPARE)]
    }
}

/// Where a square lies on a grid: its first value, and how far it is to the next row and column.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub first: usize,
    pub row: usize,
    pub column: usize,
}

impl Place {
    #[inline(always)]
    fn of(&self, row: usize, column: usize) -> usize {
        self.first + row * self.row + column * self.column
    }
}

/// From a grid to the points: `axis` times a square times the transpose of `axis`, for each of the channels of
/// the square at `place`.
#[inline(always)]
pub(super) fn read<const N: usize>(
    axis: &Axis<POINTS, N>,
    grid: &[f32],
    place: Place,
    channels: usize,
    points: &mut [&mut [f32]],
    position: Position,
) {
    let work = (grid, place, channels, points, position);
    match position.short {
        [false, false] => read_square(&axis.whole, &axis.whole, false, false, work),
        [false, true] => read_square(&axis.whole, &axis.short, false, true, work),
        [true, false] => read_square(&axis.short, &axis.whole, true, false, work),
        [true, true] => read_square(&axis.short, &axis.short, true, true, work),
    }
}

#[inline(always)]
fn read_square<const N: usize>(
    along_rows: &[[f32; N]; POINTS],
    along_columns: &[[f32; N]; POINTS],
    short_rows: bool,
    short_columns: bool,
    (grid, place, channels, points, position): (&[f32], Place, usize, &mut [&mut [f32]], Position),
) {
    for channel in (0..channels).step_by(LINE) {
        let mut half = [[[0.0; LINE]; N]; POINTS];
        for column in 0..N {
            let mut values = [[0.0; LINE]; N];
            for (row, value) in values.iter_mut().enumerate() {
                let first = place.of(row, column) + channel;
                value.copy_from_slice(&grid[first..first + LINE]);
            }
            for (point, half) in half.iter_mut().enumerate() {
                if !(short_rows && point == SPARE) {
                    half[column] = product(&along_rows[point], &values);
                }
            }
        }
        for row in 0..POINTS {
            for column in 0..POINTS {
                if !(short_rows && row == SPARE || short_columns && column == SPARE) {
                    let first = position.of(row, column) + channel;
                    let to = &mut points[row * POINTS + column][first..first + LINE];
                    to.copy_from_slice(&product(&along_columns[column], &half[row]));
                }
            }
        }
    }
}

/// From the points to a grid: `axis` times the points of a square times the transpose of `axis`. `add` tells
/// whether the values at `place` are added to, or replaced.
#[inline(always)]
pub(super) fn write<const N: usize>(
    axis: &Axis<N, POINTS>,
    points: &[impl AsRef<[f32]>],
    position: Position,
    grid: &mut [f32],
    place: Place,
    channels: usize,
    add: bool,
) {
    let work = (points, position, grid, place, channels, add);
    match position.short {
        [false, false] => write_square(&axis.whole, &axis.whole, false, false, work),
        [false, true] => write_square(&axis.whole, &axis.short, false, true, work),
        [true, false] => write_square(&axis.short, &axis.whole, true, false, work),
        [true, true] => write_square(&axis.short, &axis.short, true, true, work),
    }
}

#[inline(always)]
fn write_square<const N: usize>(
    along_rows: &[[f32; POINTS]; N],
    along_columns: &[[f32; POINTS]; N],
    short_rows: bool,
    short_columns: bool,
    (points, position, grid, place, channels, add_to): (
        &[impl AsRef<[f32]>],
        Position,
        &mut [f32],
        Place,
        usize,
        bool,
    ),
) {
    for channel in (0..channels).step_by(LINE) {
        let mut half = [[[0.0; LINE]; POINTS]; N];
        for column in 0..POINTS {
            if short_columns && column == SPARE {
                continue;
            }
            let mut values = [[0.0; LINE]; POINTS];
            for (row, value) in values.iter_mut().enumerate() {
                if !(short_rows && row == SPARE) {
                    let first = position.of(row, column) + channel;
                    let from = points[row * POINTS + column].as_ref();
                    value.copy_from_slice(&from[first..first + LINE]);
                }
            }
            for (half, factors) in half.iter_mut().zip(along_rows) {
                half[column] = product(factors, &values);
            }
        }
        for (row, half) in half.iter().enumerate() {
            for (column, factors) in along_columns.iter().enumerate() {
                let line = product(factors, half);
                let first = place.of(row, column) + channel;
                let to = &mut grid[first..first + LINE];
                if add_to {
                    add(to, &line);
                } else {
                    to.copy_from_slice(&line);
                }
            }
        }
    }
}

/// The sum of lines times factors. The compiler knows the factors: what is multiplied by 0 or 1 costs nothing.
#[inline(always)]
fn product<const N: usize>(factors: &[f32; N], lines: &[Line; N]) -> Line {
    let mut sum = [-0.0; LINE];
    for (factor, line) in factors.iter().zip(lines) {
        if *factor != 0.0 {
            for (sum, value) in sum.iter_mut().zip(line) {
                *sum += factor * value;
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outputs of a convolution along one axis, through the points.
    fn through_points<const M: usize>(
        weights: &[Vec<f32>],
        read: &[[f32; POINTS]; POINTS],
        give: &[[f32; M]; POINTS],
        kernel: &[f32],
        inputs: &[f32],
    ) -> Vec<f32> {
        let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let output = |output: usize| {
            let at = |p: usize| give[p][output] * dot(&weights[p], kernel) * dot(&read[p], inputs);
            (0..POINTS).map(at).sum()
        };
        (0..M).map(output).collect()
    }

    /// Checks that `kernel`, of R taps, gives its M outputs; M - 1 where it is short.
    fn check<const R: usize, const M: usize>(kernel: [f32; R]) {
        let inputs = [0.5, -1.25, 2.0, 0.75, -3.0];
        let expected: Vec<f32> = inputs
            .windows(R)
            .map(|inputs| inputs.iter().zip(&kernel).map(|(a, b)| a * b).sum())
            .collect();
        let weights: Vec<_> = taps::<R>().whole.iter().map(|row| row.to_vec()).collect();
        let give = coefficients::<M>();
        let whole = through_points(&weights, &INPUTS.whole, &give.whole, &kernel, &inputs);
        let short = through_points(&weights, &INPUTS.short, &give.short, &kernel, &inputs);
        assert_eq!((whole.len(), expected.len()), (M, M));
        for (found, expected) in whole.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
        for (found, expected) in short.iter().zip(&expected[..M - 1]) {
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
        assert_eq!(short[M - 1], 0.0);
    }

    #[test]
    fn the_points_give_the_convolution() {
        check::<2, 4>([1.5, -0.5]);
        check::<3, 3>([1.5, -0.5, 2.0]);
        check::<4, 2>([1.5, -0.5, 2.0, 0.25]);
    }
}

//! Squares of a grid, and what their polynomials are at some points.
//!
//! Two polynomials can be multiplied by evaluating both at enough points, multiplying the values point by
//! point, and interpolating. Read backwards, the same matrices give several neighbouring outputs of a
//! convolution at once (Winograd, 1980; Lavin and Gray, 2016): with the points 0, 1, -1, 2 and infinity,
//! `r` taps give `6 - r` outputs for 5 multiplications rather than `r (6 - r)`. Where a grid ends before the
//! last of them, four points do for the others: a short square does without the 2.

use super::matrices::Position;
use crate::nn::add;

/// The points along one axis.
pub(super) const POINTS: usize = 5;
/// The points along rows and columns both.
pub(super) const AREA: usize = POINTS * POINTS;

/// Values of neighbouring channels that are handled at a time.
pub(super) const LINE: usize = 16;
type Line = [f32; LINE];

/// The point that a short square does without.
pub(super) const SPARE: usize = 3;

/// What is done along an axis: to a whole one and to a short one.
#[derive(Clone, Copy)]
pub(super) struct Axis<const M: usize, const N: usize> {
    whole: Side<M, N>,
    short: Side<M, N>,
}

/// What is done along a side of a square.
#[derive(Clone, Copy)]
struct Side<const M: usize, const N: usize> {
    matrix: [[f32; N]; M],
    /// Whether it does without [`SPARE`].
    short: bool,
}

impl<const M: usize, const N: usize> Axis<M, N> {
    const fn new(whole: [[f32; N]; M], short: [[f32; N]; M]) -> Self {
        Self {
            whole: Side {
                matrix: whole,
                short: false,
            },
            short: Side {
                matrix: short,
                short: true,
            },
        }
    }

    /// The way back.
    pub(super) const fn transposed(&self) -> Axis<N, M> {
        Axis::new(
            transposed(&self.whole.matrix),
            transposed(&self.short.matrix),
        )
    }
}

impl<const M: usize, const N: usize> Side<M, N> {
    /// Whether there is such a point.
    #[inline(always)]
    fn has(&self, point: usize) -> bool {
        !(self.short && point == SPARE)
    }
}

/// From five values that a convolution reads to the points: the inverse of the points' Vandermonde matrix,
/// transposed, with rows scaled to whole numbers. Short ones read four, and have the same scales.
pub(super) const INPUTS: Axis<POINTS, POINTS> = Axis::new(
    [
        [2.0, -1.0, -2.0, 1.0, 0.0],
        [0.0, 2.0, 1.0, -1.0, 0.0],
        [0.0, -2.0, 3.0, -1.0, 0.0],
        [0.0, -1.0, 0.0, 1.0, 0.0],
        [0.0, 2.0, -1.0, -2.0, 1.0],
    ],
    [
        [2.0, 0.0, -2.0, 0.0, 0.0],
        [0.0, 1.0, 1.0, 0.0, 0.0],
        [0.0, -3.0, 3.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, -1.0, 0.0, 1.0, 0.0],
    ],
);

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
    Axis::new(powers(N), short)
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
    Axis::new(matrix, matrix)
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

/// Where a square lies on a grid: its first value, how far it is to the next row and column, and how many
/// channels it has.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub first: usize,
    pub row: usize,
    pub column: usize,
    pub channels: usize,
}

impl Place {
    #[inline(always)]
    fn of(&self, row: usize, column: usize) -> usize {
        self.first + row * self.row + column * self.column
    }
}

/// Scratch for a square that is at the points along one axis only. Who handles many squares makes it once.
pub(super) type Half<const M: usize, const N: usize> = [[Line; N]; M];

/// From a grid to the points: `axis` times a square times the transpose of `axis`, for each of its channels.
#[inline(always)]
pub(super) fn read<const N: usize>(
    axis: &Axis<POINTS, N>,
    grid: &[f32],
    place: Place,
    points: &mut [&mut [f32]],
    position: Position,
    half: &mut Half<POINTS, N>,
) {
    let Axis { whole, short } = axis;
    // One by one, for the compiler to know the matrices.
    match position.short {
        [false, false] => read_square([whole, whole], grid, place, points, position, half),
        [false, true] => read_square([whole, short], grid, place, points, position, half),
        [true, false] => read_square([short, whole], grid, place, points, position, half),
        [true, true] => read_square([short, short], grid, place, points, position, half),
    }
}

#[inline(always)]
fn read_square<const N: usize>(
    [rows, columns]: [&Side<POINTS, N>; 2],
    grid: &[f32],
    place: Place,
    points: &mut [&mut [f32]],
    position: Position,
    half: &mut Half<POINTS, N>,
) {
    for channel in (0..place.channels).step_by(LINE) {
        for column in 0..N {
            let mut values = [[0.0; LINE]; N];
            for (row, value) in values.iter_mut().enumerate() {
                let first = place.of(row, column) + channel;
                value.copy_from_slice(&grid[first..first + LINE]);
            }
            for (row, half) in half.iter_mut().enumerate() {
                if rows.has(row) {
                    half[column] = product(&rows.matrix[row], &values);
                }
            }
        }
        for (row, half) in half.iter().enumerate() {
            for (column, factors) in columns.matrix.iter().enumerate() {
                if rows.has(row) && columns.has(column) {
                    let first = position.of(row, column) + channel;
                    let to = &mut points[row * POINTS + column][first..first + LINE];
                    to.copy_from_slice(&product(factors, half));
                }
            }
        }
    }
}

/// From the points to a grid: `axis` times the points of a square times the transpose of `axis`, for each of its
/// channels. `add_to` tells whether that is added to what is on the grid, or replaces it.
#[inline(always)]
pub(super) fn write<const N: usize>(
    axis: &Axis<N, POINTS>,
    points: &[impl AsRef<[f32]>],
    position: Position,
    grid: &mut [f32],
    place: Place,
    add_to: bool,
    half: &mut Half<N, POINTS>,
) {
    let Axis { whole, short } = axis;
    match position.short {
        [false, false] => write_square([whole, whole], points, position, grid, place, add_to, half),
        [false, true] => write_square([whole, short], points, position, grid, place, add_to, half),
        [true, false] => write_square([short, whole], points, position, grid, place, add_to, half),
        [true, true] => write_square([short, short], points, position, grid, place, add_to, half),
    }
}

#[inline(always)]
fn write_square<const N: usize>(
    [rows, columns]: [&Side<N, POINTS>; 2],
    points: &[impl AsRef<[f32]>],
    position: Position,
    grid: &mut [f32],
    place: Place,
    add_to: bool,
    half: &mut Half<N, POINTS>,
) {
    for channel in (0..place.channels).step_by(LINE) {
        for column in (0..POINTS).filter(|column| columns.has(*column)) {
            let mut values = [[0.0; LINE]; POINTS];
            for (row, value) in values.iter_mut().enumerate() {
                if rows.has(row) {
                    let first = position.of(row, column) + channel;
                    let from = points[row * POINTS + column].as_ref();
                    value.copy_from_slice(&from[first..first + LINE]);
                }
            }
            for (half, factors) in half.iter_mut().zip(&rows.matrix) {
                half[column] = product(factors, &values);
            }
        }
        for (row, half) in half.iter().enumerate() {
            for (column, factors) in columns.matrix.iter().enumerate() {
                let line = product(factors, half);
                let first = place.of(row, column) + channel;
                let to = &mut grid[first..first + LINE];
                match add_to {
                    true => add(to, &line),
                    false => to.copy_from_slice(&line),
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
        read: &Side<POINTS, POINTS>,
        give: &Side<POINTS, M>,
        kernel: &[f32],
        inputs: &[f32],
    ) -> Vec<f32> {
        let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let output = |output: usize| {
            let at = |p: usize| {
                let read = dot(&read.matrix[p], inputs);
                give.matrix[p][output] * dot(&weights[p], kernel) * read
            };
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
        let weights: Vec<_> = taps::<R>()
            .whole
            .matrix
            .iter()
            .map(|row| row.to_vec())
            .collect();
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

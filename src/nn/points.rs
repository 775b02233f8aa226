//! Squares of a grid, and what their polynomials are at some points.
//!
//! Two polynomials can be multiplied by evaluating both at enough points, multiplying the values point by
//! point, and interpolating. Read backwards, the same matrices give several neighbouring outputs of a
//! convolution at once (Winograd, 1980; Lavin and Gray, 2016): with the points 0, 1, -1, 2 and infinity,
//! `r` taps give `6 - r` outputs for 5 multiplications rather than `r (6 - r)`.

use super::add;
use std::array::from_fn;

/// The points along one axis.
pub(super) const POINTS: usize = 5;
/// The points along rows and columns both.
pub(super) const AREA: usize = POINTS * POINTS;

/// Values of neighbouring channels that are handled at a time.
pub(super) const LINE: usize = 16;
type Line = [f32; LINE];

/// A square of lines, of values or points, in the first rows and columns.
type Square = [[Line; POINTS]; POINTS];

/// From five values that a convolution reads to the points: the inverse of the points' Vandermonde matrix,
/// transposed, with rows scaled to whole numbers.
pub(super) const INPUTS: [[f32; POINTS]; POINTS] = [
    [2.0, -1.0, -2.0, 1.0, 0.0],
    [0.0, 2.0, 1.0, -1.0, 0.0],
    [0.0, -2.0, 3.0, -1.0, 0.0],
    [0.0, -1.0, 0.0, 1.0, 0.0],
    [0.0, 2.0, -1.0, -2.0, 1.0],
];

/// What undoes the scaling of [`INPUTS`].
const SCALES: [f32; POINTS] = [1.0 / 2.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 6.0, 1.0];

/// The powers of the points, up to the third. Of infinity counts the highest alone.
const POWERS: [[f32; 4]; POINTS - 1] = [
    [1.0, 0.0, 0.0, 0.0],
    [1.0, 1.0, 1.0, 1.0],
    [1.0, -1.0, 1.0, -1.0],
    [1.0, 2.0, 4.0, 8.0],
];

/// From the coefficients of a polynomial to its values at the points.
pub(super) const fn coefficients<const N: usize>() -> [[f32; N]; POINTS] {
    let mut matrix = [[0.0; N]; POINTS];
    let mut point = 0;
    while point < POINTS - 1 {
        let mut power = 0;
        while power < N {
            matrix[point][power] = POWERS[point][power];
            power += 1;
        }
        point += 1;
    }
    matrix[POINTS - 1][N - 1] = 1.0;
    matrix
}

/// From the taps of a kernel to the points: as [`coefficients`], and what undoes a scaling.
pub(super) const fn taps<const N: usize>() -> [[f32; N]; POINTS] {
    let mut matrix = coefficients::<N>();
    let mut point = 0;
    while point < POINTS {
        let mut tap = 0;
        while tap < N {
            matrix[point][tap] *= SCALES[point];
            tap += 1;
        }
        point += 1;
    }
    matrix
}

/// The way back.
pub(super) const fn transposed<const M: usize, const N: usize>(
    matrix: [[f32; N]; M],
) -> [[f32; M]; N] {
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

/// Matrices of one shape, or a stretch of each: one a point.
pub(super) type Points<'a> = Vec<&'a mut [f32]>;

/// Values from the matrix of a point to that of the next, for matrices of `len` values. They are not next to
/// each other: a square touches the same place in each, and what lies a power of two apart shares a
/// processor's few places in its cache.
fn distance(len: usize) -> usize {
    len + LINE
}

/// Values that the matrices of all points take, of `len` values each.
pub(super) fn room(len: usize) -> usize {
    AREA * distance(len)
}

/// The matrices of the points in their [`room`].
pub(super) fn matrices(values: &[f32], len: usize) -> impl Iterator<Item = &[f32]> {
    let matrices = values.chunks_exact(distance(len));
    matrices.map(move |matrix| &matrix[..len])
}

/// The matrices of the points in their [`room`], to be written.
pub(super) fn points(values: &mut [f32], len: usize) -> Points<'_> {
    let matrices = values.chunks_exact_mut(distance(len));
    matrices.map(|matrix| &mut matrix[..len]).collect()
}

/// Like [`points`], each matrix cut into stretches of `part` values: for each stretch, that of each point.
pub(super) fn points_by(values: &mut [f32], len: usize, part: usize) -> Vec<Points<'_>> {
    let mut stretches: Vec<Points> = (0..len.div_ceil(part)).map(|_| Vec::new()).collect();
    for matrix in points(values, len) {
        for (stretch, part) in stretches.iter_mut().zip(matrix.chunks_mut(part)) {
            stretch.push(part);
        }
    }
    stretches
}

/// Where the rows and columns of a square lie on a grid; those beyond its edges lie nowhere. A line lies at
/// the sum of the two.
pub(super) struct Place<const N: usize> {
    pub rows: [Option<usize>; N],
    pub columns: [Option<usize>; N],
}

impl<const N: usize> Place<N> {
    /// The place of a square whose rows and columns are this far apart.
    pub(super) fn even(first: usize, row: usize, column: usize) -> Self {
        Self {
            rows: from_fn(|index| Some(first + index * row)),
            columns: from_fn(|index| Some(index * column)),
        }
    }

    #[inline(always)]
    fn line(&self, row: usize, column: usize) -> Option<usize> {
        Some(self.rows[row]? + self.columns[column]?)
    }
}

/// From a grid to the points: `matrix` times a square times the transpose of `matrix`, for each of the
/// channels of the square at `place`. What lies nowhere is 0.
#[inline(always)]
pub(super) fn read<const N: usize>(
    matrix: &[[f32; N]; POINTS],
    grid: &[f32],
    place: &Place<N>,
    channels: usize,
    points: &mut [&mut [f32]],
    position: usize,
) {
    let mut square = [[[0.0; LINE]; POINTS]; POINTS];
    for channel in (0..channels).step_by(LINE) {
        for (row, lines) in square.iter_mut().enumerate().take(N) {
            for (column, line) in lines.iter_mut().enumerate().take(N) {
                *line = [0.0; LINE];
                if let Some(first) = place.line(row, column) {
                    line.copy_from_slice(&grid[first + channel..first + channel + LINE]);
                }
            }
        }
        transform(matrix, &mut square);
        for (values, line) in points.iter_mut().zip(square.as_flattened()) {
            values[position + channel..position + channel + LINE].copy_from_slice(line);
        }
    }
}

/// From the points to a grid, whose values at `place` are added to.
#[inline(always)]
pub(super) fn add_back<const N: usize>(
    matrix: &[[f32; POINTS]; N],
    points: &[&mut [f32]],
    position: usize,
    grid: &mut [f32],
    place: &Place<N>,
    channels: usize,
) {
    let mut square = [[[0.0; LINE]; POINTS]; POINTS];
    for channel in (0..channels).step_by(LINE) {
        for (values, line) in points.iter().zip(square.as_flattened_mut()) {
            line.copy_from_slice(&values[position + channel..position + channel + LINE]);
        }
        transform(matrix, &mut square);
        for (row, lines) in square.iter().enumerate().take(N) {
            for (column, line) in lines.iter().enumerate().take(N) {
                if let Some(first) = place.line(row, column) {
                    add(&mut grid[first + channel..first + channel + LINE], line);
                }
            }
        }
    }
}

/// Replaces `square` by `matrix` times `square` times the transpose of `matrix`, for each value of a line.
#[inline(always)]
fn transform<const M: usize, const N: usize>(matrix: &[[f32; N]; M], square: &mut Square) {
    let mut half: Square = [[[0.0; LINE]; POINTS]; POINTS];
    for column in 0..N {
        for lane in 0..LINE {
            let mut values = [0.0; N];
            for (value, lines) in values.iter_mut().zip(square.iter()) {
                *value = lines[column][lane];
            }
            for (lines, factors) in half.iter_mut().zip(matrix) {
                lines[column][lane] = product(factors, &values);
            }
        }
    }
    for (lines, half) in square.iter_mut().zip(&half).take(M) {
        for lane in 0..LINE {
            let mut values = [0.0; N];
            for (value, line) in values.iter_mut().zip(half) {
                *value = line[lane];
            }
            for (line, factors) in lines.iter_mut().zip(matrix) {
                line[lane] = product(factors, &values);
            }
        }
    }
}

/// The compiler knows the matrices: what is multiplied by 0 or 1 costs nothing.
#[inline(always)]
fn product<const N: usize>(factors: &[f32; N], values: &[f32; N]) -> f32 {
    let mut sum = -0.0;
    for (factor, value) in factors.iter().zip(values) {
        if *factor != 0.0 {
            sum += factor * value;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outputs of a convolution along one axis, through the points.
    fn through_points<const R: usize, const M: usize>(
        taps_in: [f32; R],
        inputs: [f32; 5],
    ) -> [f32; M] {
        let at = |matrix: &[f32]| -> f32 { matrix.iter().zip(&inputs).map(|(a, b)| a * b).sum() };
        let weights = taps::<R>();
        let outputs = coefficients::<M>();
        from_fn(|output| {
            (0..POINTS)
                .map(|point| {
                    let weight: f32 = weights[point]
                        .iter()
                        .zip(&taps_in)
                        .map(|(a, b)| a * b)
                        .sum();
                    outputs[point][output] * weight * at(&INPUTS[point])
                })
                .sum()
        })
    }

    #[test]
    fn the_points_give_the_convolution() {
        let inputs = [0.5, -1.25, 2.0, 0.75, -3.0];
        let close = |found: &[f32], taps: &[f32]| {
            for (first, found) in found.iter().enumerate() {
                let expected: f32 = taps.iter().zip(&inputs[first..]).map(|(a, b)| a * b).sum();
                assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
            }
        };
        close(&through_points::<2, 4>([1.5, -0.5], inputs), &[1.5, -0.5]);
        close(
            &through_points::<3, 3>([1.5, -0.5, 2.0], inputs),
            &[1.5, -0.5, 2.0],
        );
        let four = [1.5, -0.5, 2.0, 0.25];
        close(&through_points::<4, 2>(four, inputs), &four);
    }
}

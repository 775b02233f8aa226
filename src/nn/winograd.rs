//! Convolutions with fewer multiplications (Winograd, 1980; Lavin and Gray, 2016).
//!
//! Two polynomials can be multiplied by evaluating both at enough points, multiplying the values point by
//! point, and interpolating. Read backwards, the same three matrices give several neighbouring outputs of
//! a convolution at once: with the five points 0, 1, -1, 2 and infinity, `r` taps give `6 - r` outputs
//! for 5 multiplications rather than `r (6 - r)`; along rows and columns both, 25 rather than 64.
//!
//! A stride is no obstacle: every `stride`-th pixel makes a grid of its own with `r = kernel / stride`
//! taps, a convolution of stride 1. These phases are further input channels.
//!
//! In the space of the points a convolution is one matrix product a point. With `V` the tiles of the
//! large grid (a row a tile, a column a phase and channel), `M` those of the small grid and `U` the
//! weights, the three products of [`super::convolution`] are `M = V U`, `V = M Uᵀ` and the gradient
//! `Vᵀ M`, and each transformation back is the transpose of one there.

use super::add;
use super::buffers::Buffers;
use super::convolution::Geometry;
use super::matmul::{Destination, Matrix, matmul};
use rayon::prelude::*;
use std::array::from_fn;

/// Rows of weights that a thread handles at a time.
const ROWS: usize = 16;

/// The points along one axis, and along both.
const POINTS: usize = 5;
pub(super) const AREA: usize = POINTS * POINTS;

/// Values of neighbouring channels: what is handled at a time.
const LINE: usize = 16;
type Line = [f32; LINE];

/// From five values of a large grid to the points: the inverse of the points' Vandermonde matrix,
/// transposed, with rows scaled to whole numbers.
const LARGE: [[f32; POINTS]; POINTS] = [
    [2.0, -1.0, -2.0, 1.0, 0.0],
    [0.0, 2.0, 1.0, -1.0, 0.0],
    [0.0, -2.0, 3.0, -1.0, 0.0],
    [0.0, -1.0, 0.0, 1.0, 0.0],
    [0.0, 2.0, -1.0, -2.0, 1.0],
];

/// The powers of the points, up to the third.
const POWERS: [[f32; 4]; POINTS - 1] = [
    [1.0, 0.0, 0.0, 0.0],
    [1.0, 1.0, 1.0, 1.0],
    [1.0, -1.0, 1.0, -1.0],
    [1.0, 2.0, 4.0, 8.0],
];

/// What undoes the scaling of [`LARGE`]; it is applied to the weights.
const SCALES: [f32; POINTS] = [1.0 / 2.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 6.0, 1.0];

/// From the values of a small grid to the points: those of the polynomial that has them as coefficients.
const fn small<const N: usize>() -> [[f32; N]; POINTS] {
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

/// From the taps of a kernel to the points.
const fn taps<const N: usize>() -> [[f32; N]; POINTS] {
    let mut matrix = small::<N>();
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

const fn transposed<const M: usize, const N: usize>(matrix: [[f32; N]; M]) -> [[f32; M]; N] {
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

/// A square of lines, of values, taps or points, in the first rows and columns.
type Square = [[Line; POINTS]; POINTS];

const ZEROS: Square = [[[0.0; LINE]; POINTS]; POINTS];

/// Replaces `square` by `matrix` times `square` times the transpose of `matrix`, for each of the values of a
/// line.
#[inline(always)]
fn transform<const M: usize, const N: usize>(matrix: &[[f32; N]; M], square: &mut Square) {
    let mut half = ZEROS;
    for column in 0..N {
        for lane in 0..LINE {
            let mut values = [0.0; N];
            for row in 0..N {
                values[row] = square[row][column][lane];
            }
            for row in 0..M {
                half[row][column][lane] = product(&matrix[row], &values);
            }
        }
    }
    for row in 0..M {
        for lane in 0..LINE {
            let mut values = [0.0; N];
            for column in 0..N {
                values[column] = half[row][column][lane];
            }
            for column in 0..M {
                square[row][column][lane] = product(&matrix[column], &values);
            }
        }
    }
}

/// The compiler knows the matrices: what is multiplied by 0 or 1 costs nothing.
#[inline(always)]
fn product<const N: usize>(factors: &[f32; N], values: &[f32; N]) -> f32 {
    let mut sum = -0.0;
    for index in 0..N {
        if factors[index] != 0.0 {
            sum += factors[index] * values[index];
        }
    }
    sum
}

/// The line that begins at `position`; nothing where there is no position.
#[inline(always)]
fn line(values: &[f32], position: Option<usize>) -> Line {
    let mut line = [0.0; LINE];
    if let Some(position) = position {
        line.copy_from_slice(&values[position..position + LINE]);
    }
    line
}

#[inline(always)]
fn put(values: &mut [f32], position: usize, line: &Line) {
    values[position..position + LINE].copy_from_slice(line);
}

/// Matrices of one shape, one a point, that lie one after the other in `values`.
pub(super) fn points(values: &mut [f32]) -> Points<'_> {
    let len = values.len() / AREA;
    values.chunks_exact_mut(len).collect()
}

/// Like [`points`], each matrix cut into stretches of `len` values: for each stretch, that of each point.
pub(super) fn points_by(values: &mut [f32], len: usize) -> Vec<Points<'_>> {
    let matrix = values.len() / AREA;
    let mut stretches: Vec<Points> = (0..matrix.div_ceil(len)).map(|_| Vec::new()).collect();
    for matrix in values.chunks_exact_mut(matrix) {
        for (stretch, part) in stretches.iter_mut().zip(matrix.chunks_mut(len)) {
            stretch.push(part);
        }
    }
    stretches
}

/// A matrix, or a part of one, for each point.
pub(super) type Points<'a> = Vec<&'a mut [f32]>;

#[inline(always)]
fn put_square(points: &mut [&mut [f32]], position: usize, square: &Square) {
    for (point, values) in points.iter_mut().enumerate() {
        put(values, position, &square[point / POINTS][point % POINTS]);
    }
}

#[inline(always)]
fn take_square(points: &[&mut [f32]], position: usize, square: &mut Square) {
    for (point, values) in points.iter().enumerate() {
        square[point / POINTS][point % POINTS] = line(values, Some(position));
    }
}

/// Where the rows and columns of a square lie on a grid; those beyond its edges lie nowhere. The position
/// of a line is the sum of the two.
struct Place<const N: usize> {
    rows: [Option<usize>; N],
    columns: [Option<usize>; N],
}

impl<const N: usize> Place<N> {
    #[inline(always)]
    fn position(&self, row: usize, column: usize) -> Option<usize> {
        Some(self.rows[row]? + self.columns[column]?)
    }
}

/// Takes the square at `place`, `channel` values further.
#[inline(always)]
fn take_place<const N: usize>(grid: &[f32], place: &Place<N>, channel: usize, square: &mut Square) {
    for row in 0..N {
        for column in 0..N {
            let position = place.position(row, column);
            square[row][column] = line(grid, position.map(|first| first + channel));
        }
    }
}

/// A tile of an image: its row and column there, and its number in the batch.
#[derive(Debug, Clone, Copy)]
struct Tile {
    image: usize,
    row: usize,
    column: usize,
    number: usize,
}

/// How a convolution is cut into tiles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiling {
    geometry: Geometry,
    /// Taps of a phase along one axis: from 2 to 4.
    taps: usize,
    /// Rows and columns of tiles.
    tiles: [usize; 2],
}

impl Tiling {
    /// The tiling of a convolution that is worth it: one with neither too few nor too many taps, and with
    /// channels by the line.
    pub(super) fn of(geometry: Geometry) -> Option<Self> {
        let Geometry {
            large,
            small,
            kernel,
            stride,
            ..
        } = geometry;
        let taps = kernel / stride;
        let fits = taps * stride == kernel && (2..=4).contains(&taps);
        let by_line = |channels: usize| channels.is_multiple_of(LINE);
        (fits && by_line(large[2]) && by_line(small[2])).then(|| Self {
            geometry,
            taps,
            tiles: [small[0], small[1]].map(|side| side.div_ceil(POINTS + 1 - taps)),
        })
    }

    /// Pixels of the small grid along one side of a tile.
    fn side(&self) -> usize {
        POINTS + 1 - self.taps
    }

    fn phases(&self) -> usize {
        self.geometry.stride * self.geometry.stride
    }

    /// Columns of `V`: phases and channels of the large grid.
    fn large_columns(&self) -> usize {
        self.phases() * self.geometry.large[2]
    }

    /// Columns of `M`: channels of the small grid.
    fn small_columns(&self) -> usize {
        self.geometry.small[2]
    }

    /// Values that `U` has, at all points.
    fn weights_len(&self) -> usize {
        AREA * self.large_columns() * self.small_columns()
    }

    fn tiles_per_image(&self) -> usize {
        self.tiles[0] * self.tiles[1]
    }

    /// Values that `V` has for an image, at all points.
    pub(super) fn large_len(&self) -> usize {
        AREA * self.tiles_per_image() * self.large_columns()
    }

    /// Values that `M` has for an image, at all points.
    pub(super) fn small_len(&self) -> usize {
        AREA * self.tiles_per_image() * self.small_columns()
    }

    #[inline(always)]
    fn tiles(self, images: usize) -> impl Iterator<Item = Tile> {
        let [rows, columns] = self.tiles;
        (0..images * rows * columns).map(move |number| Tile {
            image: number / (rows * columns),
            row: number / columns % rows,
            column: number % columns,
            number,
        })
    }

    /// Where a tile lies on the large grid, for one phase.
    fn large_place(&self, tile: Tile, phase: usize) -> Place<POINTS> {
        let Geometry {
            large: [rows, columns, channels],
            stride,
            pad,
            ..
        } = self.geometry;
        let place = |tile: usize, index: usize, phase: usize, pad: usize, size: usize| {
            let place = ((tile * self.side() + index) * stride + phase).wrapping_sub(pad);
            (place < size).then_some(place)
        };
        let row = |index| place(tile.row, index, phase / stride, pad[0], rows);
        let column = |index| place(tile.column, index, phase % stride, pad[1], columns);
        let first = tile.image * rows;
        Place {
            rows: from_fn(|index| Some((first + row(index)?) * columns * channels)),
            columns: from_fn(|index| Some(column(index)? * channels)),
        }
    }

    /// Where a tile lies on the small grid.
    fn small_place<const N: usize>(&self, tile: Tile) -> Place<N> {
        let [rows, columns, channels] = self.geometry.small;
        let place = |index: usize, size: usize| (index < size).then_some(index);
        let row = |index| place(tile.row * N + index, rows);
        let column = |index| place(tile.column * N + index, columns);
        let first = tile.image * rows;
        Place {
            rows: from_fn(|index| Some((first + row(index)?) * columns * channels)),
            columns: from_fn(|index| Some(column(index)? * channels)),
        }
    }

    /// Large grids to `V`.
    pub(super) fn read_large(&self, large: &[f32], to: &mut [&mut [f32]]) {
        read_large(self, large, to);
    }

    /// The transpose of [`Tiling::read_large`].
    pub(super) fn write_large(&self, from: &[&mut [f32]], large: &mut [f32]) {
        large.fill(0.0);
        write_large(self, from, large);
    }

    /// Small grids to `M`.
    pub(super) fn read_small(&self, small: &[f32], to: &mut [&mut [f32]]) {
        match self.side() {
            4 => read_small::<4>(self, small, to),
            3 => read_small::<3>(self, small, to),
            _ => read_small::<2>(self, small, to),
        }
    }

    /// The transpose of [`Tiling::read_small`].
    pub(super) fn write_small(&self, from: &[&mut [f32]], small: &mut [f32]) {
        match self.side() {
            4 => write_small::<4>(self, from, small),
            3 => write_small::<3>(self, from, small),
            _ => write_small::<2>(self, from, small),
        }
    }

    /// Which tap of the kernel is the one at `row` and `column` of a phase.
    fn tap(&self, phase: usize, row: usize, column: usize) -> usize {
        let Geometry { kernel, stride, .. } = self.geometry;
        (row * stride + phase / stride) * kernel + column * stride + phase % stride
    }

    /// `Wᵀ` to `U`.
    pub(super) fn gather_weights(&self, weight: &[f32], buffers: &Buffers) -> Vec<f32> {
        let (channels, columns) = (self.geometry.large[2], self.small_columns());
        let to = buffers.take(self.weights_len());
        self.weights(weight, to, columns, channels * columns, |row, column| {
            (row / channels, row % channels * columns + column)
        })
    }

    /// `W` to `Uᵀ`.
    pub(super) fn scatter_weights(&self, weight: &[f32], buffers: &Buffers) -> Vec<f32> {
        let channels = self.geometry.large[2];
        let row_len = weight.len() / self.small_columns();
        let to = buffers.take(self.weights_len());
        self.weights(weight, to, self.large_columns(), channels, |row, column| {
            (column / channels, row * row_len + column % channels)
        })
    }

    /// Weights to the points, as matrices with rows of `row_len` values. `place` tells the phase of a
    /// line of a row, and where its first tap is; the next tap is `next_tap` values further.
    fn weights(
        &self,
        from: &[f32],
        mut to: Vec<f32>,
        row_len: usize,
        next_tap: usize,
        place: impl Fn(usize, usize) -> (usize, usize) + Sync,
    ) -> Vec<f32> {
        match self.taps {
            2 => self.weights_by::<2>(from, &mut to, row_len, next_tap, place),
            3 => self.weights_by::<3>(from, &mut to, row_len, next_tap, place),
            _ => self.weights_by::<4>(from, &mut to, row_len, next_tap, place),
        }
        to
    }

    fn weights_by<const N: usize>(
        &self,
        from: &[f32],
        to: &mut [f32],
        row_len: usize,
        next_tap: usize,
        place: impl Fn(usize, usize) -> (usize, usize) + Sync,
    ) {
        let blocks = points_by(to, ROWS * row_len).into_par_iter();
        blocks.enumerate().for_each(|(block, mut points)| {
            let lines = (0..points[0].len()).step_by(LINE);
            for position in lines {
                let row = block * ROWS + position / row_len;
                let (phase, first) = place(row, position % row_len);
                let tap = |row, column| Some(self.tap(phase, row, column) * next_tap);
                let taps = Place {
                    rows: from_fn(|row| Some(first + tap(row, 0)?)),
                    columns: from_fn(|column| Some(tap(0, column)? - tap(0, 0)?)),
                };
                weights_line::<N>(from, &taps, &mut points, position);
            }
        });
    }

    /// The gradient `Vᵀ M` of `U`, back to the order of `Wᵀ`.
    pub(super) fn weight_gradient(
        &self,
        large: &[f32],
        small: &[f32],
        buffers: &Buffers,
    ) -> Vec<f32> {
        let (rows, columns) = (self.large_columns(), self.small_columns());
        let tiles = large.len() / (AREA * rows);
        let mut gradient = buffers.take(self.weights_len());
        gradient
            .par_chunks_mut(rows * columns)
            .zip(large.par_chunks(tiles * rows))
            .zip(small.par_chunks(tiles * columns))
            .for_each(|((gradient, large), small)| {
                let large = Matrix::new(large, tiles, rows).transposed();
                let small = Matrix::new(small, tiles, columns);
                matmul(large, small, gradient, Destination::Overwrite);
            });
        let weights = match self.taps {
            2 => self.weight_gradient_by::<2>(&mut gradient),
            3 => self.weight_gradient_by::<3>(&mut gradient),
            _ => self.weight_gradient_by::<4>(&mut gradient),
        };
        buffers.give(gradient);
        weights
    }

    fn weight_gradient_by<const N: usize>(&self, gradient: &mut [f32]) -> Vec<f32> {
        let (channels, columns) = (self.geometry.large[2], self.small_columns());
        // First with the taps of a row of `U` together, so that threads write apart.
        let mut by_row = vec![0.0; N * N * self.large_columns() * columns];
        let rows = points_by(gradient, columns).into_par_iter();
        rows.zip(by_row.par_chunks_mut(N * N * columns))
            .for_each(|(points, to)| gradient_row::<N>(&points, to));
        let mut weights = vec![0.0; by_row.len()];
        for (number, from) in by_row.chunks_exact(columns).enumerate() {
            let (row, tap) = (number / (N * N), number % (N * N));
            let tap = self.tap(row / channels, tap / N, tap % N);
            let first = (tap * channels + row % channels) * columns;
            weights[first..first + columns].copy_from_slice(from);
        }
        weights
    }

    /// `M = V U`.
    pub(super) fn gather(&self, large: &[&mut [f32]], weights: &[f32], small: &mut [&mut [f32]]) {
        products(
            large,
            self.large_columns(),
            weights,
            self.small_columns(),
            small,
        );
    }

    /// `V = M Uᵀ`.
    pub(super) fn scatter(&self, small: &[&mut [f32]], weights: &[f32], large: &mut [&mut [f32]]) {
        products(
            small,
            self.small_columns(),
            weights,
            self.large_columns(),
            large,
        );
    }
}

vectorized! {
    fn read_large(tiling: &Tiling, large: &[f32], to: &mut [&mut [f32]]) {
        let mut square = ZEROS;
        let channels = tiling.geometry.large[2];
        for tile in tiling.tiles(large.len() / tiling.geometry.large_len()) {
            for phase in 0..tiling.phases() {
                let place = tiling.large_place(tile, phase);
                let first = tile.number * tiling.large_columns() + phase * channels;
                for channel in (0..channels).step_by(LINE) {
                    take_place(large, &place, channel, &mut square);
                    transform(&LARGE, &mut square);
                    put_square(to, first + channel, &square);
                }
            }
        }
    }
}

vectorized! {
    fn write_large(tiling: &Tiling, from: &[&mut [f32]], large: &mut [f32]) {
        const MATRIX: [[f32; POINTS]; POINTS] = transposed(LARGE);
        let mut square = ZEROS;
        let channels = tiling.geometry.large[2];
        for tile in tiling.tiles(large.len() / tiling.geometry.large_len()) {
            for phase in 0..tiling.phases() {
                let place = tiling.large_place(tile, phase);
                let first = tile.number * tiling.large_columns() + phase * channels;
                for channel in (0..channels).step_by(LINE) {
                    take_square(from, first + channel, &mut square);
                    transform(&MATRIX, &mut square);
                    for row in 0..POINTS {
                        for column in 0..POINTS {
                            if let Some(first) = place.position(row, column) {
                                let to = &mut large[first + channel..first + channel + LINE];
                                add(to, &square[row][column]);
                            }
                        }
                    }
                }
            }
        }
    }
}

vectorized! {
    fn read_small<const N: usize>(tiling: &Tiling, from: &[f32], to: &mut [&mut [f32]]) {
        let mut square = ZEROS;
        let channels = tiling.geometry.small[2];
        for tile in tiling.tiles(from.len() / tiling.geometry.small_len()) {
            let place = tiling.small_place::<N>(tile);
            for channel in (0..channels).step_by(LINE) {
                take_place(from, &place, channel, &mut square);
                transform(const { &small::<N>() }, &mut square);
                put_square(to, tile.number * channels + channel, &square);
            }
        }
    }
}

vectorized! {
    fn write_small<const N: usize>(tiling: &Tiling, from: &[&mut [f32]], to: &mut [f32]) {
        let mut square = ZEROS;
        let channels = tiling.geometry.small[2];
        for tile in tiling.tiles(to.len() / tiling.geometry.small_len()) {
            let place = tiling.small_place::<N>(tile);
            for channel in (0..channels).step_by(LINE) {
                take_square(from, tile.number * channels + channel, &mut square);
                transform(const { &transposed(small::<N>()) }, &mut square);
                for row in 0..N {
                    for column in 0..N {
                        if let Some(first) = place.position(row, column) {
                            put(to, first + channel, &square[row][column]);
                        }
                    }
                }
            }
        }
    }
}

vectorized! {
    fn weights_line<const N: usize>(
        from: &[f32],
        taps_at: &Place<N>,
        points: &mut [&mut [f32]],
        position: usize,
    ) {
        let mut square = ZEROS;
        take_place(from, taps_at, 0, &mut square);
        transform(const { &taps::<N>() }, &mut square);
        put_square(points, position, &square);
    }
}

vectorized! {
    fn gradient_row<const N: usize>(points: &[&mut [f32]], to: &mut [f32]) {
        let mut square = ZEROS;
        let columns = points[0].len();
        for position in (0..columns).step_by(LINE) {
            take_square(points, position, &mut square);
            transform(const { &transposed(taps::<N>()) }, &mut square);
            for tap in 0..N * N {
                put(to, tap * columns + position, &square[tap / N][tap % N]);
            }
        }
    }
}

/// The product of `from` and `weights` at each point.
fn products(
    from: &[&mut [f32]],
    inner: usize,
    weights: &[f32],
    columns: usize,
    to: &mut [&mut [f32]],
) {
    let weights = weights.chunks_exact(inner * columns);
    for ((from, weights), to) in from.iter().zip(weights).zip(to) {
        let from = Matrix::new(from, from.len() / inner, inner);
        let weights = Matrix::new(weights, inner, columns);
        matmul(from, weights, to, Destination::Overwrite);
    }
}

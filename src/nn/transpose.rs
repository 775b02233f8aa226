//! Rows to columns.

use super::BLOCK;
use super::matmul::{Matrix, MatrixMut};
use super::parallel::for_each;
use std::array::from_fn;

/// Rows and columns that are turned at a time: a row of them is a line of a processor's cache.
const TILE: usize = 16;

type Tile = [[f32; TILE]; TILE];

/// Fills the rows of `to` with the columns of the row-major matrix `from`.
///
/// # Panics
///
/// If the shapes do not fit each other, or `from` is a transposed matrix.
pub(super) fn transpose(from: Matrix, to: MatrixMut) {
    let shape = (from.columns(), from.rows());
    assert_eq!((to.rows(), to.columns()), shape, "shape of a transpose");
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V4::try_new() {
        return avx512::transpose(simd, from, to);
    }
    by_tiles(from, to, |tile| {
        *tile = from_fn(|column| tile.map(|row| row[column]));
    });
}

/// Turns a matrix tile by tile; `turn` does so with each.
#[inline(always)]
fn by_tiles(from: Matrix, mut to: MatrixMut, turn: impl Fn(&mut Tile)) {
    let [rows, columns] = [from.rows(), from.columns()].map(|size| size / TILE * TILE);
    let mut tile = [[0.0; TILE]; TILE];
    for column in (0..columns).step_by(TILE) {
        for row in (0..rows).step_by(TILE) {
            for (index, line) in tile.iter_mut().enumerate() {
                line.copy_from_slice(&from.row(row + index)[column..column + TILE]);
            }
            turn(&mut tile);
            for (index, line) in tile.iter().enumerate() {
                to.row(column + index)[row..row + TILE].copy_from_slice(line);
            }
        }
    }
    // What is no whole tile.
    for column in 0..from.columns() {
        let first = if column < columns { rows } else { 0 };
        for (to, row) in to.row(column)[first..].iter_mut().zip(first..) {
            *to = from.row(row)[column];
        }
    }
}

/// The compiler finds no shuffles for a tile, so here they are.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{Matrix, MatrixMut, Tile, by_tiles};
    use pulp::x86::V4;
    use std::arch::x86_64::__m512;

    pub(super) fn transpose(simd: V4, from: Matrix, to: MatrixMut) {
        simd.vectorize(Transpose { simd, from, to });
    }

    struct Transpose<'a> {
        simd: V4,
        from: Matrix<'a>,
        to: MatrixMut<'a>,
    }

    impl pulp::NullaryFnOnce for Transpose<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self { simd, from, to } = self;
            by_tiles(from, to, |tile| turn(simd, tile));
        }
    }

    #[inline(always)]
    fn turn(simd: V4, tile: &mut Tile) {
        let row = |index: usize| -> __m512 { pulp::cast(tile[index]) };
        let [a0, a1, a2, a3] = fours(simd, row(0), row(1), row(2), row(3));
        let [b0, b1, b2, b3] = fours(simd, row(4), row(5), row(6), row(7));
        let [c0, c1, c2, c3] = fours(simd, row(8), row(9), row(10), row(11));
        let [d0, d1, d2, d3] = fours(simd, row(12), row(13), row(14), row(15));
        put(simd, tile, 0, [a0, b0, c0, d0]);
        put(simd, tile, 1, [a1, b1, c1, d1]);
        put(simd, tile, 2, [a2, b2, c2, d2]);
        put(simd, tile, 3, [a3, b3, c3, d3]);
    }

    /// From four rows four values each of columns c, c + 4, c + 8 and c + 12, for each c of the first four.
    #[inline(always)]
    fn fours(simd: V4, a: __m512, b: __m512, c: __m512, d: __m512) -> [__m512; 4] {
        let f = simd.avx512f;
        let [ab, cd] = [f._mm512_unpacklo_ps(a, b), f._mm512_unpacklo_ps(c, d)];
        let [ab2, cd2] = [f._mm512_unpackhi_ps(a, b), f._mm512_unpackhi_ps(c, d)];
        let [ab, cd] = [f._mm512_castps_pd(ab), f._mm512_castps_pd(cd)];
        let [ab2, cd2] = [f._mm512_castps_pd(ab2), f._mm512_castps_pd(cd2)];
        [
            f._mm512_castpd_ps(f._mm512_unpacklo_pd(ab, cd)),
            f._mm512_castpd_ps(f._mm512_unpackhi_pd(ab, cd)),
            f._mm512_castpd_ps(f._mm512_unpacklo_pd(ab2, cd2)),
            f._mm512_castpd_ps(f._mm512_unpackhi_pd(ab2, cd2)),
        ]
    }

    /// Columns c, c + 4, c + 8 and c + 12 from what [`fours`] made for c of all rows.
    #[inline(always)]
    fn put(simd: V4, tile: &mut Tile, column: usize, [a, b, c, d]: [__m512; 4]) {
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        let f = simd.avx512f;
        let [ab, cd] = [
            f._mm512_shuffle_f32x4::<EVEN>(a, b),
            f._mm512_shuffle_f32x4::<EVEN>(c, d),
        ];
        tile[column] = pulp::cast(f._mm512_shuffle_f32x4::<EVEN>(ab, cd));
        tile[column + 8] = pulp::cast(f._mm512_shuffle_f32x4::<ODD>(ab, cd));
        let [ab, cd] = [
            f._mm512_shuffle_f32x4::<ODD>(a, b),
            f._mm512_shuffle_f32x4::<ODD>(c, d),
        ];
        tile[column + 4] = pulp::cast(f._mm512_shuffle_f32x4::<EVEN>(ab, cd));
        tile[column + 12] = pulp::cast(f._mm512_shuffle_f32x4::<ODD>(ab, cd));
    }
}

/// [`transpose`] of a whole matrix of `rows` rows.
pub(super) fn turn(from: &[f32], rows: usize, to: &mut [f32]) {
    let from = Matrix::new(from, rows, to.len() / rows);
    transpose(from, MatrixMut::new(to, rows));
}

/// [`transpose`], on all threads.
pub(super) fn transpose_on_all_threads(from: Matrix, to: MatrixMut) {
    let block = (BLOCK / from.rows()).next_multiple_of(TILE).max(TILE);
    for_each(to.by_rows(block).enumerate(), |(number, to)| {
        let first = number * block;
        transpose(from.some_columns(first..first + to.rows()), to);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_rows() {
        for (rows, columns) in [
            (1, 1),
            (1, 40),
            (40, 1),
            (3, 5),
            (16, 16),
            (33, 50),
            (700, 65),
        ] {
            let from: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let place = |i: usize| from[i % rows * columns + i / rows];
            let expected: Vec<f32> = (0..rows * columns).map(place).collect();
            let matrix = Matrix::new(&from, rows, columns);
            let mut to = vec![f32::NAN; rows * columns];
            turn(&from, rows, &mut to);
            assert_eq!(to, expected, "{rows} by {columns}");
            to.fill(f32::NAN);
            transpose_on_all_threads(matrix, MatrixMut::new(&mut to, rows));
            assert_eq!(to, expected, "{rows} by {columns}");
            let first = columns / 2;
            let some = &mut to[first * rows..];
            some.fill(f32::NAN);
            let matrix = matrix.some_columns(first..columns);
            transpose(matrix, MatrixMut::new(some, rows));
            assert_eq!(to, expected, "{rows} by {columns}");
        }
    }
}

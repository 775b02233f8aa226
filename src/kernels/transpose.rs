//! Rows to columns.

use super::elementwise::BLOCK;
use super::matmul::{Matrix, MatrixMut};
use crate::parallel::for_each;
use std::array::from_fn;

/// Rows and columns that are transposed at a time: a row of them is a line of a processor's cache.
const TILE: usize = 16;

type Tile = [[f32; TILE]; TILE];

/// Fills the rows of `to` with the columns of the row-major matrix `from`.
///
/// # Panics
///
/// If the shapes do not fit each other, or `from` is a transposed matrix.
pub fn transpose(from: Matrix, to: MatrixMut) {
    let shape = (from.columns(), from.rows());
    assert_eq!((to.rows(), to.columns()), shape, "shape of a transpose");
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return avx::transpose(simd, from, to);
    }
    by_tiles(from, to, |tile, transposed| {
        *transposed = from_fn(|column| tile.map(|row| row[column]));
    });
}

/// Transposes a matrix tile by tile; `transpose_tile` does so with each. The last of a row or column overlaps with the one
/// before, where the matrix is not cut into whole ones.
#[inline(always)]
fn by_tiles(from: Matrix, mut to: MatrixMut, transpose_tile: impl Fn(&Tile, &mut Tile)) {
    let (rows, columns) = (from.rows(), from.columns());
    if rows < TILE || columns < TILE {
        for column in 0..columns {
            for (row, to) in to.row(column).iter_mut().enumerate() {
                *to = from.row(row)[column];
            }
        }
        return;
    }
    let starts = |size: usize| {
        (0..size)
            .step_by(TILE)
            .map(move |first| first.min(size - TILE))
    };
    let mut tile = [[0.0; TILE]; TILE];
    let mut transposed = tile;
    for column in starts(columns) {
        for row in starts(rows) {
            for (index, line) in tile.iter_mut().enumerate() {
                line.copy_from_slice(&from.row(row + index)[column..column + TILE]);
            }
            transpose_tile(&tile, &mut transposed);
            for (index, line) in transposed.iter().enumerate() {
                to.row(column + index)[row..row + TILE].copy_from_slice(line);
            }
        }
    }
}

/// The compiler finds no shuffles for a tile, so here they are.
#[cfg(target_arch = "x86_64")]
mod avx {
    use super::{Matrix, MatrixMut, TILE, Tile, by_tiles};
    use pulp::x86::V3;
    use std::arch::x86_64::__m256;
    use std::array::from_fn;

    /// Values of a vector.
    const LANES: usize = 8;

    pub(super) fn transpose(simd: V3, from: Matrix, to: MatrixMut) {
        simd.vectorize(Transpose { simd, from, to });
    }

    struct Transpose<'a> {
        simd: V3,
        from: Matrix<'a>,
        to: MatrixMut<'a>,
    }

    impl pulp::NullaryFnOnce for Transpose<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self { simd, from, to } = self;
            by_tiles(from, to, |tile, to| transpose_tile(simd, tile, to));
        }
    }

    #[inline(always)]
    fn transpose_tile(simd: V3, tile: &Tile, transposed: &mut Tile) {
        for row in (0..TILE).step_by(LANES) {
            for column in (0..TILE).step_by(LANES) {
                let square = from_fn(|index| vector(tile, row + index, column));
                let square = transpose_8x8(simd, square);
                for (index, vector) in square.into_iter().enumerate() {
                    let to = &mut transposed[column + index][row..row + LANES];
                    to.copy_from_slice(&pulp::cast::<_, [f32; LANES]>(vector));
                }
            }
        }
    }

    #[inline(always)]
    fn vector(tile: &Tile, row: usize, column: usize) -> __m256 {
        let values: [f32; LANES] = from_fn(|index| tile[row][column + index]);
        pulp::cast(values)
    }

    /// Eight rows of eight values to eight columns.
    #[inline(always)]
    fn transpose_8x8(simd: V3, [a, b, c, d, e, f, g, h]: [__m256; LANES]) -> [__m256; LANES] {
        let above = unpack_4x8(simd, a, b, c, d);
        let below = unpack_4x8(simd, e, f, g, h);
        let avx = simd.avx;
        from_fn(|column| {
            let (above, below) = (above[column % 4], below[column % 4]);
            match column < 4 {
                true => avx._mm256_permute2f128_ps::<0x20>(above, below),
                false => avx._mm256_permute2f128_ps::<0x31>(above, below),
            }
        })
    }

    /// From four rows four values each of columns c and c + 4, for each c of the first four.
    #[inline(always)]
    fn unpack_4x8(simd: V3, a: __m256, b: __m256, c: __m256, d: __m256) -> [__m256; 4] {
        let avx = simd.avx;
        let [ab, cd] = [avx._mm256_unpacklo_ps(a, b), avx._mm256_unpacklo_ps(c, d)];
        let [ab2, cd2] = [avx._mm256_unpackhi_ps(a, b), avx._mm256_unpackhi_ps(c, d)];
        let [ab, cd] = [avx._mm256_castps_pd(ab), avx._mm256_castps_pd(cd)];
        let [ab2, cd2] = [avx._mm256_castps_pd(ab2), avx._mm256_castps_pd(cd2)];
        [
            avx._mm256_castpd_ps(avx._mm256_unpacklo_pd(ab, cd)),
            avx._mm256_castpd_ps(avx._mm256_unpackhi_pd(ab, cd)),
            avx._mm256_castpd_ps(avx._mm256_unpacklo_pd(ab2, cd2)),
            avx._mm256_castpd_ps(avx._mm256_unpackhi_pd(ab2, cd2)),
        ]
    }
}

/// [`transpose`] of a whole matrix of `rows` rows.
pub fn transpose_slice(from: &[f32], rows: usize, to: &mut [f32]) {
    let from = Matrix::new(from, rows, to.len() / rows);
    transpose(from, MatrixMut::new(to, rows));
}

/// [`transpose_slice`] of several matrices of `rows` rows and `columns` columns, one after the other.
pub fn transpose_each(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    let size = rows * columns;
    for (to, from) in to.chunks_exact_mut(size).zip(from.chunks_exact(size)) {
        transpose_slice(from, rows, to);
    }
}

/// [`transpose`], on all threads.
pub fn transpose_on_all_threads(from: Matrix, to: MatrixMut) {
    let block = (BLOCK / from.rows()).next_multiple_of(TILE).max(TILE);
    for_each(to.by_rows(block).enumerate(), |(number, to)| {
        let first = number * block;
        let from = from.some_columns(first..first + to.rows());
        from.prefetch();
        transpose(from, to);
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
            transpose_slice(&from, rows, &mut to);
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

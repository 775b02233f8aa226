//! Rows to columns.

use super::BLOCK;
use rayon::prelude::*;

/// Rows and columns that are handled at a time: a square of them is turned in registers.
const TILE: usize = 4;

vectorized! {
    /// Fills `to` with columns of a row-major matrix, one after the other.
    ///
    /// The matrix has `rows` rows, and `stride` values from one row to the next. `from` begins at the
    /// first of the columns; how many there are follows from the length of `to`.
    pub(super) fn transpose(from: &[f32], stride: usize, rows: usize, to: &mut [f32]) {
        let columns = to.len() / rows;
        for column in (0..columns).step_by(TILE) {
            for row in (0..rows).step_by(TILE) {
                let from = &from[row * stride + column..];
                let to = &mut to[column * rows + row..];
                if row + TILE <= rows && column + TILE <= columns {
                    tile(from, stride, rows, to);
                } else {
                    let (height, width) = (TILE.min(rows - row), TILE.min(columns - column));
                    for column in 0..width {
                        for row in 0..height {
                            to[column * rows + row] = from[row * stride + column];
                        }
                    }
                }
            }
        }
    }
}

/// Transposes the first `TILE` rows and columns.
#[inline(always)]
fn tile(from: &[f32], stride: usize, rows: usize, to: &mut [f32]) {
    let row = |row: usize| &from[row * stride..row * stride + TILE];
    let (a, b, c, d) = (row(0), row(1), row(2), row(3));
    for column in 0..TILE {
        let turned = [a[column], b[column], c[column], d[column]];
        to[column * rows..column * rows + TILE].copy_from_slice(&turned);
    }
}

/// [`transpose`] of a whole matrix, on all threads; `finish` is called on each stretch of columns while
/// it is in cache.
pub(super) fn transpose_on_all_threads(
    from: &[f32],
    rows: usize,
    to: &mut [f32],
    finish: impl Fn(&mut [f32]) + Sync,
) {
    let columns = to.len() / rows;
    let block = (BLOCK / rows).max(1);
    to.par_chunks_mut(block * rows)
        .enumerate()
        .for_each(|(number, to)| {
            transpose(&from[number * block..], columns, rows, to);
            finish(to);
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
            let mut to = vec![f32::NAN; rows * columns];
            transpose(&from, columns, rows, &mut to);
            assert_eq!(to, expected, "{rows} by {columns}");
            to.fill(f32::NAN);
            transpose_on_all_threads(&from, rows, &mut to, |_| ());
            assert_eq!(to, expected, "{rows} by {columns}");
            let first = columns / 2;
            let mut some = vec![f32::NAN; (columns - first) * rows];
            transpose(&from[first..], columns, rows, &mut some);
            assert_eq!(some, expected[first * rows..], "{rows} by {columns}");
        }
    }
}

//! Products of few rows and columns, whose sums stay in registers.

use pulp::Simd;

/// Rows that are handled at a time: usual kernels and channels are multiples of it.
const ROWS: usize = 4;

/// `N` values from `first` on, which the compiler then knows to be so many.
#[inline(always)]
pub fn chunk_at<T, const N: usize>(values: &[T], first: usize) -> &[T; N] {
    match values[first..].first_chunk() {
        Some(chunk) => chunk,
        None => panic!("{N} values from {first} on, of {}", values.len()),
    }
}

/// Some neighbouring columns of a matrix of vectors.
#[derive(Clone, Copy)]
pub struct Columns<'a, V> {
    /// All of the matrix, row by row.
    pub values: &'a [V],
    /// Columns of the matrix.
    pub row_len: usize,
    /// The first of these columns.
    pub first: usize,
}

/// Adds to `sums` for each of `P` places the product of its `inner` values and as many rows of `V` columns. The values
/// of a place are `step` further than those of the place before.
#[inline(always)]
pub fn add_products<S: Simd, const P: usize, const V: usize>(
    simd: S,
    values: &[f32],
    step: usize,
    columns: Columns<S::f32s>,
    inner: usize,
    sums: &mut [[S::f32s; V]; P],
) {
    let whole = inner / ROWS * ROWS;
    for row in (0..whole).step_by(ROWS) {
        add_products_of_rows::<S, P, V, ROWS>(simd, &values[row..], step, columns, row, sums);
    }
    for row in whole..inner {
        add_products_of_rows::<S, P, V, 1>(simd, &values[row..], step, columns, row, sums);
    }
}

/// The same of `R` rows from `row` on, which the compiler then knows to be so many.
#[inline(always)]
fn add_products_of_rows<S: Simd, const P: usize, const V: usize, const R: usize>(
    simd: S,
    values: &[f32],
    step: usize,
    columns: Columns<S::f32s>,
    row: usize,
    sums: &mut [[S::f32s; V]; P],
) {
    // Checks first: among them the compiler would not keep the sums in registers. Of slices that are so long it needs
    // no further ones, where it knows the step or the length of rows.
    let values = &values[..(P - 1) * step + R];
    let mut places = [&[0.0; R]; P];
    for (place, values_of_place) in places.iter_mut().enumerate() {
        *values_of_place = chunk_at(values, place * step);
    }
    let zero = [simd.splat_f32s(0.0); V];
    let mut rows = [&zero; R];
    let matrix = &columns.values[row * columns.row_len..][..R * columns.row_len];
    for (number, columns_of_row) in rows.iter_mut().enumerate() {
        let at = number * columns.row_len + columns.first;
        *columns_of_row = chunk_at(matrix, at);
    }
    for (number, columns) in rows.into_iter().enumerate() {
        for (sums, values) in sums.iter_mut().zip(places) {
            let value = simd.splat_f32s(values[number]);
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = simd.mul_add_e_f32s(value, *column, *sum);
            }
        }
    }
}

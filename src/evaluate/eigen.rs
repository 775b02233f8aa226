//! Eigenvalues of symmetric matrices.

/// Sweeps over a matrix after which all that is left beside the diagonal is rounding.
const SWEEPS: usize = 20;

/// The eigenvalues and eigenvectors of a symmetric matrix, by rotations that make its elements zero one after the
/// other (Jacobi, 1846; Golub and Van Loan, "Matrix computations", section 8.5).
///
/// # Shapes
///
/// - matrix: (size, size)
/// - output: (size), and (size, size), of which each row is an eigenvector
pub fn symmetric_eigen(matrix: &[f64], size: usize) -> (Vec<f64>, Vec<f64>) {
    let mut matrix = matrix.to_vec();
    let mut vectors = vec![0.0; size * size];
    vectors
        .iter_mut()
        .step_by(size + 1)
        .for_each(|one| *one = 1.0);
    let scale: f64 = matrix.iter().map(|value| value * value).sum();
    for _ in 0..SWEEPS {
        let rows = (0..size).flat_map(|row| &matrix[row * size..][..row]);
        let left: f64 = rows.map(|value| value * value).sum();
        if left <= 1e-26 * scale {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                rotate(&mut matrix, &mut vectors, size, [p, q]);
            }
        }
    }
    let values = matrix.iter().step_by(size + 1).copied();
    (values.collect(), vectors)
}

/// Turns rows and columns `p` and `q` of a symmetric matrix so that their common element becomes 0.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], size: usize, [p, q]: [usize; 2]) {
    let common = matrix[p * size + q];
    if common == 0.0 {
        return;
    }
    let cotangent = (matrix[q * size + q] - matrix[p * size + p]) / (2.0 * common);
    let tangent = cotangent.signum() / (cotangent.abs() + cotangent.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    let turn = |a: f64, b: f64| (cosine * a - sine * b, sine * a + cosine * b);
    let turn_rows = |matrix: &mut [f64]| {
        let (upper, lower) = matrix.split_at_mut(q * size);
        let rows = upper[p * size..][..size].iter_mut().zip(&mut lower[..size]);
        rows.for_each(|(a, b)| (*a, *b) = turn(*a, *b));
    };
    turn_rows(matrix);
    for row in matrix.chunks_exact_mut(size) {
        (row[p], row[q]) = turn(row[p], row[q]);
    }
    turn_rows(vectors);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_its_eigenvalues_along_its_eigenvectors() {
        const SIZE: usize = 7;
        let at = |row: usize, column: usize| ((row * column + row + column) as f64).sin();
        let matrix: Vec<f64> = (0..SIZE * SIZE).map(|i| at(i / SIZE, i % SIZE)).collect();
        let (values, vectors) = symmetric_eigen(&matrix, SIZE);
        for (place, expected) in matrix.iter().enumerate() {
            let (row, column) = (place / SIZE, place % SIZE);
            let parts = values.iter().zip(vectors.chunks(SIZE));
            let found: f64 = parts.map(|(value, v)| value * v[row] * v[column]).sum();
            assert!(
                (found - expected).abs() < 1e-12,
                "{place}: {found} {expected}"
            );
        }
        for (number, v) in vectors.chunks(SIZE).enumerate() {
            for (other, w) in vectors.chunks(SIZE).enumerate() {
                let product: f64 = v.iter().zip(w).map(|(a, b)| a * b).sum();
                let expected = if number == other { 1.0 } else { 0.0 };
                assert!((product - expected).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_diagonal_matrix_has_its_diagonal() {
        let (values, _) = symmetric_eigen(&[3.0, 0.0, 0.0, -2.0], 2);
        assert_eq!(values, [3.0, -2.0]);
    }
}

//! The factor of a covariance.

/// The lower triangular matrix L with L Lᵀ = `matrix`. Where rounding, or a matrix that is none of a covariance, would
/// leave the square of a diagonal element below `least`, it is that.
///
/// # Shapes
///
/// - matrix: (size, size), of which the lower triangle is read
/// - output: (size, size), zero above the diagonal
pub fn cholesky(matrix: &[f64], size: usize, least: f64) -> Vec<f64> {
    let mut factor = vec![0.0; size * size];
    for row in 0..size {
        for column in 0..=row {
            let [a, b] = [row, column].map(|row| &factor[row * size..][..column]);
            let known = a.iter().zip(b).map(|(a, b)| a * b);
            let left = matrix[row * size + column] - known.sum::<f64>();
            factor[row * size + column] = if row == column {
                left.max(least).sqrt()
            } else {
                left / factor[column * size + column]
            };
        }
    }
    factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_times_itself_is_the_matrix() {
        let factor = cholesky(&[4.0, 9.0, 9.0, 1.0, 2.25, 9.0, -2.0, 0.5, 6.0], 3, 0.0);
        let expected = [2.0, 0.0, 0.0, 0.5, 2.0f64.sqrt(), 0.0];
        for (found, expected) in factor.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{factor:?}");
        }
        let product = |row: usize, column: usize| -> f64 {
            (0..3)
                .map(|k| factor[row * 3 + k] * factor[column * 3 + k])
                .sum()
        };
        assert!((product(2, 0) + 2.0).abs() < 1e-12);
        assert!((product(2, 1) - 0.5).abs() < 1e-12);
        assert!((product(2, 2) - 6.0).abs() < 1e-12);
    }

    #[test]
    fn what_has_no_factor_is_held_above_the_least() {
        assert_eq!(cholesky(&[0.0], 1, 0.25), [0.5]);
    }
}

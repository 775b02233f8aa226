//! How far two sets of features are apart, as normal distributions.

use super::eigen::symmetric_eigen;

/// The mean and covariance of features, in double precision.
#[derive(Debug, Clone)]
pub struct Moments {
    mean: Vec<f64>,
    /// (features, features)
    covariance: Vec<f64>,
}

impl Moments {
    /// Those of a set.
    ///
    /// # Shapes
    ///
    /// - features: (images, `width`), at least two images
    pub fn of(features: &[f32], width: usize) -> Self {
        let count = (features.len() / width) as f64;
        let mut mean = vec![0.0; width];
        for row in features.chunks_exact(width) {
            for (sum, &value) in mean.iter_mut().zip(row) {
                *sum += f64::from(value) / count;
            }
        }
        let mut covariance = vec![0.0; width * width];
        let mut from_mean = vec![0.0; width];
        for row in features.chunks_exact(width) {
            for ((to, &value), mean) in from_mean.iter_mut().zip(row).zip(&mean) {
                *to = f64::from(value) - mean;
            }
            for (sums, a) in covariance.chunks_exact_mut(width).zip(&from_mean) {
                for (sum, b) in sums.iter_mut().zip(&from_mean) {
                    *sum += a * b;
                }
            }
        }
        for sum in &mut covariance {
            *sum /= count - 1.0;
        }
        Self { mean, covariance }
    }

    /// The Frechet distance: |m - m'|² + trace(S + S' - 2 (S S')^(1/2)) (Heusel et al., 2017, equation 6, "FID").
    pub fn frechet_distance(&self, other: &Self) -> f64 {
        let width = self.mean.len();
        let means = self.mean.iter().zip(&other.mean);
        let means: f64 = means.map(|(a, b)| (a - b).powi(2)).sum();
        // (S S')^(1/2) has the trace of (R S' R)^(1/2), R the root of S; that is symmetric.
        let root = root(&self.covariance, width);
        let between = product(&product(&root, &other.covariance, width), &root, width);
        let (values, _) = symmetric_eigen(&between, width);
        let common: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
        let trace = |matrix: &[f64]| matrix.iter().step_by(width + 1).sum::<f64>();
        let distance = means + trace(&self.covariance) + trace(&other.covariance) - 2.0 * common;
        distance.max(0.0)
    }
}

/// The symmetric matrix whose square is `matrix`.
fn root(matrix: &[f64], size: usize) -> Vec<f64> {
    let (values, vectors) = symmetric_eigen(matrix, size);
    let mut root = vec![0.0; size * size];
    for (value, vector) in values.iter().zip(vectors.chunks_exact(size)) {
        let value = value.max(0.0).sqrt();
        for (row, a) in root.chunks_exact_mut(size).zip(vector) {
            for (to, b) in row.iter_mut().zip(vector) {
                *to += value * a * b;
            }
        }
    }
    root
}

fn product(left: &[f64], right: &[f64], size: usize) -> Vec<f64> {
    let mut product = vec![0.0; size * size];
    for (to, left) in product.chunks_exact_mut(size).zip(left.chunks_exact(size)) {
        for (a, right) in left.iter().zip(right.chunks_exact(size)) {
            for (to, b) in to.iter_mut().zip(right) {
                *to += a * b;
            }
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mean: [f64; 2], covariance: [f64; 4]) -> Moments {
        Moments {
            mean: mean.into(),
            covariance: covariance.into(),
        }
    }

    #[test]
    fn the_distance_is_that_of_the_formula() {
        let one = moments([0.0, 0.0], [4.0, 0.0, 0.0, 1.0]);
        assert!(one.frechet_distance(&one) < 1e-12);
        // Where the covariances commute it is |m - m'|² + |S^(1/2) - S'^(1/2)|².
        let other = moments([3.0, -4.0], [1.0, 0.0, 0.0, 9.0]);
        assert!((one.frechet_distance(&other) - (25.0 + 1.0 + 4.0)).abs() < 1e-12);
        let a = moments([0.0, 0.0], [2.0, 1.0, 1.0, 3.0]);
        let b = moments([0.0, 0.0], [1.0, -0.5, -0.5, 2.0]);
        // trace((AB)^(1/2)) = (trace AB + 2 (det AB)^(1/2))^(1/2) in two dimensions: AB has trace 7, determinant 8.75.
        let expected = 8.0 - 2.0 * (7.0 + 2.0 * 8.75f64.sqrt()).sqrt();
        assert!((a.frechet_distance(&b) - expected).abs() < 1e-12);
        assert!((b.frechet_distance(&a) - expected).abs() < 1e-12);
    }

    #[test]
    fn moments_are_those_of_the_rows() {
        let found = Moments::of(&[1.0, 2.0, 3.0, 6.0, 5.0, 4.0], 2);
        assert_eq!(found.mean, [3.0, 4.0]);
        assert_eq!(found.covariance, [4.0, 2.0, 2.0, 4.0]);
    }
}

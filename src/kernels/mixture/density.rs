//! What a mixture of normal distributions is, and how dense it is at a point.

use std::f64::consts::TAU;

/// A weighted sum of normal distributions.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// Dimensions of a point, 1 or more.
    pub dimensions: usize,
    /// What it is the sum of, one or more; their weights sum up to 1.
    pub components: Vec<Component>,
}

/// One of the normal distributions of a mixture.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Its share of the points, 0 to 1.
    pub weight: f64,
    /// Its mean: (dimensions).
    pub mean: Vec<f64>,
    /// The Cholesky factor of its covariance: (dimensions, dimensions), lower triangular, its diagonal above 0.
    pub cholesky: Vec<f64>,
}

impl Mixture {
    /// The logarithm of the density at a point.
    ///
    /// # Shapes
    ///
    /// - point: (dimensions)
    pub fn log_density(&self, point: &[f64]) -> f64 {
        let mut white = vec![0.0; self.dimensions];
        let of_each = |component: &Component| {
            component.log_scale() + component.log_form(point, &mut white, f64::NEG_INFINITY)
        };
        let logs: Vec<f64> = self.components.iter().map(of_each).collect();
        log_sum_exp(&logs)
    }
}

impl Component {
    /// The part of the logarithm of weight times density that is the same at all points.
    pub(super) fn log_scale(&self) -> f64 {
        let dimensions = self.mean.len();
        let diagonal = self.cholesky.iter().step_by(dimensions + 1);
        let volume: f64 = diagonal.map(|factor| factor.ln()).sum();
        self.weight.ln() - volume - 0.5 * dimensions as f64 * TAU.ln()
    }

    /// The part that is not; minus infinity where it is seen to be below `least`. `white` becomes what the unit normal
    /// distribution would have in the point's place.
    ///
    /// # Shapes
    ///
    /// - point, white: (dimensions)
    pub(super) fn log_form(&self, point: &[f64], white: &mut [f64], least: f64) -> f64 {
        let dimensions = point.len();
        let mut squares = 0.0;
        for row in 0..dimensions {
            let factors = &self.cholesky[row * dimensions..][..=row];
            let known = factors.iter().zip(&white[..row]).map(|(l, y)| l * y);
            let y = (point[row] - self.mean[row] - known.sum::<f64>()) / factors[row];
            white[row] = y;
            squares += y * y;
            if -0.5 * squares < least {
                return f64::NEG_INFINITY;
            }
        }
        -0.5 * squares
    }
}

/// The logarithm of a sum of numbers of which these are the logarithms.
pub fn log_sum_exp(logs: &[f64]) -> f64 {
    let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if highest == f64::NEG_INFINITY {
        return highest;
    }
    highest
        + logs
            .iter()
            .map(|log| (log - highest).exp())
            .sum::<f64>()
            .ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_are_those_of_the_definition() {
        let mixture = Mixture {
            dimensions: 2,
            components: vec![
                Component {
                    weight: 0.3,
                    mean: vec![1.0, -1.0],
                    cholesky: vec![2.0, 0.0, 0.5, 0.5],
                },
                Component {
                    weight: 0.7,
                    mean: vec![0.0; 2],
                    cholesky: vec![1.0, 0.0, 0.0, 1.0],
                },
            ],
        };
        let expected = |point: [f64; 2]| {
            // By hand: the first has covariance [[4, 1], [1, 0.5]], of determinant 1.
            let [x, y] = [point[0] - 1.0, point[1] + 1.0];
            let form = 0.5 * x * x - 2.0 * x * y + 4.0 * y * y;
            let unit = point[0] * point[0] + point[1] * point[1];
            ((0.3 * (-0.5 * form).exp() + 0.7 * (-0.5 * unit).exp()) / TAU).ln()
        };
        for point in [[0.0, 0.0], [2.5, -0.25], [-3.0, 4.0]] {
            let found = mixture.log_density(&point);
            assert!(
                (found - expected(point)).abs() < 1e-12,
                "{point:?}: {found}"
            );
        }
    }
}

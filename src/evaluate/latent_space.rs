//! What a model makes of its latent space.

use crate::Result;
use crate::data::{Corruption, Examples, Split};
use crate::kernels::cholesky::cholesky;
use crate::model::prior::ACTIVE;
use crate::model::{Mode, Vae};
use serde::Serialize;

/// Images that are encoded at a time.
const BATCH: usize = 250;

/// What a model makes of its latent space, over the images of a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatentSpace {
    /// The latent dimensions, those with the highest KL first.
    pub dimensions: Vec<Dimension>,
    /// All images' posteriors together.
    pub aggregated_posterior: AggregatedPosterior,
}

/// One latent dimension.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Dimension {
    /// Its number, from 0.
    pub dimension: usize,
    /// The mean over images of its part of the KL divergence, in nats.
    pub kl: f64,
    /// The variance over images of the posterior mean.
    pub activity: f64,
    /// Whether the activity is above 0.01.
    pub active: bool,
    /// The mean of the aggregated posterior.
    pub mean: f64,
    /// The variance of the aggregated posterior: the activity, and the mean of the posterior variances.
    pub variance: f64,
}

/// How the posteriors of all images together compare with the unit normal prior.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AggregatedPosterior {
    /// The length of its mean; the prior's is 0.
    pub mean_norm: f64,
    /// The largest absolute value of its covariance beside the diagonal; the prior's is 0.
    pub largest_covariance: f64,
    /// The KL divergence from the prior, in nats, of the normal distribution that has its mean m and covariance S:
    /// 1/2 (trace S + m . m - dimensions - log det S).
    pub kl_to_prior: f64,
}

/// Sums over images: of means, of products of means, of variances and of divergences.
struct Sums {
    count: f64,
    mean: Vec<f64>,
    products: Vec<f64>,
    variance: Vec<f64>,
    kl: Vec<f64>,
}

impl LatentSpace {
    /// That of a model, over all images of a split, which the encoder sees with this noise.
    ///
    /// # Errors
    ///
    /// If the model cannot be computed.
    pub fn of(vae: &Vae, split: &Split, corruption: Corruption) -> Result<Self> {
        let latent_dim = vae.latent_dim();
        let mut sums = Sums::nothing(latent_dim);
        let _prepared = vae.keep_encoder_prepared()?;
        for first in (0..split.len()).step_by(BATCH) {
            let last = (first + BATCH).min(split.len());
            let examples = Examples::of(split, first, last, corruption)?;
            let posterior = vae.encode(&examples.seen, &examples.labels, Mode::Inference)?;
            let means = posterior.mean()?.to_vec2::<f32>()?;
            let log_variances = posterior.log_variance()?.to_vec2::<f32>()?;
            for (mean, log_variance) in means.iter().zip(&log_variances) {
                sums.add(mean, log_variance);
            }
        }
        Ok(sums.latent_space())
    }

    /// How many dimensions are active.
    pub fn active_units(&self) -> usize {
        self.dimensions.iter().filter(|d| d.active).count()
    }
}

impl Sums {
    fn nothing(latent_dim: usize) -> Self {
        Self {
            count: 0.0,
            mean: vec![0.0; latent_dim],
            products: vec![0.0; latent_dim * latent_dim],
            variance: vec![0.0; latent_dim],
            kl: vec![0.0; latent_dim],
        }
    }

    fn add(&mut self, mean: &[f32], log_variance: &[f32]) {
        self.count += 1.0;
        let latent_dim = mean.len();
        for (row, (&m, &l)) in mean.iter().zip(log_variance).enumerate() {
            let (m, l) = (f64::from(m), f64::from(l));
            self.mean[row] += m;
            self.variance[row] += l.exp();
            self.kl[row] += 0.5 * (m * m + l.exp_m1() - l);
            let products = &mut self.products[row * latent_dim..][..=row];
            for (product, &other) in products.iter_mut().zip(mean) {
                *product += m * f64::from(other);
            }
        }
    }

    fn latent_space(&self) -> LatentSpace {
        let latent_dim = self.mean.len();
        let mean: Vec<f64> = self.mean.iter().map(|sum| sum / self.count).collect();
        let mut covariance = vec![0.0; latent_dim * latent_dim];
        let mut dimensions = Vec::with_capacity(latent_dim);
        for row in 0..latent_dim {
            for column in 0..=row {
                let place = row * latent_dim + column;
                covariance[place] = self.products[place] / self.count - mean[row] * mean[column];
            }
            let diagonal = &mut covariance[row * (latent_dim + 1)];
            let activity = diagonal.max(0.0);
            *diagonal = activity + self.variance[row] / self.count;
            dimensions.push(Dimension {
                dimension: row,
                kl: self.kl[row] / self.count,
                activity,
                active: activity > ACTIVE,
                mean: mean[row],
                variance: *diagonal,
            });
        }
        dimensions.sort_by(|a, b| b.kl.total_cmp(&a.kl));
        LatentSpace {
            dimensions,
            aggregated_posterior: AggregatedPosterior::of(&mean, &covariance),
        }
    }
}

impl AggregatedPosterior {
    /// # Shapes
    ///
    /// - mean: (latent dimensions)
    /// - covariance: (latent dimensions, latent dimensions), the lower triangle
    fn of(mean: &[f64], covariance: &[f64]) -> Self {
        let latent_dim = mean.len();
        let factor = cholesky(covariance, latent_dim, f64::MIN_POSITIVE);
        let on_diagonal = |matrix: &[f64], of: &dyn Fn(f64) -> f64| -> f64 {
            let diagonal = matrix.iter().step_by(latent_dim + 1);
            diagonal.map(|&value| of(value)).sum()
        };
        let log_determinant = 2.0 * on_diagonal(&factor, &f64::ln);
        let square: f64 = mean.iter().map(|m| m * m).sum();
        let trace = on_diagonal(covariance, &|value| value);
        let rows = (0..latent_dim).flat_map(|row| &covariance[row * latent_dim..][..row]);
        Self {
            mean_norm: square.sqrt(),
            largest_covariance: rows.fold(0.0, |largest, value| value.abs().max(largest)),
            kl_to_prior: 0.5 * (trace + square - latent_dim as f64 - log_determinant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prior_is_at_no_distance_from_itself() {
        let found =
            AggregatedPosterior::of(&[0.0; 3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(found.mean_norm, 0.0);
        assert_eq!(found.largest_covariance, 0.0);
        assert!(found.kl_to_prior.abs() < 1e-15);
    }

    #[test]
    fn distances_are_those_of_the_formula() {
        // m = (1, -2), S = ((2, 0.5), (0.5, 1)), of determinant 1.75.
        let found = AggregatedPosterior::of(&[1.0, -2.0], &[2.0, 0.0, 0.5, 1.0]);
        assert!((found.mean_norm - 5.0f64.sqrt()).abs() < 1e-12);
        assert_eq!(found.largest_covariance, 0.5);
        let expected = 0.5 * (3.0 + 5.0 - 2.0 - 1.75f64.ln());
        assert!((found.kl_to_prior - expected).abs() < 1e-12);
    }

    #[test]
    fn dimensions_are_what_the_posteriors_say() {
        let mut sums = Sums::nothing(2);
        // Variances of 1 and 1/4; the second dimension tells the images apart.
        let log_quarter = 0.25f32.ln();
        sums.add(&[0.5, 2.0], &[0.0, log_quarter]);
        sums.add(&[0.5, -2.0], &[0.0, log_quarter]);
        let space = sums.latent_space();
        let [first, second] = &space.dimensions[..] else {
            panic!("two dimensions");
        };
        assert_eq!((first.dimension, first.active), (1, true));
        assert_eq!((second.dimension, second.active), (0, false));
        assert!((first.activity - 4.0).abs() < 1e-12 && second.activity < 1e-12);
        assert!((first.variance - 4.25).abs() < 1e-6 && (second.variance - 1.0).abs() < 1e-12);
        assert!((first.kl - 0.5 * (4.0 + 0.25 - 1.0 - 0.25f64.ln())).abs() < 1e-6);
        assert!((second.kl - 0.125).abs() < 1e-12 && (second.mean - 0.5).abs() < 1e-12);
        assert_eq!(space.active_units(), 1);
    }
}

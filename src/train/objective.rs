//! What a step makes small.

use super::losses::Losses;
use crate::Result;
use crate::config::Config;
use crate::model::LossTerms;
use candle_core::{D, Tensor};

/// What a step makes small: the loss of a batch.
#[derive(Debug, Clone)]
pub struct Objective {
    /// To be differentiated: one value.
    pub loss: Tensor,
    /// The same with its terms, as numbers.
    pub losses: Losses,
}

impl Objective {
    /// That of the terms of a batch.
    ///
    /// # Shapes
    ///
    /// - epsilon: what the latent vectors were made of, (images * samples, latent dimensions)
    pub fn of(terms: &LossTerms, epsilon: &Tensor, config: &Config, beta: f64) -> Result<Self> {
        let losses = Losses::mean(terms, beta)?;
        let loss = if config.train_importance_samples > 1 {
            importance_weighted(terms, epsilon, config.train_importance_samples, beta)?
        } else if config.free_bits > 0.0 {
            let kl = free_bits(terms, config.free_bits)?;
            (terms.reconstruction.mean_all()? + (kl * beta)?)?
        } else {
            let loss = (&terms.reconstruction + (&terms.kl * beta)?)?.mean_all()?;
            return Ok(Self { loss, losses });
        };
        let found = loss.to_scalar::<f32>()?.into();
        Ok(Self {
            loss,
            losses: Losses {
                loss: found,
                ..losses
            },
        })
    }
}

/// The negative of the importance-weighted bound: the mean over images of
///
/// ```text
/// -log 1/K sum over k of p(x | z_k) (p(z_k) / q(z_k | x))^beta
/// ```
///
/// (Burda et al., 2016, "Importance weighted autoencoders", equation 8, where beta is 1).
fn importance_weighted(
    terms: &LossTerms,
    epsilon: &Tensor,
    samples: usize,
    beta: f64,
) -> Result<Tensor> {
    let images = terms.kl.dim(0)?;
    let epsilon = epsilon.to_device(terms.latent.device())?;
    let ratio = (terms.posterior.repeat(samples)?).log_ratio(&terms.latent, &epsilon)?;
    let log_weights = ((ratio * beta)? - &terms.reconstruction)?;
    let bound = (log_weights.reshape((images, samples))?).log_sum_exp(D::Minus1)?;
    Ok(((samples as f64).ln() - bound.mean_all()?)?)
}

/// The KL divergence, averaged over images, where each dimension's part counts as at least `least`
/// (Kingma et al., 2016, "Improved variational inference with inverse autoregressive flow", equation 15).
fn free_bits(terms: &LossTerms, least: f64) -> Result<Tensor> {
    let of_dimensions = terms.posterior.kl_of_dimensions()?.mean(0)?;
    Ok(of_dimensions.maximum(least)?.sum_all()?)
}

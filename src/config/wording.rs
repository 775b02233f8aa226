//! What a configuration makes small, in words.

use super::hyperparameters::{Config, Likelihood};
use crate::data::{Binarize, Noise};

/// The loss under each likelihood.
const SQUARED_ERROR: &str = "squared_error + beta * kl, in nats but for a constant; squared_error \
    is the sum over pixels of (reconstruction - image)^2";
const GAUSSIAN: &str = "reconstruction + beta * kl, in nats; reconstruction is -log of a normal \
    density of one learnt variance, with its constant, summed over pixels";
const BERNOULLI: &str = "reconstruction + beta * kl, in nats; reconstruction is -log of a \
    Bernoulli probability, summed over pixels";

/// Pixels that are made black or white.
const THRESHOLD: &str = "; pixels are white from 128 of 255 on, else black";
const DYNAMIC: &str = "; pixels are drawn white with their value as probability, else black";

impl Config {
    /// What the loss is, in words.
    pub fn loss_in_words(&self) -> String {
        let mut words = String::from(match self.likelihood {
            Likelihood::SquaredError => SQUARED_ERROR,
            Likelihood::Gaussian => GAUSSIAN,
            Likelihood::Bernoulli => BERNOULLI,
        });
        words += match self.binarize {
            Binarize::None => "",
            Binarize::Threshold => THRESHOLD,
            Binarize::Dynamic => DYNAMIC,
        };
        if self.noise != Noise::None {
            words += "; the encoder sees images with noise";
        }
        let samples = self.train_importance_samples;
        if samples > 1 {
            words += &format!("; in training the importance-weighted bound of {samples} samples");
        }
        if self.free_bits > 0.0 {
            let bits = self.free_bits;
            words += &format!("; in training a latent dimension's kl counts as at least {bits}");
        }
        words
    }
}

//! What a configuration makes small, in words.

use super::hyperparameters::{Config, Likelihood};
use crate::data::Binarize;

impl Config {
    /// What the loss is, in words.
    pub fn loss_in_words(&self) -> String {
        let mut words: String = match self.likelihood {
        Likelihood::SquaredError => {
            "squared_error + beta * kl, in nats but for a constant: squared_error is the sum over pixels of \
             (reconstruction - image)^2"
        }
        Likelihood::Gaussian => {
            "reconstruction + beta * kl, in nats: reconstruction is -log of a normal density with one learnt \
             variance, constant included, summed over pixels"
        }
        Likelihood::Bernoulli => {
            "reconstruction + beta * kl, in nats: reconstruction is -log of a Bernoulli probability, summed over pixels"
        }
    }
    .into();
        words += match self.binarize {
            Binarize::None => "",
            Binarize::Threshold => "; pixels are black or white: white from 128 of 255 on",
            Binarize::Dynamic => {
                "; pixels are black or white, drawn with their value as probability"
            }
        };
        if self.train_importance_samples > 1 {
            let samples = self.train_importance_samples;
            words +=
                &format!("; in training the importance-weighted bound of {samples} latent vectors");
        }
        if self.free_bits > 0.0 {
            let bits = self.free_bits;
            words += &format!("; in training each latent dimension's kl counts as at least {bits}");
        }
        words
    }
}

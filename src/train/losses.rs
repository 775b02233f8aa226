//! The loss and its terms, as numbers.

use crate::Result;
use crate::model::LossTerms;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// The loss and its terms, averaged over images.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    /// What is made small: reconstruction + beta * kl, unless the configuration asks for another bound.
    pub loss: f64,
    /// The negative logarithm of an image's density for its latent vector, summed over pixels.
    pub reconstruction: f64,
    /// Sum over pixels of (reconstruction - image)².
    pub squared_error: f64,
    /// Divergence of the posterior from the prior, in nats.
    pub kl: f64,
}

impl Losses {
    /// The means of the terms, and reconstruction + beta * kl as the loss.
    pub(super) fn mean(terms: &LossTerms, beta: f64) -> Result<Self> {
        let mean = |tensor: &Tensor| -> Result<f64> {
            let values = tensor.to_vec1::<f32>()?;
            let count = values.len() as f64;
            Ok(values.into_iter().map(f64::from).sum::<f64>() / count)
        };
        let reconstruction = mean(&terms.reconstruction)?;
        let kl = mean(&terms.kl)?;
        Ok(Self {
            loss: reconstruction + beta * kl,
            reconstruction,
            squared_error: mean(&terms.squared_error)?,
            kl,
        })
    }

    /// Whether all are finite.
    pub(super) fn are_finite(&self) -> bool {
        let all = [self.loss, self.reconstruction, self.squared_error, self.kl];
        all.iter().all(|loss| loss.is_finite())
    }

    pub(super) fn add(&mut self, other: Self, times: f64) {
        self.loss += times * other.loss;
        self.reconstruction += times * other.reconstruction;
        self.squared_error += times * other.squared_error;
        self.kl += times * other.kl;
    }

    pub(super) fn divided_by(&self, count: f64) -> Self {
        Self {
            loss: self.loss / count,
            reconstruction: self.reconstruction / count,
            squared_error: self.squared_error / count,
            kl: self.kl / count,
        }
    }
}

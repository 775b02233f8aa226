//! The loss in its terms, as numbers.

use crate::Result;
use crate::model::LossTerms;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// The loss in its terms: sums over pixels or latent dimensions, averaged over images.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Losses {
    /// Sum over pixels of (reconstruction - image)².
    pub squared_error: f64,
    /// Divergence of the posterior from the prior, in nats.
    pub kl: f64,
}

impl Losses {
    /// squared_error + beta * kl.
    pub fn loss(&self, beta: f64) -> f64 {
        self.squared_error + beta * self.kl
    }

    /// The sums of the terms over the images they are of.
    pub(super) fn sum(terms: &LossTerms) -> Result<Self> {
        let sum = |tensor: &Tensor| -> Result<f64> {
            let values = tensor.to_vec1::<f32>()?;
            Ok(values.into_iter().map(f64::from).sum())
        };
        Ok(Self {
            squared_error: sum(&terms.squared_error)?,
            kl: sum(&terms.kl)?,
        })
    }

    pub(super) fn add(&mut self, other: Self) {
        self.squared_error += other.squared_error;
        self.kl += other.kl;
    }

    pub(super) fn divided_by(&self, count: f64) -> Self {
        Self {
            squared_error: self.squared_error / count,
            kl: self.kl / count,
        }
    }
}

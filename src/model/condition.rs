//! What a model is told of an image besides its pixels: its label.

use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};

/// The labels that a conditional model knows, and what they add to its posteriors.
#[derive(Debug)]
pub struct Condition {
    /// How many labels there are, from 0 on.
    pub classes: usize,
    /// What each label adds to means and log variances: (2 * latent dimensions, classes).
    pub weight: Var,
}

/// The name of [`Condition::weight`].
pub(super) const WEIGHT: &str = "encoder.label.weight";

impl Condition {
    /// Labels as one row each, 1 at the label and 0 elsewhere: (labels, classes).
    ///
    /// # Errors
    ///
    /// If there are not `count` labels, or there is one that the model does not know.
    pub fn one_hot(&self, labels: &[u8], count: usize, device: &Device) -> Result<Tensor> {
        if labels.len() != count {
            let why = format!("{count} images have {} labels", labels.len());
            return Err(Error::failed("labels", why));
        }
        let mut rows = vec![0.0f32; count * self.classes];
        for (row, &label) in rows.chunks_exact_mut(self.classes).zip(labels) {
            let known = row.get_mut(usize::from(label));
            *known.ok_or_else(|| self.unknown(label))? = 1.0;
        }
        Ok(Tensor::from_vec(rows, (count, self.classes), device)?)
    }

    /// Says that a label is none that the model knows.
    pub fn unknown(&self, label: u8) -> Error {
        let why = format!("is none of the model's labels, 0 to {}", self.classes - 1);
        Error::input(format!("label {label}"), why)
    }
}

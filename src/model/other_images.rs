//! Images that a model was not made for.

use super::vae::Vae;
use crate::data::Dataset;
use crate::{Error, Result};

impl Vae {
    /// Checks that a data set has images of the shape that the model reads, and labels that it knows.
    ///
    /// # Errors
    ///
    /// If it has others; the error names them.
    pub fn refuse_other_images(&self, dataset: &Dataset) -> Result<()> {
        let (found, expected) = (dataset.shape(), self.image_shape());
        if found != expected {
            let why = format!("its images are {found}, the model's are {expected}");
            return Err(Error::input(&dataset.name, why));
        }
        let labels = dataset.train.labels.iter().chain(&dataset.test.labels);
        match (labels.max(), self.condition()) {
            (Some(&label), Some(condition)) if usize::from(label) >= condition.classes => {
                let classes = usize::from(label) + 1;
                let hint =
                    format!("train one that does: \"classes\": {classes} in its configuration");
                Err(condition.unknown(label).hint(hint))
            }
            _ => Ok(()),
        }
    }
}

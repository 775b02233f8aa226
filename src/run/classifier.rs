//! Classifiers, each trained once for a data set.

use super::cache::Cached;
use crate::Result;
use crate::data::{Dataset, Notice};
use crate::evaluate::classifier::{Classifier, RECIPE, classes};
use serde::{Deserialize, Serialize};

/// What a classifier was made of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    dataset_sha256: String,
    recipe: u32,
}

/// The classifier of a data set: from the cache, else trained and kept there. `on_step` is called with the steps of its
/// training that are done, and their number.
///
/// # Errors
///
/// If the data set has fewer than two classes.
pub fn classifier(
    dataset: &Dataset,
    notify: &mut dyn FnMut(Notice),
    on_step: impl FnMut(u64, u64),
) -> Result<Classifier> {
    let dataset_sha256 = dataset.digest()?;
    let cached = Cached {
        what: "classifier",
        folder: "classifiers",
        file: format!("{dataset_sha256:.16}-{RECIPE}.safetensors"),
        description: Description {
            dataset_sha256,
            recipe: RECIPE,
        },
    };
    cached.or_make(
        notify,
        |tensors| Classifier::with_weights(dataset.shape(), classes(&dataset.train), tensors),
        || Classifier::train(&dataset.train, on_step),
        |classifier| {
            let named = classifier.parameters().iter();
            Ok(named
                .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
                .collect())
        },
    )
}

//! Mixtures of where a model's encoder puts the images of a data set, each fitted once.

use super::cache::Cached;
use super::model::ModelName;
use crate::Result;
use crate::config::Config;
use crate::data::{Dataset, Notice};
use crate::model::{FittedPrior, Vae, prior};
use crate::train::{POSTERIOR_RECIPE, fit_posterior};
use serde::{Deserialize, Serialize};

/// What mixtures were made of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    model_sha256: String,
    dataset_sha256: String,
    recipe: u32,
}

/// The mixtures of a model's posterior means of the training images of a data set, one, or one a label that a conditional
/// model knows: from the cache, else fitted and kept there. `on_step` is called with the steps of that which are done,
/// and their number.
///
/// # Errors
///
/// If the model cannot be computed.
pub fn posterior_mixtures(
    name: &ModelName,
    (config, vae): (&Config, &Vae),
    dataset: &Dataset,
    notify: &mut dyn FnMut(Notice),
    on_step: impl FnMut(u64, u64),
) -> Result<Vec<Option<FittedPrior>>> {
    let model_sha256 = name.sha256()?;
    let dataset_sha256 = dataset.digest()?;
    let cached = Cached {
        what: "mixture",
        folder: "mixtures",
        file: format!("{model_sha256:.16}-{dataset_sha256:.16}-{POSTERIOR_RECIPE}.safetensors"),
        description: Description {
            model_sha256,
            dataset_sha256,
            recipe: POSTERIOR_RECIPE,
        },
    };
    let count = vae.condition().map_or(1, |condition| condition.classes);
    cached.or_make(
        notify,
        |tensors| prior::take_all(tensors, count, vae.latent_dim()),
        || {
            let train = dataset
                .train
                .clone()
                .binarized(config.binarize, config.seed);
            fit_posterior(vae, &train, config, on_step)
        },
        |mixtures| prior::all_tensors(mixtures),
    )
}

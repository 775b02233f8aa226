//! The prior that a model draws from, fitted to where its encoder puts training images.

use crate::Result;
use crate::config::{Config, Prior};
use crate::data::Split;
use crate::data::batches::Batches;
use crate::model::{FittedPrior, Mode, Vae};
use candle_core::Tensor;

/// Images that a prior is fitted to: in passing, for the pictures of a training, and at its end.
const IMAGES: usize = 500;
const IMAGES_AT_THE_END: usize = 10_000;
/// Images that are encoded at a time.
const BATCH: usize = 250;

/// The prior of a model, if the configuration asks for one that is fitted: to the posterior means of training images,
/// of more at the `end` of a training. A function of the weights, the data and the seed.
pub(super) fn fit_prior(
    vae: &Vae,
    split: &Split,
    config: &Config,
    end: bool,
) -> Result<Option<FittedPrior>> {
    let Prior::Mixture(components) = config.prior else {
        return Ok(None);
    };
    let batch = BATCH.min(split.len());
    let images = if end { IMAGES_AT_THE_END } else { IMAGES };
    let count = images.min(split.len()) / batch;
    let mut batches = Batches::new(split, batch, config.seed).binarized(config.binarize);
    let means = (1..=count as u64).map(|number| {
        let examples = batches.examples(number, config.corruption())?;
        let posterior = vae.encode(&examples.seen, &examples.labels, Mode::Inference)?;
        Ok(posterior.mean()?)
    });
    let means = Tensor::cat(&means.collect::<Result<Vec<_>>>()?, 0)?;
    FittedPrior::fit(&means, components, config.seed)
}

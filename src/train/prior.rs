//! Where a model draws from, fitted to where its encoder puts training images.

use crate::Result;
use crate::config::{Config, Prior};
use crate::data::batches::Batches;
use crate::data::{Examples, Split};
use crate::kernels::mixture::ROUNDS;
use crate::model::{FittedPrior, Mode, Vae};
use candle_core::{Device, Tensor};

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
    let _prepared = vae.keep_encoder_prepared()?;
    let means = (1..=count as u64).map(|number| {
        let examples = batches.examples(number, config.corruption())?;
        let posterior = vae.encode(&examples.seen, &examples.labels, Mode::Inference)?;
        // Detached: as long as they could be differentiated, all that they were computed from would stay in memory.
        Ok(posterior.mean()?.detach())
    });
    let means = Tensor::cat(&means.collect::<Result<Vec<_>>>()?, 0)?;
    FittedPrior::fit(&means, components, config.seed, |_| ())
}

/// Tells mixtures that are fitted in another way apart.
pub const POSTERIOR_RECIPE: u32 = 1;
/// Components of a mixture for all images, and of one for the images of a label.
const COMPONENTS: usize = 100;
const COMPONENTS_OF_A_LABEL: usize = 20;

/// Mixtures of the posterior means of all images of a split: one; or, of a conditional model, one a label that it knows.
/// `None` stands for the unit normal distribution, where there are no images, or the model makes no use of its latent
/// space. `on_step` is called with the steps that are done, and their number.
///
/// # Errors
///
/// If the model cannot be computed.
pub fn fit_posterior(
    vae: &Vae,
    split: &Split,
    config: &Config,
    mut on_step: impl FnMut(u64, u64),
) -> Result<Vec<Option<FittedPrior>>> {
    let labels = vae.condition().map(|condition| condition.classes);
    let count = labels.unwrap_or(1);
    let batches = split.len().div_ceil(BATCH);
    let steps = (batches + ROUNDS * count) as u64;
    let mut step = 0;
    let mut done = || {
        step += 1;
        on_step(step, steps);
    };
    let mut means = vec![Vec::new(); count];
    let _prepared = vae.keep_encoder_prepared()?;
    for first in (0..split.len()).step_by(BATCH) {
        let last = (first + BATCH).min(split.len());
        let examples = Examples::of(split, first, last, config.corruption())?;
        let posterior = vae.encode(&examples.seen, &examples.labels, Mode::Inference)?;
        let rows = posterior.mean()?.to_vec2::<f32>()?;
        for (row, &label) in rows.into_iter().zip(&examples.labels) {
            let of = labels.map_or(0, |_| usize::from(label));
            means[of].extend(row);
        }
        done();
    }
    let components = labels.map_or(COMPONENTS, |_| COMPONENTS_OF_A_LABEL);
    let mixtures = means.into_iter().map(|means| {
        let images = means.len() / vae.latent_dim();
        if images == 0 {
            return Ok(None);
        }
        let means = Tensor::from_vec(means, (images, vae.latent_dim()), &Device::Cpu)?;
        FittedPrior::fit(&means, components, config.seed, |_| done())
    });
    mixtures.collect()
}

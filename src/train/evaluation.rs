//! The losses of a model over a whole split.

use super::losses::Losses;
use crate::Result;
use crate::config::Config;
use crate::data::{Examples, Split};
use crate::model::{Mode, Vae};
use crate::rng::{Purpose, normal};
use candle_core::{Device, Tensor};

/// Images evaluated at a time. Part of what an evaluation is: its noise is drawn batch by batch.
const BATCH: usize = 250;

/// The losses of a model over all images of a split, one posterior sample each, without dropout. The samples are the
/// same each time.
pub fn evaluate(vae: &Vae, split: &Split, config: &Config) -> Result<Losses> {
    let mut losses = Losses::default();
    let _prepared = (vae.keep_encoder_prepared()?, vae.keep_decoder_prepared()?);
    for (number, first) in (0..split.len()).step_by(BATCH).enumerate() {
        let last = (first + BATCH).min(split.len());
        let examples = Examples::of(split, first, last, config.corruption())?;
        let shape = (last - first, vae.latent_dim());
        let purpose = Purpose::Evaluation;
        let epsilon = normal(config.seed, purpose, number as u64, shape.0 * shape.1);
        let epsilon = Tensor::from_vec(epsilon, shape, &Device::Cpu)?;
        let terms = vae.terms(&examples, &epsilon, Mode::Inference)?;
        losses.add(Losses::mean(&terms, config.beta)?, (last - first) as f64);
    }
    Ok(losses.divided_by(split.len() as f64))
}

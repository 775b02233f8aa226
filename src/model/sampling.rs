//! Pictures that nobody drew, from the prior; and what is kept of those that somebody did.
//!
//! The last bits of an image, and of its posterior, depend on how many are computed with it. So they are computed 64 at a
//! time here, and the last ones with repetitions: all commands come to the same bytes.

use super::prior::{self, FittedPrior};
use super::vae::Vae;
use crate::Result;
use crate::data::Examples;
use crate::nn::dropout::Mode;
use crate::nn::posterior::Posterior;
use crate::rng::{Purpose, normal};
use candle_core::{Device, Tensor};

/// Images that are encoded, and latent vectors that are decoded, at a time.
const BATCH: usize = 64;

/// What decides a drawing besides the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawing {
    /// The number of its latent vector.
    pub number: u64,
    /// What it is to show, if the model is conditional.
    pub label: u8,
}

impl Drawing {
    /// So many drawings, each of its own latent vector; of the labels that the model knows, if it is conditional, one
    /// after the other.
    pub fn of_each_label_in_turn(vae: &Vae, count: usize) -> Vec<Self> {
        let classes = vae.condition().map_or(1, |condition| condition.classes) as u64;
        let drawings = (0..count as u64).map(|number| Self {
            number,
            label: (number % classes) as u8,
        });
        drawings.collect()
    }
}

/// Decodes latent vectors from priors, one for all drawings or one a label; the standard normal numbers that they are
/// made of are multiplied by `temperature`: the values of as many images as there are drawings, one after the other.
///
/// A picture depends on the seed, and on the number and the label of its drawing.
///
/// # Errors
///
/// If the model is conditional, and a label is none that it knows.
pub fn sample(
    vae: &Vae,
    priors: &[Option<FittedPrior>],
    drawings: &[Drawing],
    seed: u64,
    temperature: f64,
) -> Result<Vec<f32>> {
    let numbers = drawings.iter().flat_map(|drawing| {
        let vector = normal(seed, Purpose::Prior, drawing.number, vae.latent_dim());
        vector.into_iter().map(|z| z * temperature as f32)
    });
    let labels: Vec<u8> = drawings.iter().map(|drawing| drawing.label).collect();
    let numbers: Vec<f32> = numbers.collect();
    decode_all(vae, &prior::latent(priors, &numbers, &labels), &labels)
}

/// What a model keeps of what its encoder sees of images, decoded from their posteriors' means: the values of as many
/// images, one after the other.
pub fn reconstruct(vae: &Vae, examples: &Examples) -> Result<Vec<f32>> {
    let means = encode_all(vae, examples)?.mean()?;
    decode_all(vae, &means.flatten_all()?.to_vec1()?, &examples.labels)
}

/// The posteriors of what a model's encoder sees of images.
pub fn encode_all(vae: &Vae, examples: &Examples) -> Result<Posterior> {
    let images = examples.seen.dim(0)?;
    let mut parameters = Vec::new();
    for first in (0..images).step_by(BATCH) {
        let some = examples.narrow(first, BATCH.min(images - first))?;
        let missing = BATCH - some.labels.len();
        let last = some.labels.last().copied().unwrap_or_default();
        let labels = [&some.labels[..], &vec![last; missing]].concat();
        let seen = match missing {
            0 => some.seen,
            _ => {
                let last = some.seen.narrow(0, some.labels.len() - 1, 1)?;
                Tensor::cat(&[&some.seen, &last.repeat((missing, 1))?], 0)?
            }
        };
        parameters.push(
            vae.encode(&seen, &labels, Mode::Inference)?
                .parameters()
                .clone(),
        );
    }
    let parameters = Tensor::cat(&parameters, 0)?.narrow(0, 0, images)?;
    Ok(Posterior::new(parameters)?)
}

/// Decodes latent vectors, one after the other: the values of as many images.
///
/// # Shapes
///
/// - latent: (images, latent dimensions)
/// - labels: (images); only a conditional model looks at them
pub fn decode_all(vae: &Vae, latent: &[f32], labels: &[u8]) -> Result<Vec<f32>> {
    let (latent_dim, values) = (vae.latent_dim(), vae.image_shape().values());
    let mut images = Vec::with_capacity(labels.len() * values);
    let batches = latent.chunks(BATCH * latent_dim).zip(labels.chunks(BATCH));
    for (latent, labels) in batches {
        let rows = labels.len();
        let (mut latent, mut labels) = (latent.to_vec(), labels.to_vec());
        latent.extend(latent[(rows - 1) * latent_dim..].repeat(BATCH - rows));
        labels.resize(BATCH, labels[rows - 1]);
        let latent = Tensor::from_vec(latent, (BATCH, latent_dim), &Device::Cpu)?;
        let decoded = vae.decode(&latent, &labels, Mode::Inference)?;
        images.extend(
            decoded
                .narrow(0, 0, rows)?
                .flatten_all()?
                .to_vec1::<f32>()?,
        );
    }
    Ok(images)
}

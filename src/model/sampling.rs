//! Pictures that nobody drew, from the prior; and what is kept of those that somebody did.

use super::vae::Vae;
use crate::Result;
use crate::data::Examples;
use crate::nn::dropout::Mode;
use crate::rng::{Purpose, normal};
use candle_core::{Device, Tensor};

/// Latent vectors decoded at a time.
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

/// Decodes latent vectors from the prior; the standard normal numbers that they are made of are multiplied by
/// `temperature`: the values of as many images as there are drawings, one after the other.
///
/// A picture depends on the seed, and on the number and the label of its drawing. Its last bits depend on the size of its
/// batch too, so the last batch is as large as all others.
///
/// # Errors
///
/// If the model is conditional, and a label is none that it knows.
pub fn sample(vae: &Vae, drawings: &[Drawing], seed: u64, temperature: f64) -> Result<Vec<f32>> {
    let mut padded = drawings.to_vec();
    if let Some(&last) = drawings.last() {
        padded.resize(drawings.len().next_multiple_of(BATCH), last);
    }
    let numbers = padded.iter().flat_map(|drawing| {
        let vector = normal(seed, Purpose::Prior, drawing.number, vae.latent_dim());
        vector.into_iter().map(|z| z * temperature as f32)
    });
    let labels: Vec<u8> = padded.iter().map(|drawing| drawing.label).collect();
    let mut images = decode_all(vae, &vae.from_prior(numbers.collect()), &labels)?;
    images.truncate(drawings.len() * vae.image_shape().values());
    Ok(images)
}

/// What a model keeps of what its encoder sees of images, decoded from their posteriors' means: the values of as many
/// images, one after the other.
pub fn reconstruct(vae: &Vae, examples: &Examples) -> Result<Vec<f32>> {
    let posterior = vae.encode(&examples.seen, &examples.labels, Mode::Inference)?;
    let reconstructions = vae.decode(&posterior.mean()?, &examples.labels, Mode::Inference)?;
    Ok(reconstructions.flatten_all()?.to_vec1()?)
}

/// Decodes latent vectors, one after the other: the values of as many images.
///
/// # Shapes
///
/// - latent: (images, latent dimensions)
/// - labels: (images); only a conditional model looks at them
pub fn decode_all(vae: &Vae, latent: &[f32], labels: &[u8]) -> Result<Vec<f32>> {
    let latent_dim = vae.latent_dim();
    let mut images = Vec::new();
    let batches = latent.chunks(BATCH * latent_dim).zip(labels.chunks(BATCH));
    for (latent, labels) in batches {
        let latent = Tensor::from_slice(latent, (labels.len(), latent_dim), &Device::Cpu)?;
        let decoded = vae.decode(&latent, labels, Mode::Inference)?;
        images.extend(decoded.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(images)
}

//! Pictures that nobody drew, from the prior; and what is kept of those that somebody did.

use super::vae::Vae;
use crate::Result;
use crate::nn::dropout::Mode;
use crate::rng::{Purpose, normal};
use candle_core::{Device, Tensor};

/// Latent vectors decoded at a time.
const BATCH: usize = 64;

/// Decodes `count` latent vectors from the prior; the standard normal numbers that they are made of are multiplied by
/// `temperature`: the values of `count` images,
/// one after the other.
///
/// A picture depends on the seed and its own number, so a smaller count draws the first of them. Its
/// last bits depend on the size of its batch too, so the last batch is as large as all others.
pub fn sample(vae: &Vae, count: usize, seed: u64, temperature: f64) -> Result<Vec<f32>> {
    let latent_dim = vae.latent_dim();
    let mut images = Vec::new();
    for first in (0..count).step_by(BATCH) {
        let numbers = (first..first + BATCH).flat_map(|number| {
            let vector = normal(seed, Purpose::Prior, number as u64, latent_dim);
            vector.into_iter().map(|z| z * temperature as f32)
        });
        let numbers: Vec<f32> = numbers.collect();
        let latent = match &vae.prior {
            Some(prior) => prior.latent(&numbers),
            None => numbers,
        };
        let latent = Tensor::from_vec(latent, (BATCH, latent_dim), &Device::Cpu)?;
        let decoded = vae.decode(&latent, Mode::Inference)?;
        images.extend(decoded.flatten_all()?.to_vec1::<f32>()?);
    }
    images.truncate(count * vae.image_shape().values());
    Ok(images)
}

/// What a model keeps of images, decoded from their posteriors' means: the values of as many images, one after the
/// other.
///
/// # Shapes
///
/// - images: (images, values of an image), 0 to 1
pub fn reconstruct(vae: &Vae, images: &Tensor) -> Result<Vec<f32>> {
    let posterior = vae.encode(images, Mode::Inference)?;
    let reconstructions = vae.decode(&posterior.mean()?, Mode::Inference)?;
    Ok(reconstructions.flatten_all()?.to_vec1()?)
}

//! What a model believes of the part of an image that it does not see.

use super::vae::Vae;
use crate::Result;
use crate::data::Examples;
use crate::nn::dropout::Mode;
use crate::rng::{Purpose, normal};
use candle_core::{Device, Tensor};

/// Times that the hidden part is drawn anew. The first drawings still know that it began as background.
const ROUNDS: u64 = 50;

/// Draws the hidden part of images, the other part given: the values of as many images, one after the other, with what is
/// not hidden as it is.
///
/// From a background it goes again and again from the image as it is by now to a sample of its posterior, and from that to
/// the hidden part: a Markov chain whose drawings are close to the model's of the hidden part given the other (Rezende et
/// al., 2014, "Stochastic backpropagation and approximate inference in deep generative models", appendix F). What is
/// drawn is a function of the seed, the number of the image and that of the `drawing`.
///
/// # Shapes
///
/// - hidden: (values of an image), the same for all images
pub fn fill_in(
    vae: &Vae,
    examples: &Examples,
    hidden: &[bool],
    seed: u64,
    drawing: u64,
) -> Result<Vec<f32>> {
    let shape = examples.images.dims2()?;
    let (labels, latent_dim) = (&examples.labels, vae.latent_dim());
    let mut values = examples.images.flatten_all()?.to_vec1::<f32>()?;
    let mut replace = |drawn: &[f32]| {
        let places = values.iter_mut().zip(drawn).zip(hidden.iter().cycle());
        for ((value, drawn), _) in places.filter(|(_, hidden)| **hidden) {
            *value = *drawn;
        }
        Tensor::from_slice(&values, shape, &Device::Cpu)
    };
    let mut seen = replace(&vec![0.0; shape.0 * shape.1])?;
    let _prepared = (vae.keep_encoder_prepared()?, vae.keep_decoder_prepared()?);
    for round in 0..ROUNDS {
        let normals = (0..shape.0 as u64).flat_map(|image| {
            let number = (drawing << 48) | (round << 32) | image;
            normal(seed, Purpose::Filling, number, latent_dim)
        });
        let epsilon = Tensor::from_iter(normals, &Device::Cpu)?.reshape((shape.0, latent_dim))?;
        let posterior = vae.encode(&seen, labels, Mode::Inference)?;
        let epsilon = epsilon.to_device(posterior.mean()?.device())?;
        let latent = posterior.sample(&epsilon, vae.backend())?;
        let drawn = vae.decode(&latent, labels, Mode::Inference)?;
        seen = replace(&drawn.flatten_all()?.to_vec1::<f32>()?)?;
    }
    Ok(seen.flatten_all()?.to_vec1()?)
}

//! How likely images are under a model, by importance sampling.

use crate::Result;
use crate::data::{Corruption, Examples, Split};
use crate::kernels::mixture::log_sum_exp;
use crate::model::{Mode, Posterior, Vae};
use crate::rng::{Purpose, normal};
use candle_core::{Device, Tensor};

/// Images that are encoded at a time.
const BATCH: usize = 250;
/// Latent vectors that are decoded at a time. It is part of what an estimate is: the last bits of an image depend on how
/// many are decoded with it.
const ROWS: usize = 1000;

/// The negative logarithm of how likely images are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogLikelihood {
    /// The mean over images, in nats.
    pub negative: f64,
    /// The standard error of that mean: the standard deviation over images by the root of their number.
    pub standard_error: f64,
}

/// The negative log likelihood of a split under a model whose prior is the unit normal distribution, estimated with
/// `samples` importance samples from each image's posterior: the mean over images of
///
/// ```text
/// -log 1/K sum over k of p(x | z_k) p(z_k) / q(z_k | x),    z_k from q(z | x)
/// ```
///
/// (Burda et al., 2016, "Importance weighted autoencoders", equation 8), an upper bound that falls to the true value as
/// K grows. p(x | z) is what the loss has: see [`Likelihood`](crate::config::Likelihood).
///
/// The encoder sees images with the noise of `corruption`. Latent vectors are functions of the seed and the image's number. `on_image` is called now and then with the number of images that are done.
///
/// # Errors
///
/// If the model cannot be computed.
pub fn log_likelihood(
    vae: &Vae,
    split: &Split,
    samples: usize,
    seed: u64,
    corruption: Corruption,
    mut on_image: impl FnMut(usize),
) -> Result<LogLikelihood> {
    let mut negatives = Vec::with_capacity(split.len());
    // A few samples of many images, or many of one.
    let group = (ROWS / samples).max(1);
    let _prepared = (vae.keep_encoder_prepared()?, vae.keep_decoder_prepared()?);
    for first in (0..split.len()).step_by(BATCH) {
        let last = (first + BATCH).min(split.len());
        let examples = Examples::of(split, first, last, corruption)?;
        let posterior = vae.encode(&examples.seen, &examples.labels, Mode::Inference)?;
        for row in (0..last - first).step_by(group) {
            let rows = group.min(last - first - row);
            let some = examples.narrow(row, rows)?;
            let normals = (first + row..first + row + rows).flat_map(|image| {
                let count = samples * vae.latent_dim();
                normal(seed, Purpose::Importance, image as u64, count)
            });
            let epsilon: Vec<f32> = normals.collect();
            let posterior = posterior.narrow(row, rows)?;
            let logs = log_weights(vae, &some, &posterior, &epsilon, samples)?;
            let of_each = logs.chunks_exact(samples);
            negatives.extend(of_each.map(|logs| (samples as f64).ln() - log_sum_exp(logs)));
            on_image(negatives.len());
        }
    }
    Ok(LogLikelihood::of(&negatives))
}

impl LogLikelihood {
    fn of(negatives: &[f64]) -> Self {
        let count = negatives.len() as f64;
        let negative = negatives.iter().sum::<f64>() / count;
        let squares = negatives.iter().map(|value| (value - negative).powi(2));
        let variance = squares.sum::<f64>() / (count - 1.0);
        Self {
            negative,
            standard_error: (variance / count).sqrt(),
        }
    }
}

/// The logarithms of importance weights: log p(x | z) + log p(z) - log q(z | x), in double precision.
///
/// # Shapes
///
/// - posterior: of these examples
/// - epsilon: (images, samples, latent dimensions), standard normal
/// - output: (images, samples)
pub fn log_weights(
    vae: &Vae,
    examples: &Examples,
    posterior: &Posterior,
    epsilon: &[f32],
    samples: usize,
) -> Result<Vec<f64>> {
    let latent_dim = vae.latent_dim();
    let mut latent = Vec::with_capacity(epsilon.len());
    let mut logs = Vec::with_capacity(epsilon.len() / latent_dim);
    let means = posterior.mean()?.to_vec2::<f32>()?.into_iter();
    let posteriors = means.zip(posterior.log_variance()?.to_vec2::<f32>()?);
    for ((mean, log_variance), epsilon) in posteriors.zip(epsilon.chunks(samples * latent_dim)) {
        let deviations: Vec<f32> = log_variance.iter().map(|l| (0.5 * l).exp()).collect();
        let volume = 0.5 * log_variance.iter().map(|&l| f64::from(l)).sum::<f64>();
        for epsilon in epsilon.chunks_exact(latent_dim) {
            // The constants of the two densities are the same.
            let mut log = volume;
            for ((epsilon, mean), deviation) in epsilon.iter().zip(&mean).zip(&deviations) {
                let z = mean + deviation * epsilon;
                log += 0.5 * (f64::from(*epsilon).powi(2) - f64::from(z).powi(2));
                latent.push(z);
            }
            logs.push(log);
        }
    }
    let indices: Vec<u32> = (0..logs.len()).map(|row| (row / samples) as u32).collect();
    let rows = latent.chunks(ROWS * latent_dim).zip(indices.chunks(ROWS));
    for ((latent, indices), logs) in rows.zip(logs.chunks_mut(ROWS)) {
        let latent = Tensor::from_slice(latent, (indices.len(), latent_dim), &Device::Cpu)?;
        let labels: Vec<u8> = match vae.condition() {
            Some(_) => indices
                .iter()
                .map(|&image| examples.labels[image as usize])
                .collect(),
            None => Vec::new(),
        };
        let indices = Tensor::new(indices, examples.images.device())?;
        let terms = vae.reconstruction(
            &latent,
            &labels,
            &examples.images.index_select(&indices, 0)?,
        )?;
        for (log, term) in logs.iter_mut().zip(terms.to_vec1::<f32>()?) {
            *log -= f64::from(term);
        }
    }
    Ok(logs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Likelihood};
    use crate::data::tensor::slice_to_tensor;
    use crate::data::{CLEAN, ImageShape};

    /// A model of one latent dimension, and five images.
    fn small(likelihood: Likelihood) -> (Vae, Split) {
        let config = r#"{"latent_dim": 1, "seed": 3,
            "encoder": [{"dense": {"features": 8, "activation": "tanh"}}],
            "decoder": [{"dense": {"features": 8, "activation": "tanh"}},
                        {"dense": {"features": 784, "activation": "sigmoid"}}]}"#;
        let config = Config {
            likelihood,
            ..Config::parse(config, "test").expect("a config")
        };
        let vae = Vae::new(&config, &Device::Cpu).expect("a model");
        let pixels = (0..5 * 784).map(|place| (place % 97 + place / 784) as u8);
        let split = Split {
            pixels: pixels.collect(),
            labels: vec![0; 5],
            shape: ImageShape::MNIST,
        };
        (vae, split)
    }

    /// The integral of p(x | z) p(z) over a fine grid of z, for each image.
    fn exact(vae: &Vae, split: &Split) -> f64 {
        const STEPS: usize = 8_000;
        let z = |step: usize| 16.0 * (step as f64 / STEPS as f64) - 8.0;
        let latent: Vec<f32> = (0..STEPS).map(|step| z(step) as f32).collect();
        let latent = Tensor::from_vec(latent, (STEPS, 1), &Device::Cpu).expect("a tensor");
        let images = 0..split.len();
        let negatives = images.map(|image| {
            let image = slice_to_tensor(split, image, image + 1).expect("an image");
            let target = image.repeat((STEPS, 1)).expect("images");
            let errors = vae.reconstruction(&latent, &[], &target).expect("errors");
            let errors = errors.to_vec1::<f32>().expect("values");
            let logs = errors.iter().enumerate().map(|(step, &error)| {
                let log_prior = -0.5 * (z(step).powi(2) + std::f64::consts::TAU.ln());
                log_prior - f64::from(error) + (16.0 / STEPS as f64).ln()
            });
            -log_sum_exp(&logs.collect::<Vec<_>>())
        });
        negatives.sum::<f64>() / split.len() as f64
    }

    #[test]
    fn it_is_the_integral_over_the_latent_space() {
        for likelihood in [
            Likelihood::SquaredError,
            Likelihood::Gaussian,
            Likelihood::Bernoulli,
        ] {
            check_integral(likelihood);
        }
    }

    fn check_integral(likelihood: Likelihood) {
        let (vae, split) = small(likelihood);
        let mut done = Vec::new();
        let estimates: Vec<f64> = (0..16)
            .map(|seed| {
                let estimate =
                    log_likelihood(&vae, &split, 2_000, seed, CLEAN, |image| done.push(image));
                estimate.expect("an estimate").negative
            })
            .collect();
        assert_eq!(done[..5], [1, 2, 3, 4, 5]);
        let estimate = LogLikelihood::of(&estimates);
        let exact = exact(&vae, &split);
        let distance = (estimate.negative - exact).abs();
        assert!(
            distance < 2.0 * estimate.standard_error,
            "{estimate:?} {exact}"
        );
        assert!(estimate.standard_error < 0.01, "{estimate:?}");
        // With one sample it is a negative evidence lower bound, which is higher.
        let bounds: f64 = (0..64)
            .map(|seed| {
                let bound = log_likelihood(&vae, &split, 1, seed, CLEAN, |_| {});
                bound.expect("a bound").negative
            })
            .sum();
        assert!(bounds / 64.0 > exact, "{bounds}");
    }

    #[test]
    fn the_error_is_that_of_a_mean() {
        let found = LogLikelihood::of(&[1.0, 2.0, 3.0, 6.0]);
        assert_eq!(found.negative, 3.0);
        assert!((found.standard_error - (14.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
    }
}

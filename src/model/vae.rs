//! The variational autoencoder: encoder, decoder, and the two terms of its loss.

use super::architecture::Architecture;
use super::condition::{self, Condition};
use super::prior::{self, FittedPrior};
use super::weights::{refuse_strangers, take};
use crate::config::{Config, Likelihood};
use crate::data::{Examples, ImageShape};
use crate::nn::backend::Backend;
use crate::nn::criterion::{Criterion, probabilities};
use crate::nn::dropout::Mode;
use crate::nn::gradient::Gradients;
use crate::nn::layer::uniform_weights;
use crate::nn::posterior::Posterior;
use crate::nn::sequential::{KeptPrepared, Sequential};
use crate::nn::tensor::all_finite;
use crate::rng::Purpose;
use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};
use std::collections::HashMap;
use std::f64::consts::TAU;

/// The loss of each image, in its terms, and what they are of.
#[derive(Debug, Clone)]
pub struct LossTerms {
    /// The negative logarithm of the image's density for its latent vector, summed over pixels ([`Likelihood`]):
    /// (images * samples).
    pub reconstruction: Tensor,
    /// Sum over pixels of (reconstruction - image)²: (images * samples).
    pub squared_error: Tensor,
    /// Divergence of the posterior from the prior, in nats: (images).
    pub kl: Tensor,
    /// The posteriors of the images.
    pub posterior: Posterior,
    /// The latent vectors: (images * samples, latent dimensions).
    pub latent: Tensor,
}

/// The name of what a Gaussian likelihood learns: the natural logarithm of its variance, one value.
const LOG_VARIANCE: &str = "decoder.log_variance";
/// Where that starts: at a standard deviation of 0.22, for values from 0 to 1.
const FIRST_LOG_VARIANCE: f32 = -3.0;

/// A variational autoencoder with its weights. What it is given it takes to the device that those are on.
#[derive(Debug)]
pub struct Vae {
    encoder: Sequential,
    decoder: Sequential,
    condition: Option<Condition>,
    likelihood: Likelihood,
    /// The logarithm of the variance of a Gaussian likelihood: (1).
    log_variance: Option<Var>,
    parameters: Vec<(String, Var)>,
    /// Where its latent vectors are drawn from; if it has none, from the unit normal distribution.
    pub prior: Option<FittedPrior>,
    latent_dim: usize,
    image_shape: ImageShape,
    device: Device,
    backend: Backend,
}

impl Vae {
    /// A model that has learnt nothing: weights and biases uniform within 1 / sqrt(fan in) of 0, as
    /// PyTorch's layers start; the standard deviation of a Gaussian likelihood at 0.22.
    ///
    /// # Errors
    ///
    /// If the configuration's layers do not fit each other.
    pub fn new(config: &Config, device: &Device) -> Result<Self> {
        let mut weights = uniform_weights(config.seed, Purpose::Weights, device);
        Self::build(config, device, |name, shape, fan_in| match name {
            LOG_VARIANCE => Ok(Tensor::full(FIRST_LOG_VARIANCE, shape, device)?),
            _ => Ok(weights(name, shape, fan_in)?),
        })
    }

    /// A model with the given weights, by name.
    ///
    /// # Errors
    ///
    /// If a weight is missing, is of another shape than the configuration's, is not finite, or belongs
    /// to none of its layers.
    pub fn with_weights(
        config: &Config,
        device: &Device,
        mut weights: HashMap<String, Tensor>,
    ) -> Result<Self> {
        let prior = FittedPrior::take(&mut weights, config.latent_dim)?;
        let vae = Self::build(config, device, |name, shape, _| {
            Ok(take(&mut weights, name, shape)?.to_device(device)?)
        })?;
        refuse_strangers(&weights)?;
        Ok(Self { prior, ..vae })
    }

    fn build(
        config: &Config,
        device: &Device,
        mut weights: impl FnMut(&str, &[usize], usize) -> Result<Tensor>,
    ) -> Result<Self> {
        let plan = Architecture::plan(config)?;
        let encoder = Sequential::build(&plan.encoder, 1, &mut weights)?;
        let decoder = Sequential::build(&plan.decoder, 2, &mut weights)?;
        let log_variance = match config.likelihood {
            Likelihood::Gaussian => Some(Var::from_tensor(&weights(LOG_VARIANCE, &[1], 1)?)?),
            Likelihood::SquaredError | Likelihood::Bernoulli => None,
        };
        let condition = match config.conditional {
            true => {
                let (shape, classes) = ([2 * config.latent_dim, config.classes], config.classes);
                let weight = weights(condition::WEIGHT, &shape, classes)?;
                let weight = Var::from_tensor(&weight)?;
                Some(Condition { classes, weight })
            }
            false => None,
        };
        let labels = condition
            .iter()
            .map(|labels| (condition::WEIGHT, &labels.weight));
        let named = labels.chain(log_variance.iter().map(|value| (LOG_VARIANCE, value)));
        let named = named.map(|(name, value)| (name.to_string(), value.clone()));
        let parameters = encoder
            .parameters()
            .chain(decoder.parameters())
            .chain(named);
        Ok(Self {
            parameters: parameters.collect(),
            encoder,
            decoder,
            condition,
            likelihood: config.likelihood,
            log_variance,
            prior: None,
            latent_dim: config.latent_dim,
            image_shape: config.image_shape(),
            device: device.clone(),
            backend: Backend::of(device),
        })
    }

    /// A model of the same configuration with weights of its own that have the same values, without a fitted prior.
    pub fn copy(&self, config: &Config) -> Result<Self> {
        let mut values = self.parameters.iter();
        let copy = Self::build(config, &self.device, |name, _, _| {
            let value = values.find(|(of, _)| of == name);
            let missing = || Error::failed("the model", format!("`{name}` is missing"));
            Ok(value.ok_or_else(missing)?.1.as_tensor().copy()?)
        })?;
        Ok(copy.with_backend(self.backend))
    }

    /// The same model, computed by these operations rather than the fastest.
    pub fn with_backend(self, backend: Backend) -> Self {
        Self { backend, ..self }
    }

    /// The operations that compute it.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Every weight and bias with its name, as in `encoder.conv1.weight`, in the order of the layers.
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// The parameters and the prior with their names, as files of weights hold them.
    pub fn named_tensors(&self) -> Result<Vec<(String, Tensor)>> {
        let parameters = self.parameters.iter();
        let mut named: Vec<_> = parameters
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect();
        named.extend(self.prior_tensors()?);
        Ok(named)
    }

    /// What the prior is made of, if there is one, with names.
    pub fn prior_tensors(&self) -> Result<Vec<(String, Tensor)>> {
        self.prior
            .as_ref()
            .map_or(Ok(Vec::new()), FittedPrior::tensors)
    }

    /// Sets the parameters to the given values, by name.
    ///
    /// # Errors
    ///
    /// As of [`Vae::with_weights`].
    pub fn set_parameters(&self, mut weights: HashMap<String, Tensor>) -> Result<()> {
        for (name, parameter) in &self.parameters {
            let value = take(&mut weights, name, parameter.dims())?;
            parameter.set(&value.to_device(&self.device)?)?;
        }
        refuse_strangers(&weights)
    }

    /// The name of a parameter that has values that are not finite, if there is one.
    pub fn first_non_finite(&self) -> Result<Option<&str>> {
        for (name, parameter) in &self.parameters {
            if !all_finite(parameter)? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Dimensions of the latent space.
    pub fn latent_dim(&self) -> usize {
        self.latent_dim
    }

    /// The shape of the images that it reads and draws.
    pub fn image_shape(&self) -> ImageShape {
        self.image_shape
    }

    /// What it draws from, as [`prior::latent`] takes it.
    pub fn own_prior(&self) -> &[Option<FittedPrior>] {
        std::slice::from_ref(&self.prior)
    }

    /// Standard normal numbers to latent vectors of what it draws from: (vectors, latent dimensions) both.
    pub fn from_prior(&self, normals: &[f32]) -> Vec<f32> {
        let labels = vec![0; normals.len() / self.latent_dim];
        prior::latent(self.own_prior(), normals, &labels)
    }

    /// The labels that it is told, if it is conditional.
    pub fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }

    /// Prepares the encoder once for all that is encoded on the CPU: see [`Sequential::keep_prepared`].
    ///
    /// # Errors
    ///
    /// candle's.
    pub fn keep_encoder_prepared(&self) -> Result<Option<KeptPrepared<'_>>> {
        self.keep_prepared(&self.encoder)
    }

    /// The same of the decoder.
    ///
    /// # Errors
    ///
    /// candle's.
    pub fn keep_decoder_prepared(&self) -> Result<Option<KeptPrepared<'_>>> {
        self.keep_prepared(&self.decoder)
    }

    fn keep_prepared<'a>(&self, sequence: &'a Sequential) -> Result<Option<KeptPrepared<'a>>> {
        match self.backend {
            Backend::Fused => Ok(Some(sequence.keep_prepared()?)),
            Backend::Candle => Ok(None),
        }
    }

    /// Images to posteriors.
    ///
    /// # Shapes
    ///
    /// - images: (images, values of an image), 0 to 1
    /// - labels: one an image, if the model is conditional; else they are not looked at
    pub fn encode(&self, images: &Tensor, labels: &[u8], mode: Mode) -> Result<Posterior> {
        let images = images.to_device(&self.device)?;
        let mut parameters = self.encoder.forward(&images, mode, self.backend)?;
        if let Some(condition) = &self.condition {
            let labels = condition.one_hot(labels, images.dim(0)?, &self.device)?;
            parameters = (parameters + labels.matmul(&condition.weight.t()?)?)?;
        }
        Ok(Posterior::new(parameters)?)
    }

    /// Latent vectors as the decoder reads them: with their labels, if the model is conditional.
    fn labelled(&self, latent: &Tensor, labels: &[u8]) -> Result<Tensor> {
        let latent = latent.to_device(&self.device)?;
        match &self.condition {
            Some(condition) => {
                let labels = condition.one_hot(labels, latent.dim(0)?, &self.device)?;
                Ok(Tensor::cat(&[latent, labels], 1)?)
            }
            None => Ok(latent),
        }
    }

    /// Latent vectors to images.
    ///
    /// # Shapes
    ///
    /// - latent: (images, latent dimensions)
    /// - labels: as of [`Vae::encode`]
    /// - output: (images, values of an image); 0 to 1 where the decoder ends with a sigmoid
    pub fn decode(&self, latent: &Tensor, labels: &[u8], mode: Mode) -> Result<Tensor> {
        let latent = self.labelled(latent, labels)?;
        let images = self.decoder.forward(&latent, mode, self.backend)?;
        let images = images.reshape((latent.dim(0)?, self.image_shape.values()))?;
        match self.likelihood {
            Likelihood::Bernoulli => Ok(probabilities(&images, self.backend)?),
            Likelihood::SquaredError | Likelihood::Gaussian => Ok(images),
        }
    }

    /// Examples to the terms of their loss, through posterior samples: one of each image, or several.
    ///
    /// # Shapes
    ///
    /// - epsilon: (images * samples, latent dimensions), standard normal; those of an image one after the other
    pub fn terms(&self, examples: &Examples, epsilon: &Tensor, mode: Mode) -> Result<LossTerms> {
        let images = examples.images.to_device(&self.device)?;
        let epsilon = epsilon.to_device(&self.device)?;
        let posterior = self.encode(&examples.seen, &examples.labels, mode)?;
        let (count, values) = images.dims2()?;
        let samples = epsilon.dim(0)? / count;
        let (latent, targets) = match samples {
            1 => (posterior.sample(&epsilon, self.backend)?, images),
            _ => {
                let targets = images
                    .unsqueeze(1)?
                    .broadcast_as((count, samples, values))?;
                let repeated = posterior.repeat(samples)?;
                let latent = repeated.sample(&epsilon, self.backend)?;
                (latent, targets.reshape((count * samples, values))?)
            }
        };
        let repeated = |label: &u8| std::iter::repeat_n(*label, samples);
        let labels: Vec<u8> = examples.labels.iter().flat_map(repeated).collect();
        let (reconstruction, squared_error) = self.compare(&latent, &labels, &targets, mode)?;
        Ok(LossTerms {
            reconstruction,
            squared_error,
            kl: posterior.kl(self.backend)?,
            posterior,
            latent,
        })
    }

    /// The negative logarithm of images' densities for latent vectors, one each: (images). See [`Likelihood`].
    ///
    /// # Shapes
    ///
    /// - latent: (images, latent dimensions)
    /// - labels: as of [`Vae::encode`]
    /// - images: (images, values of an image), 0 to 1
    pub fn reconstruction(
        &self,
        latent: &Tensor,
        labels: &[u8],
        images: &Tensor,
    ) -> Result<Tensor> {
        let images = images.to_device(&self.device)?;
        Ok(self.compare(latent, labels, &images, Mode::Inference)?.0)
    }

    /// The negative logarithm of images' densities for latent vectors, and their squared error: (images) both.
    fn compare(
        &self,
        latent: &Tensor,
        labels: &[u8],
        images: &Tensor,
        mode: Mode,
    ) -> Result<(Tensor, Tensor)> {
        let latent = &self.labelled(latent, labels)?;
        let criterion = match self.likelihood {
            Likelihood::SquaredError | Likelihood::Gaussian => Criterion::SquaredError,
            Likelihood::Bernoulli => Criterion::CrossEntropy,
        };
        let decoder = &self.decoder;
        let errors = decoder.errors(latent, images, criterion, mode, self.backend)?;
        match (criterion, &self.log_variance) {
            (Criterion::CrossEntropy, _) => {
                let column = |column| Ok::<_, Error>(errors.narrow(1, column, 1)?.squeeze(1)?);
                Ok((column(0)?, column(1)?))
            }
            (Criterion::SquaredError, None) => Ok((errors.clone(), errors)),
            (Criterion::SquaredError, Some(log_variance)) => {
                // Rybkin et al. (2021), "Simple and effective VAE training with calibrated decoders", section 3.
                let half = 0.5 * self.image_shape.values() as f64;
                let log_deviations = ((log_variance.as_tensor() + TAU.ln())? * half)?;
                let precision = (log_variance.neg()?.exp()? * 0.5)?;
                let scaled = errors.broadcast_mul(&precision)?;
                Ok((scaled.broadcast_add(&log_deviations)?, errors))
            }
        }
    }

    /// The gradients of `loss` by the parameters.
    pub fn gradients(&self, loss: &Tensor) -> Result<Gradients> {
        let mut gradients = Gradients::new(loss.backward()?);
        if self.backend == Backend::Fused {
            for sequential in [&self.encoder, &self.decoder] {
                sequential.collect_gradients(&mut gradients);
            }
        }
        Ok(gradients)
    }
}

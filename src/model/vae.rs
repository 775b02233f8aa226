//! The variational autoencoder: encoder, decoder, and the two terms of its loss.

use super::architecture::Architecture;
use super::prior::FittedPrior;
use crate::config::Config;
use crate::data::{Dataset, ImageShape};
use crate::nn::backend::Backend;
use crate::nn::dropout::Mode;
use crate::nn::gradient::Gradients;
use crate::nn::layer::uniform_weights;
use crate::nn::posterior::Posterior;
use crate::nn::sequential::Sequential;
use crate::nn::tensor::all_finite;
use crate::rng::Purpose;
use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};
use std::collections::HashMap;

/// The loss of each image, in its two terms: (images) both.
#[derive(Debug, Clone)]
pub struct LossTerms {
    /// Sum over pixels of (reconstruction - image)².
    pub squared_error: Tensor,
    /// Divergence of the posterior from the prior, in nats.
    pub kl: Tensor,
}

/// A variational autoencoder with its weights. What it is given it takes to the device that those are on.
#[derive(Debug)]
pub struct Vae {
    encoder: Sequential,
    decoder: Sequential,
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
    /// PyTorch's layers start.
    ///
    /// # Errors
    ///
    /// If the configuration's layers do not fit each other.
    pub fn new(config: &Config, device: &Device) -> Result<Self> {
        let mut weights = uniform_weights(config.seed, Purpose::Weights, device);
        Self::build(config, device, |name, shape, fan_in| {
            Ok(weights(name, shape, fan_in)?)
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
            let Some(tensor) = weights.remove(name) else {
                return Err(Error::input("the weights", format!("`{name}` is missing")));
            };
            if tensor.dims() != shape {
                let why = format!("`{name}` has shape {:?}, not {shape:?}", tensor.dims());
                return Err(Error::input("the weights", why));
            }
            if !all_finite(&tensor)? {
                let why = format!("`{name}` has values that are not finite");
                return Err(Error::input("the weights", why));
            }
            Ok(tensor.to_device(device)?)
        })?;
        match weights.keys().min() {
            Some(name) => {
                let why = format!("`{name}` belongs to no layer of the configuration");
                Err(Error::input("the weights", why))
            }
            None => Ok(Self { prior, ..vae }),
        }
    }

    fn build(
        config: &Config,
        device: &Device,
        mut weights: impl FnMut(&str, &[usize], usize) -> Result<Tensor>,
    ) -> Result<Self> {
        let plan = Architecture::plan(config)?;
        let encoder = Sequential::build(&plan.encoder, 1, &mut weights)?;
        let decoder = Sequential::build(&plan.decoder, 2, &mut weights)?;
        Ok(Self {
            parameters: encoder.parameters().chain(decoder.parameters()).collect(),
            encoder,
            decoder,
            prior: None,
            latent_dim: config.latent_dim,
            image_shape: config.image_shape(),
            device: device.clone(),
            backend: Backend::of(device),
        })
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
        if let Some(prior) = &self.prior {
            named.extend(prior.tensors()?);
        }
        Ok(named)
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

    /// Checks that a data set has images of the shape that the model reads.
    ///
    /// # Errors
    ///
    /// If they are of another; the error names both.
    pub fn refuse_other_images(&self, dataset: &Dataset) -> Result<()> {
        let (found, expected) = (dataset.shape(), self.image_shape);
        if found == expected {
            return Ok(());
        }
        let why = format!("its images are {found}, the model's are {expected}");
        Err(Error::input(&dataset.name, why))
    }

    /// Images to posteriors.
    ///
    /// # Shapes
    ///
    /// - images: (images, values of an image), 0 to 1
    pub fn encode(&self, images: &Tensor, mode: Mode) -> Result<Posterior> {
        let images = images.to_device(&self.device)?;
        let parameters = self.encoder.forward(&images, mode, self.backend)?;
        Ok(Posterior::new(parameters)?)
    }

    /// Latent vectors to images.
    ///
    /// # Shapes
    ///
    /// - latent: (images, latent dimensions)
    /// - output: (images, values of an image); 0 to 1 where the decoder ends with a sigmoid
    pub fn decode(&self, latent: &Tensor, mode: Mode) -> Result<Tensor> {
        let latent = latent.to_device(&self.device)?;
        let images = self.decoder.forward(&latent, mode, self.backend)?;
        Ok(images.reshape((latent.dim(0)?, self.image_shape.values()))?)
    }

    /// Images to the two terms of their loss, through one posterior sample each.
    ///
    /// # Shapes
    ///
    /// - images: (images, values of an image), 0 to 1
    /// - epsilon: (images, latent dimensions), standard normal
    pub fn terms(&self, images: &Tensor, epsilon: &Tensor, mode: Mode) -> Result<LossTerms> {
        let images = images.to_device(&self.device)?;
        let epsilon = epsilon.to_device(&self.device)?;
        let posterior = self.encode(&images, mode)?;
        let latent = posterior.sample(&epsilon, self.backend)?;
        let decoder = &self.decoder;
        Ok(LossTerms {
            squared_error: decoder.squared_error(&latent, &images, mode, self.backend)?,
            kl: posterior.kl(self.backend)?,
        })
    }

    /// How far what latent vectors decode to is from images: the sum over pixels of (reconstruction - image)².
    ///
    /// # Shapes
    ///
    /// - latent: (images, latent dimensions)
    /// - images: (images, values of an image), 0 to 1
    /// - output: (images)
    pub fn squared_error(&self, latent: &Tensor, images: &Tensor) -> Result<Tensor> {
        let latent = latent.to_device(&self.device)?;
        let images = images.to_device(&self.device)?;
        let decoder = &self.decoder;
        Ok(decoder.squared_error(&latent, &images, Mode::Inference, self.backend)?)
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

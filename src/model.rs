//! The variational autoencoder: encoder, decoder, and the two terms of its loss.

use crate::architecture::{Architecture, LayerPlan, StagePlan};
use crate::config::Config;
use crate::data::PIXELS;
use crate::nn::chain::{Chain, Stage};
use crate::nn::gradient::Gradients;
use crate::nn::layer::{Layer, Parameter};
use crate::nn::{Kernels, all_finite};
use crate::rng::{Purpose, stream};
use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};
use rand::Rng;
use std::collections::HashMap;

pub use crate::nn::chain::Mode;
pub use crate::nn::posterior::Posterior;

/// The loss of each image, in its two terms: (images) both.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Sum over pixels of (reconstruction - image)².
    pub squared_error: Tensor,
    /// Divergence of the posterior from the prior, in nats.
    pub kl: Tensor,
}

/// A variational autoencoder with its weights. What it is given it takes to the device that those are on.
#[derive(Debug)]
pub struct Vae {
    encoder: Chain,
    decoder: Chain,
    parameters: Vec<(String, Var)>,
    latent_dim: usize,
    device: Device,
    kernels: Kernels,
}

impl Vae {
    /// A model that has learnt nothing: weights and biases uniform within 1 / sqrt(fan in) of 0, as
    /// PyTorch's layers start.
    ///
    /// # Errors
    ///
    /// If the configuration's layers do not fit each other.
    pub fn new(config: &Config, device: &Device) -> Result<Self> {
        let mut position = 0;
        Self::build(config, device, |_, shape, fan_in| {
            position += 1;
            let bound = 1.0 / (fan_in as f32).sqrt();
            let mut rng = stream(config.seed, Purpose::Weights, position);
            let values = (0..shape.iter().product()).map(|_| rng.random_range(-bound..=bound));
            Ok(Tensor::from_vec(values.collect(), shape, device)?)
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
            None => Ok(vae),
        }
    }

    fn build(
        config: &Config,
        device: &Device,
        mut weights: impl FnMut(&str, &[usize], usize) -> Result<Tensor>,
    ) -> Result<Self> {
        let plan = Architecture::plan(config)?;
        let mut parameters = Vec::new();
        let mut layer = |plan: &LayerPlan| -> Result<Layer> {
            let fan_in = plan.map.fan_in();
            let mut parameter = |kind: &str, shape: &[usize]| -> Result<Parameter> {
                let name = format!("{}.{kind}", plan.name);
                let parameter = Parameter::new(&weights(&name, shape, fan_in)?)?;
                parameters.push((name, parameter.value.clone()));
                Ok(parameter)
            };
            Ok(Layer {
                map: plan.map,
                activation: plan.activation,
                dropout: plan.dropout,
                weight: parameter("weight", &plan.map.weight_shape())?,
                bias: parameter("bias", &[plan.map.bias_len()])?,
            })
        };
        let mut stage = |plan: &StagePlan| match plan {
            StagePlan::Layer(plan) => Ok(Stage::Layer(layer(plan)?)),
            StagePlan::Beside(plans) => {
                let layers = plans.iter().map(&mut layer).collect::<Result<_>>()?;
                Ok(Stage::Beside(layers))
            }
            StagePlan::Flatten(grid) => Ok(Stage::Flatten(*grid)),
            StagePlan::Unflatten(grid) => Ok(Stage::Unflatten(*grid)),
        };
        let mut number = 0;
        let mut chain = |stages: &[StagePlan]| -> Result<Chain> {
            let stages = stages.iter().map(&mut stage).collect::<Result<_>>()?;
            number += 1;
            Ok(Chain::new(stages, number))
        };
        Ok(Self {
            encoder: chain(&plan.encoder)?,
            decoder: chain(&plan.decoder)?,
            parameters,
            latent_dim: config.latent_dim,
            device: device.clone(),
            kernels: Kernels::of(device),
        })
    }

    /// The same model, computed by these operations rather than the fastest.
    pub fn with_kernels(self, kernels: Kernels) -> Self {
        Self { kernels, ..self }
    }

    /// The operations that compute it.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Every weight and bias with its name, as in `encoder.conv1.weight`, in the order of the layers.
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// The name of a parameter that has values that are not finite, if there is one.
    pub fn broken_parameter(&self) -> Result<Option<&str>> {
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

    /// Images to posteriors.
    ///
    /// # Shapes
    ///
    /// - images: (images, 784), 0 to 1
    pub fn encode(&self, images: &Tensor, mode: Mode) -> Result<Posterior> {
        let images = images.to_device(&self.device)?;
        let parameters = self.encoder.forward(&images, mode, self.kernels)?;
        Ok(Posterior::new(parameters)?)
    }

    /// Latent vectors to images.
    ///
    /// # Shapes
    ///
    /// - latent: (images, latent dimensions)
    /// - output: (images, 784); 0 to 1 where the decoder ends with a sigmoid
    pub fn decode(&self, latent: &Tensor, mode: Mode) -> Result<Tensor> {
        let latent = latent.to_device(&self.device)?;
        let images = self.decoder.forward(&latent, mode, self.kernels)?;
        Ok(images.reshape((latent.dim(0)?, PIXELS))?)
    }

    /// Images to the two terms of their loss, through one posterior sample each.
    ///
    /// # Shapes
    ///
    /// - images: (images, 784), 0 to 1
    /// - epsilon: (images, latent dimensions), standard normal
    pub fn terms(&self, images: &Tensor, epsilon: &Tensor, mode: Mode) -> Result<Terms> {
        let images = images.to_device(&self.device)?;
        let epsilon = epsilon.to_device(&self.device)?;
        let posterior = self.encode(&images, mode)?;
        let latent = posterior.sample(&epsilon, self.kernels)?;
        let decoder = &self.decoder;
        Ok(Terms {
            squared_error: decoder.squared_error(&latent, &images, mode, self.kernels)?,
            kl: posterior.kl(self.kernels)?,
        })
    }

    /// The gradients of `loss` by the parameters.
    pub fn gradients(&self, loss: &Tensor) -> Result<Gradients> {
        let mut gradients = Gradients::new(loss.backward()?);
        if self.kernels == Kernels::Fused {
            for chain in [&self.encoder, &self.decoder] {
                chain.collect_gradients(&mut gradients);
            }
        }
        Ok(gradients)
    }
}

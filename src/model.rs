//! The variational autoencoder: encoder, decoder, and the two terms of its loss.

use crate::architecture::{Architecture, LayerPlan, Stage};
use crate::config::Config;
use crate::data::PIXELS;
use crate::nn::dropout::dropout;
use crate::nn::layer::Layer;
use crate::nn::loss;
use crate::rng::{Purpose, stream};
use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};
use rand::Rng;
use std::collections::HashMap;

/// Whether values are dropped on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Dropout is off.
    Inference,
    /// Dropout is on; which values it drops follows from the two numbers.
    Training {
        /// The seed of the run.
        seed: u64,
        /// The step of the run.
        step: u64,
    },
}

/// What the encoder says of images: a normal distribution over latent vectors for each.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// (images, latent dimensions)
    pub mean: Tensor,
    /// (images, latent dimensions); the natural logarithm.
    pub log_variance: Tensor,
}

impl Posterior {
    /// mean + standard deviation * epsilon: a sample that gradients pass through (Kingma and Welling,
    /// 2014).
    ///
    /// # Shapes
    ///
    /// - epsilon: (images, latent dimensions), standard normal
    /// - output: (images, latent dimensions)
    pub fn sample(&self, epsilon: &Tensor) -> Result<Tensor> {
        let deviation = (&self.log_variance * 0.5)?.exp()?;
        Ok((&self.mean + (deviation * epsilon)?)?)
    }

    /// The divergence of each image's posterior from the prior, in nats: (images).
    pub fn kl(&self) -> Result<Tensor> {
        Ok(loss::kl(&self.mean, &self.log_variance)?)
    }
}

/// The loss of each image, in its two terms: (images) both.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Sum over pixels of (reconstruction - image)².
    pub squared_error: Tensor,
    /// Divergence of the posterior from the prior, in nats.
    pub kl: Tensor,
}

/// A variational autoencoder with its weights.
#[derive(Debug)]
pub struct Vae {
    encoder: Vec<Block>,
    mean: Layer,
    log_variance: Layer,
    decoder: Vec<Block>,
    parameters: Vec<(String, Var)>,
    latent_dim: usize,
    device: Device,
}

/// A stage with its weights.
#[derive(Debug)]
enum Block {
    Layer {
        layer: Layer,
        dropout: f32,
        /// The position among the model's layers; it tells one dropout from another.
        position: u64,
    },
    Flatten,
    Unflatten([usize; 3]),
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
            let sum = tensor.abs()?.sum_all()?.to_scalar::<f32>()?;
            if !sum.is_finite() {
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
            let mut parameter = |kind: &str, shape: &[usize]| -> Result<Var> {
                let name = format!("{}.{kind}", plan.name);
                let var = Var::from_tensor(&weights(&name, shape, fan_in)?)?;
                parameters.push((name, var.clone()));
                Ok(var)
            };
            Ok(Layer {
                map: plan.map,
                activation: plan.activation,
                weight: parameter("weight", &plan.map.weight_shape())?,
                bias: parameter("bias", &[plan.map.bias_len()])?,
            })
        };
        let mut position = 0;
        let mut block = |stage: &Stage, layer: &mut dyn FnMut(&LayerPlan) -> Result<Layer>| {
            Ok(match stage {
                Stage::Layer(plan) => {
                    position += 1;
                    Block::Layer {
                        layer: layer(plan)?,
                        dropout: plan.dropout,
                        position,
                    }
                }
                Stage::Flatten => Block::Flatten,
                Stage::Unflatten(grid) => Block::Unflatten(*grid),
            })
        };
        let encoder = plan.encoder.iter().map(|stage| block(stage, &mut layer));
        let encoder = encoder.collect::<Result<_>>()?;
        let mean = layer(&plan.mean)?;
        let log_variance = layer(&plan.log_variance)?;
        let decoder = plan.decoder.iter().map(|stage| block(stage, &mut layer));
        let decoder = decoder.collect::<Result<_>>()?;
        Ok(Self {
            encoder,
            mean,
            log_variance,
            decoder,
            parameters,
            latent_dim: config.latent_dim,
            device: device.clone(),
        })
    }

    /// Every weight and bias with its name, as in `encoder.conv1.weight`, in the order of the layers.
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// Dimensions of the latent space.
    pub fn latent_dim(&self) -> usize {
        self.latent_dim
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Images to posteriors.
    ///
    /// # Shapes
    ///
    /// - images: (images, 784), 0 to 1
    pub fn encode(&self, images: &Tensor, mode: Mode) -> Result<Posterior> {
        let features = run(&self.encoder, images, mode)?;
        Ok(Posterior {
            mean: self.mean.forward(&features)?,
            log_variance: self.log_variance.forward(&features)?,
        })
    }

    /// Latent vectors to images.
    ///
    /// # Shapes
    ///
    /// - latent: (images, latent dimensions)
    /// - output: (images, 784); 0 to 1 where the decoder ends with a sigmoid
    pub fn decode(&self, latent: &Tensor, mode: Mode) -> Result<Tensor> {
        let images = run(&self.decoder, latent, mode)?;
        Ok(images.reshape((latent.dim(0)?, PIXELS))?)
    }

    /// Images to the two terms of their loss, through one posterior sample each.
    ///
    /// # Shapes
    ///
    /// - images: (images, 784), 0 to 1
    /// - epsilon: (images, latent dimensions), standard normal
    pub fn terms(&self, images: &Tensor, epsilon: &Tensor, mode: Mode) -> Result<Terms> {
        let posterior = self.encode(images, mode)?;
        let reconstructions = self.decode(&posterior.sample(epsilon)?, mode)?;
        Ok(Terms {
            squared_error: loss::squared_error(&reconstructions, images)?,
            kl: posterior.kl()?,
        })
    }
}

fn run(blocks: &[Block], input: &Tensor, mode: Mode) -> Result<Tensor> {
    let mut values = input.clone();
    for block in blocks {
        values = match block {
            Block::Layer {
                layer,
                dropout: probability,
                position,
            } => {
                let output = layer.forward(&values)?;
                match mode {
                    Mode::Training { seed, step } if *probability > 0.0 => {
                        dropout(&output, *probability, seed, draw(step, *position))?
                    }
                    _ => output,
                }
            }
            Block::Flatten => values.permute((0, 3, 1, 2))?.flatten_from(1)?,
            Block::Unflatten([rows, columns, channels]) => {
                let grid = values.reshape((values.dim(0)?, *channels, *rows, *columns))?;
                grid.permute((0, 2, 3, 1))?
            }
        };
    }
    Ok(values)
}

/// The number of a layer's dropout in a step. A model has fewer than 256 layers.
fn draw(step: u64, position: u64) -> u64 {
    step * 256 + position
}

//! Every hyperparameter: its name, its default, its range.
//!
//! A config file is JSON and holds only what it changes; the built-in default equals
//! `configs/mnist.json`. The names are the same in files, flags and metrics.

use super::image::{ImageConfig, Size};
use super::layers::{LayerConfig, layers_for};
use super::provenance::Provenance;
use crate::data::{Augment, Binarize, Corruption, Fit, ImageShape, Noise, Reading, Source};
use serde::{Deserialize, Serialize};

/// The default configuration, as a file that can be copied and changed.
pub const DEFAULT_JSON: &str = include_str!("../../configs/mnist.json");

/// Everything that decides what a training run computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the images come from.
    pub data: Source,
    /// Steps of training, 1 or more.
    pub steps: u64,
    /// Images a step, 1 or more.
    pub batch_size: usize,
    /// The highest learning rate, above 0; without one that of [`Config::highest_learning_rate`].
    pub learning_rate: Option<f64>,
    /// How the learning rate changes from step to step.
    pub schedule: Schedule,
    /// Steps over which the learning rate rises from 0.
    pub warmup_steps: u64,
    /// How much of the gradient's moving average Adam keeps each step, 0 to 1.
    pub adam_beta1: f64,
    /// How much of the squared gradient's moving average Adam keeps each step, 0 to 1.
    pub adam_beta2: f64,
    /// What Adam adds to the root of the squared gradient's average, above 0.
    pub adam_epsilon: f64,
    /// How much of each weight a step takes away besides, times the learning rate, 0 or more: AdamW's decay.
    pub weight_decay: f64,
    /// What the length of the gradient of all weights together is cut to, above 0; by default it is not.
    pub max_gradient_norm: Option<f64>,
    /// How much of the weights' moving average stays each step, 0 to 1. Above 0, the average is what is evaluated,
    /// what draws, and what `model.safetensors` holds.
    pub ema_decay: f64,
    /// What distribution an image has for its latent vector.
    pub likelihood: Likelihood,
    /// Whether pixels are made black or white before the model sees them.
    pub binarize: Binarize,
    /// What is done to images before the encoder sees them; what it is to draw stays as it was.
    pub noise: Noise,
    /// The weight of the KL divergence in the loss, 0 or more; at 1 the loss is a negative ELBO.
    pub beta: f64,
    /// How beta rises from 0.
    pub beta_schedule: BetaSchedule,
    /// The KL divergence, in nats, that each latent dimension may have, averaged over a batch, without being made
    /// smaller, 0 or more.
    pub free_bits: f64,
    /// Latent vectors for each image of a step, 1 or more. With several the loss is the importance-weighted bound.
    pub train_importance_samples: usize,
    /// Decides every random number of the run.
    pub seed: u64,
    /// Steps from one set of pictures and training metrics to the next.
    pub image_every: u64,
    /// Steps from one checkpoint to the next.
    pub save_every: u64,
    /// Steps from one evaluation on the test images to the next.
    pub eval_every: u64,
    /// Whether metrics and pictures are written once more, as event files for TensorBoard.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tensorboard: bool,
    /// Whether the model is told each image's label, so that it can be asked for one.
    pub conditional: bool,
    /// How many labels a conditional model knows, from 0 on, 2 to 256.
    pub classes: usize,
    /// The shape of the images; what it leaves out the data decide.
    #[serde(skip_serializing_if = "ImageConfig::is_default")]
    pub image: ImageConfig,
    /// What the labels stand for, where the data name them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// How pictures are fitted to it; data that are no pictures need not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// The share of the images that is held out as test images, where the data have none, above 0 and below 1; 0.1 by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_share: Option<f64>,
    /// Whether rows and columns of IDX files change places, as EMNIST's must to be upright.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub transpose: bool,
    /// How training images are changed each time they are seen; by default they are not.
    #[serde(skip_serializing_if = "Augment::is_none")]
    pub augment: Augment,
    /// Dimensions of the latent space.
    pub latent_dim: usize,
    /// What latent vectors are drawn from when the model draws.
    pub prior: Prior,
    /// The layers from an image to the two heads.
    pub encoder: Vec<LayerConfig>,
    /// The layers from a latent vector to an image.
    pub decoder: Vec<LayerConfig>,
    /// What a run was made from and by. Written by `vae train`. Where a configuration
    /// has one, other data are refused, unless they are asked for by `--data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// What latent vectors are drawn from when a model draws. What it learns under is the unit normal distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    /// The unit normal distribution.
    Normal,
    /// A mixture of so many normal distributions, 1 to 1,000, fitted to where the encoder puts training images.
    Mixture(usize),
}

/// What distribution an image has for its latent vector, and so what the loss is beside the KL divergence: the negative
/// logarithm of its density, summed over pixels, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Likelihood {
    /// A normal distribution of variance 1/2, without its constant: the sum over pixels of (reconstruction - image)².
    SquaredError,
    /// A normal distribution whose one variance is learnt (sigma-VAE; Rybkin et al., 2021); with its constant.
    Gaussian,
    /// Each pixel is white with the probability that the decoder gives it, which ends with a sigmoid.
    Bernoulli,
}

/// How beta rises from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// It does not: it is what it is from the first step on.
    Constant,
    /// In a line over so many steps (Bowman et al., 2016).
    Linear(u64),
    /// Again and again, over the first half of each so many steps (Fu et al., 2019).
    Cyclic(u64),
}

/// How the learning rate changes after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls along half a cosine to a hundredth of its highest value.
    Cosine,
}

impl Default for Config {
    fn default() -> Self {
        let (encoder, decoder) = layers_for(ImageShape::MNIST);
        Self {
            data: Source::Auto,
            steps: 2000,
            batch_size: 64,
            learning_rate: None,
            schedule: Schedule::Cosine,
            warmup_steps: 100,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            weight_decay: 0.0,
            max_gradient_norm: None,
            ema_decay: 0.0,
            likelihood: Likelihood::SquaredError,
            binarize: Binarize::None,
            noise: Noise::None,
            beta: 1.0,
            beta_schedule: BetaSchedule::Constant,
            free_bits: 0.0,
            train_importance_samples: 1,
            seed: 42,
            image_every: 200,
            save_every: 200,
            eval_every: 500,
            tensorboard: false,
            conditional: false,
            classes: 10,
            image: ImageConfig::default(),
            labels: Vec::new(),
            fit: None,
            test_share: None,
            transpose: false,
            augment: Augment::default(),
            latent_dim: 10,
            prior: Prior::Mixture(50),
            encoder,
            decoder,
            provenance: None,
        }
    }
}

impl Config {
    /// The shape of the images that a model of this configuration reads and draws.
    pub fn image_shape(&self) -> ImageShape {
        self.image.shape()
    }

    /// How data without a shape, or without test images, are read.
    pub fn reading(&self) -> Reading {
        let default = Reading::default();
        Reading {
            size: self.image.size.map(Size::sides),
            channels: self.image.channels,
            fit: self.fit.unwrap_or(default.fit),
            test_share: self.test_share.unwrap_or(default.test_share),
            seed: self.seed,
            transpose: self.transpose,
            bad_images: default.bad_images,
        }
    }

    /// What a label stands for: its name, where the data name labels, else its number.
    pub fn label_name(&self, label: u8) -> String {
        let name = self.labels.get(usize::from(label)).cloned();
        name.unwrap_or_else(|| label.to_string())
    }

    /// The highest learning rate: what is asked for, else what suits images of the model's shape.
    pub fn highest_learning_rate(&self) -> f64 {
        /// Of images with longer sides than this the default's layers halve more than three times. At the rate of
        /// smaller ones, some such models come to draw the mean image, and diverge.
        const SIDES: usize = 56;
        let ImageShape { height, width, .. } = self.image_shape();
        self.learning_rate.unwrap_or(match height.min(width) {
            ..=SIDES => 3e-3,
            _ => 1e-3,
        })
    }

    /// What is made for the shape of the images: the learning rate, where none is asked for, and the default's layers,
    /// where it has those.
    pub fn scale_to_images(&mut self) {
        self.learning_rate = Some(self.highest_learning_rate());
        let default = Self::default();
        if (&self.encoder, &self.decoder) == (&default.encoder, &default.decoder) {
            (self.encoder, self.decoder) = layers_for(self.image_shape());
        }
    }

    /// The noise on what the encoder sees, with the seed that decides it.
    pub fn corruption(&self) -> Corruption {
        Corruption {
            noise: self.noise,
            seed: self.seed,
        }
    }
}

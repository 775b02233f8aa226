//! A small network that tells the classes of a data set apart, to say what a model's pictures are taken for.

use crate::config::{ConvConfig, PaddingConfig};
use crate::data::batches::Batches;
use crate::data::{CLEAN, Examples, ImageShape, Split};
use crate::kernels::activation::Activation;
use crate::model::geometry::convolution;
use crate::nn::adam::{Adam, AdamConfig};
use crate::nn::backend::Backend;
use crate::nn::dropout::Mode;
use crate::nn::gradient::Gradients;
use crate::nn::layer::{LayerPlan, LinearMap, uniform_weights};
use crate::nn::sequential::Sequential;
use crate::nn::stage::Stage;
use crate::parallel::keep_awake;
use crate::rng::Purpose;
use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};
use std::collections::HashMap;

/// Tells classifiers that are trained in another way apart.
pub const RECIPE: u32 = 1;

/// Channels of its convolutions, of which there are as many as halve the image to 7 pixels or fewer.
const CHANNELS: [usize; 4] = [32, 64, 64, 64];
const SMALLEST: usize = 8;
/// What its last layer but one makes of an image.
pub const FEATURES: usize = 128;

const SEED: u64 = 1;
const BATCH: usize = 64;
const STEPS: u64 = 4_000;
/// A small data set is seen so often at most.
const EPOCHS: u64 = 40;
const LEARNING_RATE: f64 = 2e-3;
const WARMUP: f64 = 100.0;
/// Images that are looked at at a time.
const ROWS: usize = 250;

/// A convolutional network with one output a class.
#[derive(Debug)]
pub struct Classifier {
    /// Images to features.
    body: Sequential,
    /// Features to the logarithms of the classes' odds.
    head: Sequential,
    parameters: Vec<(String, Var)>,
    classes: usize,
}

/// What a classifier makes of images.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Predictions {
    /// (images, classes): how probable each class is.
    pub probabilities: Vec<f32>,
    /// (images, [`FEATURES`]): what the last layer but one makes of an image, after its activation.
    pub features: Vec<f32>,
}

impl Predictions {
    /// Whether the likeliest of the `classes` is the label, for each image.
    pub fn are_right(&self, labels: &[u8], classes: usize) -> Vec<bool> {
        let rows = self.probabilities.chunks_exact(classes).zip(labels);
        let right = rows.map(|(row, &label)| {
            let probability = row.get(usize::from(label)).copied().unwrap_or_default();
            row.iter().all(|&other| other <= probability)
        });
        right.collect()
    }
}

impl Classifier {
    /// Trains one to tell the labels of a split apart, with Adam and dropout under the cross entropy. A function of the
    /// split. `on_step` is called with the steps that are done and their number.
    ///
    /// # Errors
    ///
    /// If the split has fewer than two classes.
    pub fn train(split: &Split, mut on_step: impl FnMut(u64, u64)) -> Result<Self> {
        let classes = classes(split);
        if classes < 2 {
            return Err(Error::input(
                "labels",
                "there is only one class: nothing to recognise",
            ));
        }
        let mut weights = uniform_weights(SEED, Purpose::Classifier, &Device::Cpu);
        let classifier = Self::build(split.shape, classes, |name, shape, fan_in| {
            Ok(weights(name, shape, fan_in)?)
        })?;
        let batch = BATCH.min(split.len());
        let steps = STEPS.min(EPOCHS * (split.len() as u64).div_ceil(batch as u64));
        let mut batches = Batches::new(split, batch, SEED);
        let parameters = classifier.parameters.iter().map(|(_, var)| var.clone());
        let config = AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            max_gradient_norm: None,
        };
        let adam = Adam::new(config, parameters.collect(), Backend::Fused)?;
        for step in 1..=steps {
            let Examples { images, labels, .. } = batches.examples(step, CLEAN)?;
            let labels: Vec<u32> = labels.into_iter().map(u32::from).collect();
            keep_awake(|| classifier.step(&adam, &images, &labels, step, steps))?;
            on_step(step, steps);
        }
        Ok(classifier)
    }

    /// One that was trained, from its weights by name.
    ///
    /// # Errors
    ///
    /// If a weight is missing or of another shape.
    pub fn with_weights(
        shape: ImageShape,
        classes: usize,
        mut weights: HashMap<String, Tensor>,
    ) -> Result<Self> {
        Self::build(shape, classes, |name, shape, _| {
            let tensor = weights.remove(name).filter(|tensor| tensor.dims() == shape);
            tensor.ok_or_else(|| {
                Error::input(
                    "the classifier",
                    format!("`{name}` is missing or misshapen"),
                )
            })
        })
    }

    fn build(
        shape: ImageShape,
        classes: usize,
        mut weights: impl FnMut(&str, &[usize], usize) -> Result<Tensor>,
    ) -> Result<Self> {
        let head = dense("head", [FEATURES, classes], Activation::None, 0.0);
        let body = Sequential::build(&body(shape)?, 1, &mut weights)?;
        let head = Sequential::build(&[head], 2, &mut weights)?;
        Ok(Self {
            parameters: body.parameters().chain(head.parameters()).collect(),
            body,
            head,
            classes,
        })
    }

    fn step(
        &self,
        adam: &Adam,
        images: &Tensor,
        labels: &[u32],
        step: u64,
        steps: u64,
    ) -> Result<()> {
        let mode = Mode::Training { seed: SEED, step };
        let features = self.body.forward(images, mode, Backend::Fused)?;
        let logits = self.head.forward(&features, mode, Backend::Fused)?;
        let labels = Tensor::new(labels, &Device::Cpu)?;
        let loss = candle_nn::loss::cross_entropy(&logits, &labels)?;
        let mut gradients = Gradients::new(loss.backward()?);
        for sequential in [&self.body, &self.head] {
            sequential.collect_gradients(&mut gradients);
        }
        let progress = step as f64 / steps as f64;
        let decay = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        let warmup = (step as f64 / WARMUP).min(1.0);
        Ok(adam.step(&gradients, LEARNING_RATE * warmup * decay, step)?)
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Every weight and bias with its name.
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// What it makes of images.
    ///
    /// # Shapes
    ///
    /// - images: (images, values of an image), 0 to 1
    pub fn predict(&self, images: &[f32], values: usize) -> Result<Predictions> {
        let mut predictions = Predictions::default();
        for images in images.chunks(ROWS * values) {
            let shape = (images.len() / values, values);
            let images = Tensor::from_slice(images, shape, &Device::Cpu)?;
            let features = self
                .body
                .forward(&images, Mode::Inference, Backend::Fused)?;
            let logits = self
                .head
                .forward(&features, Mode::Inference, Backend::Fused)?;
            let probabilities = candle_nn::ops::softmax(&logits, 1)?;
            let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
            predictions.features.extend(flat(&features)?);
            predictions.probabilities.extend(flat(&probabilities)?);
        }
        Ok(predictions)
    }
}

/// How many classes the labels of a split tell apart: one more than the highest, or none where all are the same.
pub fn classes(split: &Split) -> usize {
    let highest = split.labels.iter().max().copied().unwrap_or_default();
    match split.labels.iter().all(|&label| label == highest) {
        true => 0,
        false => usize::from(highest) + 1,
    }
}

fn dense(
    name: &str,
    [inputs, outputs]: [usize; 2],
    activation: Activation,
    dropout: f32,
) -> Stage<LayerPlan> {
    Stage::Layer(LayerPlan {
        name: name.into(),
        map: LinearMap::Dense { inputs, outputs },
        activation,
        dropout,
    })
}

/// Convolutions that halve an image again and again, and a dense layer that makes features of what is left.
fn body(shape: ImageShape) -> Result<Vec<Stage<LayerPlan>>> {
    let mut stages = Vec::new();
    let mut grid = shape.grid();
    for (number, channels) in CHANNELS.into_iter().enumerate() {
        if grid[0].min(grid[1]) < SMALLEST {
            break;
        }
        let conv = ConvConfig {
            channels,
            kernel: 4,
            stride: 2,
            padding: PaddingConfig::Pixels(1),
            activation: Activation::Relu,
            dropout: 0.0,
        };
        let map = convolution(grid, &conv).map_err(|why| Error::input("the classifier", why))?;
        grid = map.small;
        stages.push(Stage::Layer(LayerPlan {
            name: format!("conv{}", number + 1),
            map: LinearMap::Conv(map),
            activation: conv.activation,
            dropout: 0.1,
        }));
    }
    if !stages.is_empty() {
        stages.push(Stage::Flatten(grid));
    }
    let values = grid.iter().product();
    let sizes = [values, FEATURES];
    stages.push(dense("features", sizes, Activation::Relu, 0.4));
    Ok(stages)
}

//! Layers with weights: convolution, transposed convolution and dense.
//!
//! The three differ in one linear map; bias, activation and the chain rule around it are the same.

use super::gradient::Gradient;
use crate::kernels::activation::Activation;
use crate::kernels::geometry::{Geometry, Grid};
use crate::rng::{Purpose, stream};
use candle_core::{Device, Result, Tensor, Var};
use rand::Rng;
use std::sync::{Arc, Mutex, PoisonError};

/// The linear map of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinearMap {
    /// Large grid to small grid. Weights: (out channels, in channels, kernel, kernel).
    Conv(Geometry),
    /// Small grid to large grid. Weights: (in channels, out channels, kernel, kernel).
    ConvTranspose(Geometry),
    /// All inputs to all outputs. Weights: (outputs, inputs).
    Dense {
        /// Values that an image has before.
        inputs: usize,
        /// Values that an image has after.
        outputs: usize,
    },
}

impl LinearMap {
    /// The shape of the weights, as PyTorch has it.
    pub fn weight_shape(&self) -> Vec<usize> {
        match *self {
            Self::Conv(g) | Self::ConvTranspose(g) => {
                vec![g.small[2], g.large[2], g.kernel, g.kernel]
            }
            Self::Dense { inputs, outputs } => vec![outputs, inputs],
        }
    }

    /// The number of biases: output channels, or outputs.
    pub fn bias_len(&self) -> usize {
        match *self {
            Self::Conv(g) => g.small[2],
            Self::ConvTranspose(g) => g.large[2],
            Self::Dense { outputs, .. } => outputs,
        }
    }

    /// The shape of one image after the layer.
    pub fn output_shape(&self) -> Vec<usize> {
        match *self {
            Self::Conv(g) => g.small.to_vec(),
            Self::ConvTranspose(g) => g.large.to_vec(),
            Self::Dense { outputs, .. } => vec![outputs],
        }
    }

    /// Values that an image has before the layer.
    pub fn inputs(&self) -> usize {
        match *self {
            Self::Conv(g) => g.values(Grid::Large),
            Self::ConvTranspose(g) => g.values(Grid::Small),
            Self::Dense { inputs, .. } => inputs,
        }
    }

    /// Values that an image has after the layer.
    pub fn outputs(&self) -> usize {
        self.output_shape().iter().product()
    }

    /// Values that PyTorch counts as a unit's inputs when it initialises the layer: the second
    /// dimension of the weights times the kernel, also where that one is the outputs
    /// (`torch.nn.init._calculate_fan_in_and_fan_out`).
    pub fn fan_in(&self) -> usize {
        self.weight_shape()[1..].iter().product()
    }
}

/// A layer before it has weights.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerPlan {
    /// Its name, as in `encoder.conv1`.
    pub name: String,
    /// Its linear map.
    pub map: LinearMap,
    /// What follows the map.
    pub activation: Activation,
    /// The probability that an output is dropped in training.
    pub dropout: f32,
}

/// What the names of a layer's parameters end with.
const WEIGHT: &str = "weight";
const BIAS: &str = "bias";

impl LayerPlan {
    fn parameter_name(&self, kind: &str) -> String {
        format!("{}.{kind}", self.name)
    }
}

/// What is learnt: values, and where the backward pass of the fused operations leaves their gradient.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The weights or biases.
    pub value: Var,
    /// The one of the last backward pass, until it is taken.
    gradient: Arc<Mutex<Option<Gradient>>>,
}

impl Parameter {
    /// A parameter with these values.
    pub fn new(values: &Tensor) -> Result<Self> {
        Ok(Self {
            value: Var::from_tensor(values)?,
            gradient: Arc::default(),
        })
    }

    /// Leaves the gradient of a backward pass, until it is taken.
    pub(super) fn set_gradient(&self, gradient: impl Into<Gradient>) {
        let mut place = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(gradient.into());
    }

    pub(super) fn take_gradient(&self) -> Option<Gradient> {
        let mut gradient = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        gradient.take()
    }
}

/// A linear map, a bias, an activation and a dropout, with their weights.
#[derive(Debug, Clone)]
pub struct Layer {
    /// What it does.
    pub plan: LayerPlan,
    /// The weights of the map; [`LinearMap::weight_shape`].
    pub weight: Parameter,
    /// What is added to each channel; [`LinearMap::bias_len`] values.
    pub bias: Parameter,
}

impl Layer {
    /// A layer with the values that `weights` gives for the name, the shape and the fan-in of each parameter.
    pub(super) fn build<E: From<candle_core::Error>>(
        plan: &LayerPlan,
        weights: &mut impl FnMut(&str, &[usize], usize) -> std::result::Result<Tensor, E>,
    ) -> std::result::Result<Self, E> {
        let fan_in = plan.map.fan_in();
        let mut parameter = |kind: &str, shape: &[usize]| {
            let values = weights(&plan.parameter_name(kind), shape, fan_in)?;
            Ok::<_, E>(Parameter::new(&values)?)
        };
        Ok(Self {
            weight: parameter(WEIGHT, &plan.map.weight_shape())?,
            bias: parameter(BIAS, &[plan.map.bias_len()])?,
            plan: plan.clone(),
        })
    }

    /// Its weights and its biases with their names, as in `encoder.conv1.weight`.
    pub(super) fn parameters(&self) -> [(String, Var); 2] {
        [(WEIGHT, &self.weight), (BIAS, &self.bias)].map(|(kind, parameter)| {
            let name = self.plan.parameter_name(kind);
            (name, parameter.value.clone())
        })
    }
}

/// Where layers start that have learnt nothing: each parameter uniform within 1 / sqrt(fan in) of 0, as PyTorch's are.
/// The parameters of a model are asked for in their order.
pub fn uniform_weights(
    seed: u64,
    purpose: Purpose,
    device: &Device,
) -> impl FnMut(&str, &[usize], usize) -> Result<Tensor> {
    let mut position = 0;
    move |_, shape, fan_in| {
        position += 1;
        let bound = 1.0 / (fan_in as f32).sqrt();
        let mut rng = stream(seed, purpose, position);
        let values = (0..shape.iter().product()).map(|_| rng.random_range(-bound..=bound));
        Tensor::from_vec(values.collect(), shape, device)
    }
}

//! Layers with weights: convolution, transposed convolution and dense.
//!
//! The three differ in one linear map; bias, activation and the chain rule around it are the same.

use super::activation::Activation;
use super::convolution::{Geometry, Grid};
use super::gradient::Gradient;
use candle_core::{Result, Tensor, Var};
use std::sync::{Arc, Mutex, PoisonError};

/// The linear map of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
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

impl Map {
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
            Self::Conv(g) => g.len(Grid::Large),
            Self::ConvTranspose(g) => g.len(Grid::Small),
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

    /// The map from candle's own operations, without bias. A grid comes channels last, as everywhere, and leaves
    /// channels first, as candle has it.
    fn with_candle(&self, input: &Tensor, weight: &Tensor) -> Result<Tensor> {
        match *self {
            Self::Conv(g) => {
                let grid = channels_first(input, g.large)?;
                if let Some(padding) = g.even_padding() {
                    return grid.contiguous()?.conv2d(weight, padding, g.stride, 1, 1);
                }
                // Where the stride skips the last rows they are cut: candle's gradient of conv2d expects
                // that none is left over.
                let [rows, columns] = g.frame().size;
                let after =
                    |reach: usize, axis: usize| reach.saturating_sub(g.pad[axis] + g.large[axis]);
                grid.pad_with_zeros(2, g.pad[0], after(rows, 0))?
                    .pad_with_zeros(3, g.pad[1], after(columns, 1))?
                    .narrow(2, 0, rows)?
                    .narrow(3, 0, columns)?
                    .contiguous()?
                    .conv2d(weight, 0, g.stride, 1, 1)
            }
            Self::ConvTranspose(g) => {
                let grid = channels_first(input, g.small)?.contiguous()?;
                if let Some(padding) = g.even_padding() {
                    return grid.conv_transpose2d(weight, padding, 0, g.stride, 1);
                }
                // Rows and columns that no place of the small grid reaches stay zero.
                let [rows, columns] = g.frame().size;
                let beyond =
                    |reach: usize, axis: usize| (g.pad[axis] + g.large[axis]).saturating_sub(reach);
                grid.conv_transpose2d(weight, 0, 0, g.stride, 1)?
                    .pad_with_zeros(2, 0, beyond(rows, 0))?
                    .pad_with_zeros(3, 0, beyond(columns, 1))?
                    .narrow(2, g.pad[0], g.large[0])?
                    .narrow(3, g.pad[1], g.large[1])
            }
            Self::Dense { .. } => {
                let input = input.flatten_from(1)?.contiguous()?;
                input.matmul(&weight.t()?)
            }
        }
    }
}

/// Grids with their channels first: a view, without a copy where there are grids already.
pub(super) fn channels_first(
    input: &Tensor,
    [rows, columns, channels]: [usize; 3],
) -> Result<Tensor> {
    let grids = match input.rank() {
        4 => input.clone(),
        _ => input.reshape((input.dim(0)?, rows, columns, channels))?,
    };
    grids.permute((0, 3, 1, 2))
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

    pub(super) fn put_gradient(&self, gradient: Gradient) {
        *self.gradient.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient);
    }

    /// Leaves values as the gradient.
    pub(super) fn put_values(&self, values: Vec<f32>) -> Result<()> {
        let values = Tensor::from_vec(values, self.value.shape(), self.value.device())?;
        self.put_gradient(Gradient::Values(values));
        Ok(())
    }

    pub(super) fn take_gradient(&self) -> Option<Gradient> {
        let mut gradient = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        gradient.take()
    }
}

/// A linear map, a bias, an activation and a dropout, with their weights.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The linear map.
    pub map: Map,
    /// What is applied to its output.
    pub activation: Activation,
    /// The probability that an output is dropped in training.
    pub dropout: f32,
    /// The weights of the map; [`Map::weight_shape`].
    pub weight: Parameter,
    /// What is added to each channel; [`Map::bias_len`] values.
    pub bias: Parameter,
}

impl Layer {
    /// Map, bias and activation from candle's own operations, without dropout: what serves devices
    /// other than the CPU.
    pub(super) fn with_candle(&self, input: &Tensor) -> Result<Tensor> {
        let linear = self.map.with_candle(input, &self.weight.value)?;
        if linear.rank() == 2 {
            let biased = linear.broadcast_add(&self.bias.value)?;
            return self.activation.with_candle(&biased);
        }
        let biased = linear.broadcast_add(&self.bias.value.reshape(((), 1, 1))?)?;
        (self.activation.with_candle(&biased)?).permute((0, 2, 3, 1))
    }
}

//! Layers with weights: convolution, transposed convolution and dense.
//!
//! The three differ in one linear map; bias, activation and the chain rule around it are the same.

use super::activation::Activation;
use super::convolution::Geometry;
use super::matmul::{Destination, Matrix, matmul_on_all_threads};
use super::{column_sums, values, with_values};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, Var};
use rayon::prelude::*;

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
            Self::Conv(g) => g.large.iter().product(),
            Self::ConvTranspose(g) => g.small.iter().product(),
            Self::Dense { inputs, .. } => inputs,
        }
    }

    /// Values that PyTorch counts as a unit's inputs when it initialises the layer: the second
    /// dimension of the weights times the kernel, also where that one is the outputs
    /// (`torch.nn.init._calculate_fan_in_and_fan_out`).
    pub fn fan_in(&self) -> usize {
        self.weight_shape()[1..].iter().product()
    }

    fn forward(
        &self,
        input: &[f32],
        weight: &[f32],
        finish: impl Fn(&mut [f32]) + Sync,
    ) -> Vec<f32> {
        match *self {
            Self::Conv(g) => g.gather(input, weight, finish),
            Self::ConvTranspose(g) => g.scatter(input, weight, finish),
            Self::Dense { inputs, outputs } => {
                let images = input.len() / inputs;
                let weight = Matrix::new(weight, outputs, inputs).transposed();
                let mut out = product(Matrix::new(input, images, inputs), weight, images * outputs);
                finish(&mut out);
                out
            }
        }
    }

    fn input_gradient(&self, gradient: &[f32], weight: &[f32]) -> Vec<f32> {
        match *self {
            Self::Conv(g) => g.scatter(gradient, weight, |_| {}),
            Self::ConvTranspose(g) => g.gather(gradient, weight, |_| {}),
            Self::Dense { inputs, outputs } => {
                let images = gradient.len() / outputs;
                let gradient = Matrix::new(gradient, images, outputs);
                product(
                    gradient,
                    Matrix::new(weight, outputs, inputs),
                    images * inputs,
                )
            }
        }
    }

    fn weight_gradient(&self, input: &[f32], gradient: &[f32]) -> Vec<f32> {
        match *self {
            Self::Conv(g) => g.weight_gradient(input, gradient),
            Self::ConvTranspose(g) => g.weight_gradient(gradient, input),
            Self::Dense { inputs, outputs } => {
                let images = input.len() / inputs;
                let gradient = Matrix::new(gradient, images, outputs).transposed();
                product(
                    gradient,
                    Matrix::new(input, images, inputs),
                    outputs * inputs,
                )
            }
        }
    }

    /// The map from candle's own operations, without bias.
    fn with_candle(&self, input: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let images = input.dim(0)?;
        match *self {
            Self::Conv(g) => {
                let ([height, width, channels], [rows, columns, _]) = (g.large, g.small);
                // What the kernel reaches, from the padding's first row on. Where the stride skips the
                // last rows they are cut: candle's gradient of conv2d expects that none is left over.
                let reach = |places: usize| (places - 1) * g.stride + g.kernel;
                let after = |places: usize, axis: usize| {
                    reach(places).saturating_sub(g.pad[axis] + g.large[axis])
                };
                input
                    .reshape((images, height, width, channels))?
                    .permute((0, 3, 1, 2))?
                    .pad_with_zeros(2, g.pad[0], after(rows, 0))?
                    .pad_with_zeros(3, g.pad[1], after(columns, 1))?
                    .narrow(2, 0, reach(rows))?
                    .narrow(3, 0, reach(columns))?
                    .contiguous()?
                    .conv2d(weight, 0, g.stride, 1, 1)?
                    .permute((0, 2, 3, 1))
            }
            Self::ConvTranspose(g) => {
                let ([height, width, _], [rows, columns, channels]) = (g.large, g.small);
                // Rows and columns that no place of the small grid reaches stay zero.
                let beyond = |places: usize, axis: usize| {
                    (g.pad[axis] + g.large[axis]).saturating_sub((places - 1) * g.stride + g.kernel)
                };
                input
                    .reshape((images, rows, columns, channels))?
                    .permute((0, 3, 1, 2))?
                    .contiguous()?
                    .conv_transpose2d(weight, 0, 0, g.stride, 1)?
                    .pad_with_zeros(2, 0, beyond(rows, 0))?
                    .pad_with_zeros(3, 0, beyond(columns, 1))?
                    .narrow(2, g.pad[0], height)?
                    .narrow(3, g.pad[1], width)?
                    .permute((0, 2, 3, 1))
            }
            Self::Dense { inputs, .. } => input.reshape((images, inputs))?.matmul(&weight.t()?),
        }
    }
}

fn product(left: Matrix, right: Matrix, len: usize) -> Vec<f32> {
    let mut out = vec![0.0; len];
    matmul_on_all_threads(left, right, &mut out, Destination::Overwrite);
    out
}

/// A linear map, a bias and an activation, with their weights.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The linear map.
    pub map: Map,
    /// What is applied to its output.
    pub activation: Activation,
    /// The weights of the map; [`Map::weight_shape`].
    pub weight: Var,
    /// What is added to each channel; [`Map::bias_len`] values.
    pub bias: Var,
}

impl Layer {
    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// - input: (images, ...) with [`Map::inputs`] values an image
    /// - output: (images, ...[`Map::output_shape`])
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        if input.device().is_cpu() {
            let op = Fused {
                map: self.map,
                activation: self.activation,
            };
            input.contiguous()?.apply_op3(&self.weight, &self.bias, op)
        } else {
            self.forward_with_candle(input)
        }
    }

    /// [`Layer::forward`] from candle's own operations: what serves devices other than the CPU.
    pub fn forward_with_candle(&self, input: &Tensor) -> Result<Tensor> {
        let linear = self.map.with_candle(input, &self.weight)?;
        self.activation
            .with_candle(&linear.broadcast_add(&self.bias)?)
    }
}

/// Map, bias and activation as one operation, forward and backward.
struct Fused {
    map: Map,
    activation: Activation,
}

impl CustomOp3 for Fused {
    fn name(&self) -> &'static str {
        "fused-layer"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (input, bias) = (values(input, input_layout)?, values(bias, bias_layout)?);
        let output = self
            .map
            .forward(input, values(weight, weight_layout)?, |rows| {
                for row in rows.chunks_exact_mut(bias.len()) {
                    for (value, bias) in row.iter_mut().zip(bias) {
                        *value += bias;
                    }
                }
                self.activation.apply(rows);
            });
        let mut shape = vec![input.len() / self.map.inputs()];
        shape.extend(self.map.output_shape());
        Ok((CpuStorage::F32(output), Shape::from(shape)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
        with_values(output, |output| {
            const BLOCK: usize = 16 * 1024;
            gradient
                .par_chunks_mut(BLOCK)
                .zip(output.par_chunks(BLOCK))
                .for_each(|(gradient, output)| self.activation.backward(output, gradient));
            Ok(())
        })?;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());

        let bias_gradient = column_sums(&gradient, self.map.bias_len());
        let bias_gradient = Tensor::from_vec(bias_gradient, self.map.bias_len(), input.device())?;
        let weight_gradient = with_values(input, |input| {
            Ok(self.map.weight_gradient(input, &gradient))
        })?;
        // The gradient of the images themselves is of no use to anyone.
        let input_gradient = if input.track_op() {
            let values = with_values(weight, |weight| {
                Ok(self.map.input_gradient(&gradient, weight))
            })?;
            Some(tensor(values, input)?)
        } else {
            None
        };
        Ok((
            input_gradient,
            Some(tensor(weight_gradient, weight)?),
            Some(bias_gradient),
        ))
    }
}

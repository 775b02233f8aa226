//! Stages prepared to run: those that work image by image, and dense ones of inference.

use super::gradient::Values;
use super::layer::{Layer, LinearMap, Parameter};
use super::prepared_dense::PreparedDense;
use super::stage::Stage;
use super::tensor::with_values;
use crate::kernels::activation::Activation;
use crate::kernels::buffers::{Buffer, Buffers};
use crate::kernels::convolution;
use crate::kernels::elementwise::sum_in_order;
use crate::kernels::geometry::{Geometry, Grid};
use crate::kernels::scratch::with_scratch;
use crate::kernels::transpose::transpose_each;
use crate::kernels::winograd::layout::{TransformedTiles, scaled, storage_len, views_mut};
use crate::kernels::winograd::tiling::Tiling;
use candle_core::{Result, bail};
use std::sync::Arc;

/// A stage, with its weights in the order that its products want.
///
/// (oneDNN's word for what is made from a description once, and then executed.)
#[derive(Debug)]
pub(super) enum Primitive {
    Convolution(Box<Convolution>),
    /// Matrices to transpose, one an image: their rows and columns.
    Transpose(usize, usize),
    /// Only for inference.
    Dense(PreparedDense),
}

#[derive(Debug)]
pub(super) struct Convolution {
    pub activation: Activation,
    geometry: Geometry,
    /// The grid that the layer reads.
    pub input: Grid,
    /// The grid that the layer writes.
    pub output: Grid,
    tiling: Option<Tiling>,
    /// The weights on the way from inputs to outputs. Of a tiled convolution with large weights it is `U`, for both ways.
    pub weight: Buffer,
    /// The weights on the way back, if there is one and these are others.
    backward_weight: Option<Buffer>,
    pub bias: Vec<f32>,
    /// Where the gradients go.
    parameters: [Parameter; 2],
}

/// Some images' part of the gradients of a stage's weights, in the order of `Wᵀ`, and biases. Where the
/// convolution is tiled there are no weights: they come from all images' transformed tiles at once.
pub(super) type WeightGradients = (Vec<f32>, Vec<f32>);

/// Of stages, those that stay prepared.
pub(super) type Prepared = Vec<Option<Arc<Primitive>>>;

impl Primitive {
    /// Prepares a stage, with `backward` also for the way back; of several, what is
    /// [one step of inference](super::stage::Stage::is_small_dense).
    pub(super) fn prepare(
        stages: &[Stage<Layer>],
        backward: bool,
        buffers: &Buffers,
    ) -> Result<Self> {
        let prepare = |layer: &Layer, geometry: Geometry, input, output| {
            let tiling = Tiling::of(geometry);
            let both_ways = tiling.is_some_and(|tiling| tiling.has_large_weights());
            let weight = |target: Grid, weight: &[f32]| match tiling {
                Some(tiling) => tiling.weights(target, weight, buffers),
                None => convolution::weights(&geometry, target, weight, buffers),
            };
            with_values(&layer.weight.value, |values| {
                Ok(Self::Convolution(Box::new(Convolution {
                    activation: layer.plan.activation,
                    geometry,
                    input,
                    output,
                    tiling,
                    weight: weight(if both_ways { Grid::Small } else { output }, values),
                    backward_weight: (backward && !both_ways).then(|| weight(input, values)),
                    bias: layer.bias.value.to_vec1()?,
                    parameters: [layer.weight.clone(), layer.bias.clone()],
                })))
            })
        };
        match stages {
            [Stage::Layer(layer)] => match layer.plan.map {
                LinearMap::Conv(g) => return prepare(layer, g, Grid::Large, Grid::Small),
                LinearMap::ConvTranspose(g) => return prepare(layer, g, Grid::Small, Grid::Large),
                LinearMap::Dense { .. } => {}
            },
            [Stage::Flatten([rows, columns, channels])] => {
                return Ok(Self::Transpose(rows * columns, *channels));
            }
            [Stage::Unflatten([rows, columns, channels])] => {
                return Ok(Self::Transpose(*channels, rows * columns));
            }
            _ => {}
        }
        match backward {
            true => bail!("dense layers are not prepared for training"),
            false => PreparedDense::new(stages, buffers).map(Self::Dense),
        }
    }

    /// The convolution that the stage is, and how it is tiled, if it is.
    pub(super) fn tiled(&self) -> Option<(&Convolution, Tiling)> {
        match self {
            Self::Convolution(c) => Some((c, c.tiling?)),
            Self::Transpose(..) | Self::Dense(_) => None,
        }
    }

    /// Whether the way back reads what was read on the way there.
    pub(super) fn reads_input(&self) -> bool {
        matches!(self, Self::Convolution(c) if c.tiling.is_none())
    }

    /// Whether the way back reads what was written on the way there.
    pub(super) fn reads_output(&self) -> bool {
        matches!(self, Self::Convolution(c) if !c.activation.keeps_slopes())
    }

    /// `transformed` is where the transformed input is saved, and `slopes` where those of the activation are, if they
    /// are.
    pub(super) fn forward(
        &self,
        input: &[f32],
        output: &mut [f32],
        slopes: Option<&mut [f32]>,
        transformed: Option<TransformedTiles>,
    ) {
        match self {
            Self::Convolution(c) => c.forward(input, output, slopes, transformed),
            Self::Transpose(rows, columns) => transpose_each(input, *rows, *columns, output),
            Self::Dense(dense) => dense.forward(input, output),
        }
    }

    /// `gradient` is that of the output; it does not survive. `kept` is what [`Primitive::forward`] gave, times
    /// `scale` where dropout kept it (where it did not, the gradient is 0 already), or slopes. `transformed` is
    /// where the transformed gradient is to be left, if the convolution is tiled.
    pub(super) fn backward(
        &self,
        input: &[f32],
        (kept, scale): (&[f32], f32),
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        transformed: Option<TransformedTiles>,
    ) -> Option<WeightGradients> {
        match self {
            Self::Convolution(c) => {
                let mut biases = vec![0.0; c.bias.len()];
                c.activation.backward(kept, scale, gradient, &mut biases);
                let to = input_gradient.zip(c.backward_weight.as_deref());
                let weights = match (c.tiling, transformed) {
                    (Some(tiling), Some(transformed)) => {
                        c.tiled_backward(tiling, gradient, to, transformed);
                        Vec::new()
                    }
                    _ => c.untiled_backward(input, gradient, to),
                };
                Some((weights, biases))
            }
            Self::Transpose(rows, columns) => {
                if let Some(to) = input_gradient {
                    transpose_each(gradient, *columns, *rows, to);
                }
                None
            }
            Self::Dense(_) => unreachable!("it is prepared for inference alone"),
        }
    }
}

impl Convolution {
    fn forward(
        &self,
        input: &[f32],
        output: &mut [f32],
        slopes: Option<&mut [f32]>,
        transformed: Option<TransformedTiles>,
    ) {
        match (self.tiling, self.output, &slopes) {
            (Some(tiling), _, _) => self.tiled_forward(tiling, input, output, transformed),
            (None, Grid::Small, None) => {
                let epilogue = |rows: &mut [f32]| self.activation.apply(rows, &self.bias, None);
                convolution::forward(&self.geometry, input, &self.weight, output, epilogue);
                return;
            }
            (None, Grid::Small, Some(_)) => {
                convolution::forward(&self.geometry, input, &self.weight, output, |_| {});
            }
            (None, Grid::Large, _) => {
                convolution::backward_data(&self.geometry, input, &self.weight, output);
            }
        }
        self.activation.apply(output, &self.bias, slopes);
    }

    fn tiled_forward(
        &self,
        tiling: Tiling,
        input: &[f32],
        output: &mut [f32],
        saved: Option<TransformedTiles>,
    ) {
        let images = input.len() / self.geometry.values(self.input);
        let sizes = |grid| scaled(&tiling.sizes(grid), images);
        let (inputs, outputs) = (sizes(self.input), sizes(self.output));
        let own = if saved.is_some() {
            0
        } else {
            storage_len(&inputs)
        };
        with_scratch(own + storage_len(&outputs), |scratch| {
            let (own, to) = scratch.split_at_mut(own);
            let mut from = saved.unwrap_or_else(|| views_mut(own, &inputs));
            let mut to = views_mut(to, &outputs);
            tiling.transform(self.input, input, &mut from);
            tiling.products(self.output, &from, &self.weight, &mut to);
            tiling.transform_back(self.output, &to, output);
        });
    }

    fn tiled_backward(
        &self,
        tiling: Tiling,
        gradient: &[f32],
        input_gradient: Option<(&mut [f32], &[f32])>,
        mut transformed: TransformedTiles,
    ) {
        tiling.transform(self.output, gradient, &mut transformed);
        if let Some((to, weight)) = input_gradient {
            let images = gradient.len() / self.geometry.values(self.output);
            let inputs = scaled(&tiling.sizes(self.input), images);
            with_scratch(storage_len(&inputs), |back| {
                let mut back = views_mut(back, &inputs);
                tiling.products(self.input, &transformed, weight, &mut back);
                tiling.transform_back(self.input, &back, to);
            });
        }
    }

    /// The gradient of `Wᵀ`.
    fn untiled_backward(
        &self,
        input: &[f32],
        gradient: &[f32],
        input_gradient: Option<(&mut [f32], &[f32])>,
    ) -> Vec<f32> {
        match (self.input, input_gradient) {
            (Grid::Large, to) => {
                if let Some((to, weight)) = to {
                    convolution::backward_data(&self.geometry, gradient, weight, to);
                }
                convolution::backward_weights(&self.geometry, input, gradient, None)
            }
            (Grid::Small, to) => convolution::backward_weights(&self.geometry, gradient, input, to),
        }
    }

    /// Leaves the gradients with the parameters: the sums of all images' parts, and what the transformed
    /// input and gradient give if the convolution is tiled.
    pub(super) fn set_gradients(
        &self,
        (weights, biases): (Vec<Vec<f32>>, Vec<Vec<f32>>),
        transformed: Option<(&[f32], &[f32])>,
        images: usize,
        buffers: &Buffers,
    ) {
        let [weight_parameter, bias_parameter] = &self.parameters;
        let mut bias = buffers.take(self.bias.len());
        sum_in_order(&biases, &mut bias);
        bias_parameter.set_gradient(Values::Buffer(bias));
        let mut weight = buffers.take(weight_parameter.value.elem_count());
        if let (Some(tiling), Some((input, gradient))) = (self.tiling, transformed) {
            let (large, small) = match self.input {
                Grid::Large => (input, gradient),
                Grid::Small => (gradient, input),
            };
            tiling.weight_gradient(images, large, small, &mut weight, buffers);
        } else {
            let mut sum = buffers.take(weight.len());
            sum_in_order(&weights, &mut sum);
            convolution::torch_order(&self.geometry, &sum, &mut weight);
        }
        weight_parameter.set_gradient(Values::Buffer(weight));
    }
}

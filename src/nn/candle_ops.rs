//! Layers from candle's own operations, for devices other than the CPU.

use super::layer::{Layer, LinearMap};
use crate::kernels::activation::Activation;
use crate::kernels::dropout::Mask;
use crate::kernels::geometry::Geometry;
use candle_core::{Result, Tensor};

/// Map, bias and activation of a layer, without dropout. Grids come and leave with their channels last.
pub(super) fn layer(layer: &Layer, input: &Tensor) -> Result<Tensor> {
    let (weight, bias) = (&layer.weight.value, &layer.bias.value);
    let activation = layer.plan.activation;
    match layer.plan.map {
        LinearMap::Conv(geometry) => {
            channels_last(conv(geometry, input, weight)?, bias, activation)
        }
        LinearMap::ConvTranspose(geometry) => {
            channels_last(conv_transpose(geometry, input, weight)?, bias, activation)
        }
        LinearMap::Dense { .. } => {
            let input = input.flatten_from(1)?.contiguous()?;
            let linear = input.matmul(&weight.t()?)?;
            activate(activation, &linear.broadcast_add(bias)?)
        }
    }
}

/// Bias and activation of grids that have their channels first, as candle has them.
fn channels_last(grids: Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    let biased = grids.broadcast_add(&bias.reshape(((), 1, 1))?)?;
    activate(activation, &biased)?.permute((0, 2, 3, 1))
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

fn conv(g: Geometry, input: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let grid = channels_first(input, g.large)?;
    if let Some(padding) = g.even_padding() {
        return grid.contiguous()?.conv2d(weight, padding, g.stride, 1, 1);
    }
    // Where the stride skips the last rows they are cut: candle's gradient of conv2d expects
    // that none is left over.
    let [rows, columns] = g.reach();
    let after = |reach: usize, axis: usize| reach.saturating_sub(g.pad[axis] + g.large[axis]);
    grid.pad_with_zeros(2, g.pad[0], after(rows, 0))?
        .pad_with_zeros(3, g.pad[1], after(columns, 1))?
        .narrow(2, 0, rows)?
        .narrow(3, 0, columns)?
        .contiguous()?
        .conv2d(weight, 0, g.stride, 1, 1)
}

fn conv_transpose(g: Geometry, input: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let grid = channels_first(input, g.small)?.contiguous()?;
    if let Some(padding) = g.even_padding() {
        return grid.conv_transpose2d(weight, padding, 0, g.stride, 1);
    }
    // Rows and columns that no place of the small grid reaches stay zero.
    let [rows, columns] = g.reach();
    let beyond = |reach: usize, axis: usize| (g.pad[axis] + g.large[axis]).saturating_sub(reach);
    grid.conv_transpose2d(weight, 0, 0, g.stride, 1)?
        .pad_with_zeros(2, 0, beyond(rows, 0))?
        .pad_with_zeros(3, 0, beyond(columns, 1))?
        .narrow(2, g.pad[0], g.large[0])?
        .narrow(3, g.pad[1], g.large[1])
}

fn activate(activation: Activation, values: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::None => Ok(values.clone()),
        Activation::Relu => values.relu(),
        // In fewer operations, counting those of its gradient, than candle_nn's.
        Activation::LeakyRelu(slope) => {
            let slope = f64::from(slope);
            (values.relu()? * (1.0 - slope))? + (values * slope)?
        }
        Activation::Sigmoid => candle_nn::ops::sigmoid(values),
        Activation::Tanh => values.tanh(),
        Activation::Elu => values.elu(1.0),
        Activation::Silu => values.silu(),
        Activation::Gelu => values.gelu_erf(),
    }
}

/// Drops and scales values as `mask` says.
pub(super) fn drop(mask: &Mask, values: &Tensor) -> Result<Tensor> {
    let kept = Tensor::from_slice(mask.kept(), values.shape(), values.device())?;
    (values * kept.to_dtype(values.dtype())?)? * f64::from(mask.scale)
}

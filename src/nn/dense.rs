//! Dense stages, forward and backward over all images of a batch.

use super::gradient::{DeferredMatmul, Gradient, Values};
use super::layer::Layer;
use super::saved::{BackwardContext, Saved};
use super::tensor::with_values;
use crate::kernels::buffers::{Buffer, Buffers};
use crate::kernels::dense;
use crate::kernels::elementwise::{BLOCK, sum_in_order};
use crate::kernels::matmul::{Destination, Matrix, MatrixMut};
use crate::parallel::for_each;
use candle_core::Result;
use std::ops::Range;
use std::sync::Arc;

/// `output = activation(input weightᵀ + bias)`, and dropout. Heads read the same input, and write an image's outputs one
/// after the other.
///
/// # Shapes
///
/// - input: (images, inputs)
/// - output: (images, outputs of all layers)
pub(super) fn forward(
    layers: &[Layer],
    input: &[f32],
    images: usize,
    saved: &mut Saved,
    buffers: &Buffers,
) -> Result<()> {
    let inputs = input.len() / images;
    let outputs: usize = layers.iter().map(|layer| layer.plan.map.outputs()).sum();
    saved.output = buffers.take(images * outputs);
    let batch = dense::padded_batch(images);
    let mut columns = buffers.take(inputs * batch);
    let slopes = saved.slopes.as_deref_mut();
    let mut slopes = slopes.map(|slopes| slopes.chunks_mut(batch * outputs));
    let parts = saved.output.chunks_mut(batch * outputs);
    for (input, output) in input.chunks(batch * inputs).zip(parts) {
        let mut output = MatrixMut::new(output, outputs);
        let slopes = slopes.as_mut().and_then(Iterator::next);
        let mut slopes = slopes.map(|slopes| MatrixMut::new(slopes, outputs));
        let input = Matrix::new(input, output.rows(), inputs);
        dense::pad_batch(input, MatrixMut::new(&mut columns, batch));
        let input = Matrix::new(&columns, inputs, batch);
        for layer in layers {
            let (part, rest) = output.split_columns(layer.plan.map.outputs());
            output = rest;
            let slopes = slopes.take();
            with_values(&layer.weight.value, |weight| {
                with_values(&layer.bias.value, |bias| {
                    let activation = layer.plan.activation;
                    dense::forward(weight, bias, activation, input, part, slopes, buffers);
                    Ok(())
                })
            })?;
        }
    }
    if let Some(mask) = &saved.mask {
        mask.apply_on_all_threads(&mut saved.output);
    }
    Ok(())
}

/// Finds the gradient of the biases and, if it is wanted, fills that of the input. `gradient` is that of the
/// output; what it becomes, [`set_deferred_gradients`] wants.
pub(super) fn backward(
    layers: &[Layer],
    context: &BackwardContext,
    gradient: &mut [f32],
    input_gradient: Option<&mut [f32]>,
) -> Result<()> {
    let mut biases = vec![0.0; gradient.len() / context.images];
    sum_in_order(&activation_backward(layers, context, gradient), &mut biases);
    let gradient = Matrix::new(gradient, context.images, biases.len());
    for (layer, part) in heads(layers) {
        let mut bias = context.buffers.take(part.len());
        bias.copy_from_slice(&biases[part]);
        layer.bias.set_gradient(Values::Buffer(bias));
    }
    match input_gradient {
        Some(to) => backward_data(layers, gradient, to, context.buffers),
        None => Ok(()),
    }
}

/// Leaves `gradientᵀ input` with the weights.
pub(super) fn set_deferred_gradients(
    layers: &[Layer],
    gradient: Buffer,
    input: Values,
    images: usize,
) {
    let (gradient, input) = (Arc::new(gradient), Arc::new(input));
    for (layer, outputs) in heads(layers) {
        layer.weight.set_gradient(Gradient::Matmul(DeferredMatmul {
            gradient: gradient.clone(),
            outputs,
            input: input.clone(),
            images,
        }));
    }
}

/// `gradient weight`, added over the layers.
fn backward_data(
    layers: &[Layer],
    gradient: Matrix,
    to: &mut [f32],
    buffers: &Buffers,
) -> Result<()> {
    for (layer, part) in heads(layers) {
        let destination = match part.start {
            0 => Destination::Overwrite,
            _ => Destination::Add,
        };
        with_values(&layer.weight.value, |weight| {
            let gradient = gradient.some_columns(part);
            dense::backward_data(gradient, weight, to, destination, buffers);
            Ok(())
        })?;
    }
    Ok(())
}

/// The chain rule through dropout and activation; the gradient of the biases, in parts.
fn activation_backward(
    layers: &[Layer],
    context: &BackwardContext,
    gradient: &mut [f32],
) -> Vec<Vec<f32>> {
    let mask = context.saved[0].mask.as_ref();
    if let Some(mask) = mask {
        mask.apply_on_all_threads(gradient);
    }
    let scale = mask.map_or(1.0, |mask| mask.scale);
    let outputs = gradient.len() / context.images;
    let block = (BLOCK / outputs).max(1) * outputs;
    let mut parts = vec![vec![0.0; outputs]; gradient.len().div_ceil(block)];
    let blocks = gradient
        .chunks_mut(block)
        .zip(context.kept(0).chunks(block));
    for_each(blocks.zip(&mut parts), |((gradients, kept), biases)| {
        let images = gradients.chunks_exact_mut(outputs);
        for (gradient, kept) in images.zip(kept.chunks_exact(outputs)) {
            for (layer, part) in heads(layers) {
                let (kept, gradient) = (&kept[part.clone()], &mut gradient[part.clone()]);
                let activation = layer.plan.activation;
                activation.backward(kept, scale, gradient, &mut biases[part]);
            }
        }
    });
    parts
}

/// Layers that read the same, and which of an image's outputs are each one's.
fn heads(layers: &[Layer]) -> impl Iterator<Item = (&Layer, Range<usize>)> {
    let mut first = 0;
    layers.iter().map(move |layer| {
        first += layer.plan.map.outputs();
        (layer, first - layer.plan.map.outputs()..first)
    })
}

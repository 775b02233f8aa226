//! The work behind dense layers: three matrix products, each on all threads.

use super::buffers::Buffers;
use super::chain::{Back, Kept};
use super::layer::Layer;
use super::matmul::{Destination, Matrix, matmul_on_all_threads};
use super::transpose::transpose_on_all_threads;
use super::{BLOCK, column_sums, sum_in_order, with_values, with_values_mut};
use candle_core::Result;
use rayon::prelude::*;

/// `output = activation(input weightᵀ + bias)`, and dropout.
///
/// # Shapes
///
/// - input: (images, inputs), output: (images, outputs)
pub(super) fn forward(
    layer: &Layer,
    input: &[f32],
    images: usize,
    kept: &mut Kept,
    buffers: &Buffers,
) -> Result<()> {
    let (inputs, outputs) = (layer.map.inputs(), layer.map.outputs());
    // A product reads its left side along rows and its right side across columns; what lies otherwise
    // is copied first. There are far more weights than images, so it is the images that are turned.
    let mut columns = buffers.take(images * inputs);
    let mut results = buffers.take(images * outputs);
    transpose_on_all_threads(input, images, &mut columns, |_| ());
    with_values(&layer.weight.value, |weight| {
        let weight = Matrix::new(weight, outputs, inputs);
        let columns = Matrix::new(&columns, inputs, images);
        matmul_on_all_threads(weight, columns, &mut results, Destination::Overwrite);
        Ok(())
    })?;
    with_values(&layer.bias.value, |bias| {
        transpose_on_all_threads(&results, outputs, &mut kept.output, |rows| {
            layer.activation.apply(rows, bias);
        });
        Ok(())
    })?;
    if let Some(mask) = &kept.mask {
        mask.apply_on_all_threads(&mut kept.output);
    }
    buffers.give(columns);
    buffers.give(results);
    Ok(())
}

/// Fills the gradients of the parameters and, if it is wanted, of the input. `gradient` is that of the
/// output; it does not survive.
pub(super) fn backward(
    layer: &Layer,
    back: &Back,
    gradient: &mut [f32],
    input_gradient: Option<&mut [f32]>,
) -> Result<()> {
    let (inputs, outputs) = (layer.map.inputs(), layer.map.outputs());
    let mask = back.kept[0].mask.as_ref();
    if let Some(mask) = mask {
        mask.apply_on_all_threads(gradient);
    }
    let scale = mask.map_or(1.0, |mask| mask.scale);
    let block = (BLOCK / outputs).max(1) * outputs;
    let sums: Vec<_> = gradient
        .par_chunks_mut(block)
        .zip(back.outputs[0].par_chunks(block))
        .map(|(gradient, output)| {
            layer.activation.backward(output, scale, gradient);
            column_sums(gradient, outputs)
        })
        .collect();
    with_values_mut(&layer.bias.gradient, |to| {
        sum_in_order(&sums, to);
        Ok(())
    })?;
    let gradient = Matrix::new(gradient, back.images, outputs);
    with_values_mut(&layer.weight.gradient, |to| {
        let input = Matrix::new(back.input, back.images, inputs);
        matmul_on_all_threads(gradient.transposed(), input, to, Destination::Overwrite);
        Ok(())
    })?;
    with_values(&layer.weight.value, |weight| {
        if let Some(to) = input_gradient {
            let weight = Matrix::new(weight, outputs, inputs);
            matmul_on_all_threads(gradient, weight, to, Destination::Overwrite);
        }
        Ok(())
    })
}

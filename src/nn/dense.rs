//! The work behind dense layers.
//!
//! Three matrix products, each cut into blocks that threads take one by one. There are far more weights than
//! images, so weights are read as they lie: for the outputs along their rows, for the gradients of the inputs
//! across their columns. What the products want otherwise is done to the images.

use super::buffers::Buffers;
use super::chain::{Back, Kept};
use super::layer::Layer;
use super::matmul::{Destination, Matrix, MatrixMut, matmul};
use super::transpose::{transpose, turn_on_all_threads};
use super::{BLOCK, sum_in_order, with_scratch, with_values, with_values_mut};
use candle_core::Result;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a product that are computed at a time: a multiple of what the products' innermost loop handles, and
/// so few that their right side is not copied first.
const ROWS: usize = 48;
/// Columns likewise.
const COLUMNS: usize = 128;
/// Multiplications that are worth a thread.
const MULTIPLICATIONS: usize = 1 << 19;

/// `output = activation(input weightᵀ + bias)`, and dropout. Layers beside each other read the same input,
/// and write an image's outputs one after the other.
///
/// # Shapes
///
/// - input: (images, inputs), output: (images, outputs of all layers)
pub(super) fn forward(
    layers: &[Layer],
    input: &[f32],
    images: usize,
    kept: &mut Kept,
    buffers: &Buffers,
) -> Result<()> {
    let inputs = input.len() / images;
    let outputs = kept.output.len() / images;
    let mut columns = buffers.take(input.len());
    turn_on_all_threads(input, images, &mut columns);
    let columns_matrix = Matrix::new(&columns, inputs, images);
    let mut output = MatrixMut::new(&mut kept.output, outputs);
    for layer in layers {
        let (part, rest) = output.split_columns(layer.map.outputs());
        output = rest;
        with_values(&layer.weight.value, |weight| {
            with_values(&layer.bias.value, |bias| {
                let weight = Matrix::new(weight, bias.len(), inputs);
                layer_forward(layer, weight, bias, columns_matrix, part);
                Ok(())
            })
        })?;
    }
    if let Some(mask) = &kept.mask {
        mask.apply_on_all_threads(&mut kept.output);
    }
    buffers.give(columns);
    Ok(())
}

/// `output = activation(inputᵀ weightᵀ + bias)`: `input` has a column an image.
fn layer_forward(layer: &Layer, weight: Matrix, bias: &[f32], input: Matrix, output: MatrixMut) {
    let (images, rows) = (input.columns(), at_least(ROWS, input));
    let blocks = output.by_columns(rows).into_par_iter().enumerate();
    blocks.with_max_len(1).for_each(|(block, mut output)| {
        let part = block * rows..block * rows + output.columns();
        with_scratch(part.len() * images, |scratch| {
            let weight = weight.some_rows(part.clone());
            let product = MatrixMut::new(scratch, images);
            matmul(weight, input, product, Destination::Overwrite);
            transpose(Matrix::new(scratch, part.len(), images), output.reborrow());
            for image in 0..images {
                layer.activation.apply(output.row(image), &bias[part.clone()]);
            }
        });
    });
}

/// Fills the gradients of the parameters and, if it is wanted, of the input. `gradient` is that of the
/// output; it does not survive.
pub(super) fn backward(
    layers: &[Layer],
    back: &Back,
    gradient: &mut [f32],
    input_gradient: Option<&mut [f32]>,
) -> Result<()> {
    let inputs = back.input.len() / back.images;
    let mut biases = vec![0.0; gradient.len() / back.images];
    sum_in_order(&start_back(layers, back, gradient), &mut biases);
    let input = Matrix::new(back.input, back.images, inputs);
    let gradient = Matrix::new(gradient, back.images, biases.len());
    for (layer, part) in beside(layers) {
        with_values_mut(&layer.bias.gradient, |to| {
            to.copy_from_slice(&biases[part.clone()]);
            Ok(())
        })?;
        with_values_mut(&layer.weight.gradient, |to| {
            weight_gradient(gradient.some_columns(part.clone()), input, to);
            Ok(())
        })?;
    }
    match input_gradient {
        Some(to) => back_to_input(layers, gradient, to),
        None => Ok(()),
    }
}

/// `gradientᵀ input`
fn weight_gradient(gradient: Matrix, input: Matrix, to: &mut [f32]) {
    let (inputs, rows) = (input.columns(), at_least(ROWS, input));
    let blocks = to.par_chunks_mut(rows * inputs).enumerate();
    blocks.with_max_len(1).for_each(|(block, to)| {
        let part = block * rows..block * rows + to.len() / inputs;
        let gradient = gradient.some_columns(part).transposed();
        let to = MatrixMut::new(to, inputs);
        matmul(gradient, input, to, Destination::Overwrite);
    });
}

/// `gradient weight`, added over the layers.
fn back_to_input(layers: &[Layer], gradient: Matrix, to: &mut [f32]) -> Result<()> {
    let inputs = to.len() / gradient.rows();
    for (layer, part) in beside(layers) {
        let destination = match part.start {
            0 => Destination::Overwrite,
            _ => Destination::Add,
        };
        with_values(&layer.weight.value, |weight| {
            let weight = Matrix::new(weight, part.len(), inputs);
            let gradient = gradient.some_columns(part);
            let columns = at_least(COLUMNS, gradient);
            let blocks = MatrixMut::new(to, inputs).by_columns(columns);
            let blocks = blocks.into_par_iter().enumerate().with_max_len(1);
            blocks.for_each(|(block, to)| {
                let part = block * columns..block * columns + to.columns();
                let weight = weight.some_columns(part);
                to.by_rows(ROWS).enumerate().for_each(|(block, to)| {
                    let images = block * ROWS..block * ROWS + to.rows();
                    matmul(gradient.some_rows(images), weight, to, destination);
                });
            });
            Ok(())
        })?;
    }
    Ok(())
}

/// Rows or columns of a product by `factor` that a thread computes at a time: `least`, or more where those
/// hold too few multiplications.
fn at_least(least: usize, factor: Matrix) -> usize {
    least.max(MULTIPLICATIONS / (factor.rows() * factor.columns()))
}

/// The chain rule through dropout and activation; the gradient of the biases, in parts.
fn start_back(layers: &[Layer], back: &Back, gradient: &mut [f32]) -> Vec<Vec<f32>> {
    let mask = back.kept[0].mask.as_ref();
    if let Some(mask) = mask {
        mask.apply_on_all_threads(gradient);
    }
    let scale = mask.map_or(1.0, |mask| mask.scale);
    let outputs = gradient.len() / back.images;
    let block = (BLOCK / outputs).max(1) * outputs;
    gradient
        .par_chunks_mut(block)
        .zip(back.outputs[0].par_chunks(block))
        .map(|(gradients, results)| {
            let mut biases = vec![0.0; outputs];
            let images = gradients.chunks_exact_mut(outputs);
            for (gradient, result) in images.zip(results.chunks_exact(outputs)) {
                for (layer, part) in beside(layers) {
                    let (result, gradient) = (&result[part.clone()], &mut gradient[part.clone()]);
                    let activation = layer.activation;
                    activation.backward(result, scale, gradient, &mut biases[part]);
                }
            }
            biases
        })
        .collect()
}

/// Layers beside each other, and which of an image's outputs are each one's.
fn beside(layers: &[Layer]) -> impl Iterator<Item = (&Layer, Range<usize>)> {
    let mut first = 0;
    layers.iter().map(move |layer| {
        first += layer.map.outputs();
        (layer, first - layer.map.outputs()..first)
    })
}

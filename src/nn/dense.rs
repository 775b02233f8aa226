//! The work behind dense layers.
//!
//! Three matrix products, each cut into blocks of rows that threads take one by one. A product reads its left
//! side along rows and its right side across columns; what lies otherwise is copied first. There are far
//! more weights than images, so it is always the images that are turned.

use super::buffers::Buffers;
use super::chain::{Back, Kept};
use super::layer::Layer;
use super::matmul::{Destination, Matrix, matmul};
use super::transpose::transpose_on_all_threads;
use super::{BLOCK, column_sums, sum_in_order, with_values, with_values_mut};
use candle_core::Result;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a product that a thread computes at a time; more, where they hold fewer multiplications than
/// are worth a thread.
const ROWS: usize = 32;
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
    let mut columns = buffers.take(input.len());
    let mut results = buffers.take(kept.output.len());
    transpose_on_all_threads(input, images, &mut columns, |_| ());
    let columns_matrix = Matrix::new(&columns, inputs, images);
    for (layer, part) in beside(layers) {
        let to = &mut results[part.start * images..part.end * images];
        with_values(&layer.weight.value, |weight| {
            let weight = Matrix::new(weight, part.len(), inputs);
            product(weight, columns_matrix, to, Destination::Overwrite);
            Ok(())
        })?;
    }
    let biases = layers.iter().map(|layer| layer.bias.value.to_vec1());
    let biases = biases.collect::<Result<Vec<Vec<f32>>>>()?;
    let outputs = results.len() / images;
    transpose_on_all_threads(&results, outputs, &mut kept.output, |images| {
        for image in images.chunks_exact_mut(outputs) {
            for ((layer, part), bias) in beside(layers).zip(&biases) {
                layer.activation.apply(&mut image[part], bias);
            }
        }
    });
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
    layers: &[Layer],
    back: &Back,
    gradient: &mut [f32],
    input_gradient: Option<&mut [f32]>,
) -> Result<()> {
    let Back {
        images, buffers, ..
    } = *back;
    let inputs = back.input.len() / images;
    let mut biases = vec![0.0; gradient.len() / images];
    sum_in_order(&start_back(layers, back, gradient), &mut biases);
    let mut columns = buffers.take(gradient.len());
    transpose_on_all_threads(gradient, images, &mut columns, |_| ());
    for (layer, part) in beside(layers) {
        with_values_mut(&layer.bias.gradient, |to| {
            to.copy_from_slice(&biases[part.clone()]);
            Ok(())
        })?;
        let gradient = &columns[part.start * images..part.end * images];
        let gradient = Matrix::new(gradient, part.len(), images);
        with_values_mut(&layer.weight.gradient, |to| {
            let input = Matrix::new(back.input, images, inputs);
            product(gradient, input, to, Destination::Overwrite);
            Ok(())
        })?;
    }
    if let Some(to) = input_gradient {
        let mut results = buffers.take(to.len());
        back_to_input(layers, &columns, images, &mut results)?;
        transpose_on_all_threads(&results, inputs, to, |_| ());
        buffers.give(results);
    }
    buffers.give(columns);
    Ok(())
}

/// The gradient of the input from that of the output, both with a column an image.
fn back_to_input(
    layers: &[Layer],
    gradient: &[f32],
    images: usize,
    input_gradient: &mut [f32],
) -> Result<()> {
    let inputs = input_gradient.len() / images;
    for (layer, part) in beside(layers) {
        let destination = match part.start {
            0 => Destination::Overwrite,
            _ => Destination::Add,
        };
        let gradient = &gradient[part.start * images..part.end * images];
        let gradient = Matrix::new(gradient, part.len(), images);
        with_values(&layer.weight.value, |weight| {
            let weight = Matrix::new(weight, part.len(), inputs).transposed();
            product(weight, gradient, input_gradient, destination);
            Ok(())
        })?;
    }
    Ok(())
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
            let images = gradients.chunks_exact_mut(outputs);
            for (gradient, result) in images.zip(results.chunks_exact(outputs)) {
                for (layer, part) in beside(layers) {
                    let (result, gradient) = (&result[part.clone()], &mut gradient[part]);
                    layer.activation.backward(result, scale, gradient);
                }
            }
            column_sums(gradients, outputs)
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

/// The product `left * right`, on all threads.
fn product(left: Matrix, right: Matrix, out: &mut [f32], destination: Destination) {
    let columns = out.len() / left.rows();
    let rows = ROWS.max(MULTIPLICATIONS / (left.columns() * columns));
    let blocks = out.par_chunks_mut(rows * columns).enumerate();
    let blocks = blocks.with_max_len(1);
    blocks.for_each(|(block, out)| {
        let first = block * rows;
        let left = left.some_rows(first..first + out.len() / columns);
        matmul(left, right, out, destination);
    });
}

//! The work behind dense layers.
//!
//! Three matrix products, each cut into blocks that threads take one by one. There are far more weights than
//! images, so weights are read as they lie: for the outputs along their rows, for the gradients of the inputs
//! across their columns. What the products want otherwise is done to the images.
//!
//! How a product is cut may change its last bits (a block of one row, say, is summed up in another order), so the blocks
//! are the same on any number of threads.

use super::buffers::{Buffer, Buffers};
use super::chain::{Back, Kept};
use super::gradient::{Gradient, Input, Product};
use super::layer::Layer;
use super::matmul::{Destination, Matrix, MatrixMut, matmul};
use super::transpose::{transpose, transpose_on_all_threads};
use super::{BLOCK, sum_in_order, with_scratch, with_values};
use crate::parallel::for_each;
use candle_core::Result;
use std::ops::Range;
use std::sync::Arc;

/// Images that are computed at a time: what is read or written for them stays in cache. On the way to the outputs
/// there are zeros beyond them up to a multiple of a line, for them not to be copied first.
const IMAGES: usize = 64;
const LINE: usize = 16;
/// Outputs of an image that a thread computes at a time, at most: what they are made of is read anew each time.
const ROWS: usize = 72;
/// Outputs that the innermost loop of a product handles.
const TILE: usize = 6;
/// Inputs whose gradients a thread computes at a time.
const INPUTS: usize = 64;
/// Outputs that are added up for those at a time: their weights stay in cache from images to images.
const OUTPUTS: usize = 256;
/// Multiplications that are worth a thread.
const MULTIPLICATIONS: usize = 1 << 17;

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
    let outputs: usize = layers.iter().map(|layer| layer.map.outputs()).sum();
    kept.output = buffers.take(images * outputs);
    let few = images.next_multiple_of(LINE).min(IMAGES);
    let mut columns = buffers.take(inputs * few);
    let parts = kept.output.chunks_mut(few * outputs);
    for (input, output) in input.chunks(few * inputs).zip(parts) {
        let mut output = MatrixMut::new(output, outputs);
        let to = MatrixMut::new(&mut columns, few);
        let (to, mut beyond) = to.split_columns(output.rows());
        transpose_on_all_threads(Matrix::new(input, output.rows(), inputs), to);
        (0..inputs).for_each(|row| beyond.row(row).fill(0.0));
        let input = Matrix::new(&columns, inputs, few);
        for layer in layers {
            let (part, rest) = output.split_columns(layer.map.outputs());
            output = rest;
            layer_forward(layer, input, part)?;
        }
    }
    if let Some(mask) = &kept.mask {
        mask.apply_on_all_threads(&mut kept.output);
    }
    Ok(())
}

/// `output = activation(inputᵀ weightᵀ + bias)`: `input` has a column an image, and perhaps some more.
fn layer_forward(layer: &Layer, input: Matrix, output: MatrixMut) -> Result<()> {
    let columns = input.columns();
    let rows = rows_at_a_time(output.columns(), input.rows() * columns);
    let blocks = output.by_columns(rows).into_iter().enumerate();
    let block = |weight: Matrix, bias: &[f32], mut output: MatrixMut| {
        with_scratch(bias.len() * columns, |scratch| {
            let product = MatrixMut::new(scratch, columns);
            matmul(weight, input, product, Destination::Overwrite);
            let product = Matrix::new(scratch, bias.len(), columns);
            let product = product.some_columns(0..output.rows());
            transpose(product, output.reborrow());
            for image in 0..output.rows() {
                layer.activation.apply(output.row(image), bias);
            }
        });
    };
    with_values(&layer.weight.value, |weight| {
        with_values(&layer.bias.value, |bias| {
            let weight = Matrix::new(weight, bias.len(), input.rows());
            for_each(blocks, |(number, output)| {
                let part = number * rows..number * rows + output.columns();
                block(weight.some_rows(part.clone()), &bias[part], output);
            });
            Ok(())
        })
    })
}

/// Finds the gradient of the biases and, if it is wanted, fills that of the input. `gradient` is that of the
/// output; what it becomes, [`put_products`] wants.
pub(super) fn backward(
    layers: &[Layer],
    back: &Back,
    gradient: &mut [f32],
    input_gradient: Option<&mut [f32]>,
) -> Result<()> {
    let mut biases = vec![0.0; gradient.len() / back.images];
    sum_in_order(&start_back(layers, back, gradient), &mut biases);
    let gradient = Matrix::new(gradient, back.images, biases.len());
    for (layer, part) in beside(layers) {
        layer.bias.put_values(biases[part].to_vec())?;
    }
    match input_gradient {
        Some(to) => back_to_input(layers, gradient, to),
        None => Ok(()),
    }
}

/// Leaves `gradientᵀ input` with the weights.
pub(super) fn put_products(layers: &[Layer], gradient: Buffer, input: Input, images: usize) {
    let (gradient, input) = (Arc::new(gradient), Arc::new(input));
    for (layer, outputs) in beside(layers) {
        layer.weight.put_gradient(Gradient::Product(Product {
            gradient: gradient.clone(),
            outputs,
            input: input.clone(),
            images,
        }));
    }
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
            let blocks = MatrixMut::new(to, inputs).by_columns(INPUTS);
            for_each(blocks.into_iter().enumerate(), |(number, to)| {
                let columns = number * INPUTS..number * INPUTS + to.columns();
                add_products(gradient, weight.some_columns(columns), to, destination);
            });
            Ok(())
        })?;
    }
    Ok(())
}

/// `gradient weight`, some outputs after the other.
fn add_products(gradient: Matrix, weight: Matrix, mut to: MatrixMut, destination: Destination) {
    for first in (0..weight.rows()).step_by(OUTPUTS) {
        let destination = if first > 0 {
            Destination::Add
        } else {
            destination
        };
        let outputs = first..weight.rows().min(first + OUTPUTS);
        let weight = weight.some_rows(outputs.clone());
        for (number, to) in to.reborrow().by_rows(IMAGES).enumerate() {
            let images = number * IMAGES..number * IMAGES + to.rows();
            let gradient = gradient.some_rows(images).some_columns(outputs.clone());
            matmul(gradient, weight, to, destination);
        }
    }
}

/// How many of `outputs` a thread computes at a time, if one takes `multiplications`: as many each time, for no
/// thread to wait for another at the end.
fn rows_at_a_time(outputs: usize, multiplications: usize) -> usize {
    let most = (MULTIPLICATIONS / multiplications).max(ROWS);
    let blocks = match outputs.div_ceil(most) {
        1 => 1,
        blocks => blocks.next_multiple_of(2),
    };
    outputs.div_ceil(blocks).next_multiple_of(TILE)
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
    let mut parts = vec![vec![0.0; outputs]; gradient.len().div_ceil(block)];
    let blocks = gradient
        .chunks_mut(block)
        .zip(back.outputs[0].chunks(block));
    for_each(blocks.zip(&mut parts), |((gradients, results), biases)| {
        let images = gradients.chunks_exact_mut(outputs);
        for (gradient, result) in images.zip(results.chunks_exact(outputs)) {
            for (layer, part) in beside(layers) {
                let (result, gradient) = (&result[part.clone()], &mut gradient[part.clone()]);
                let activation = layer.activation;
                activation.backward(result, scale, gradient, &mut biases[part]);
            }
        }
    });
    parts
}

/// Layers beside each other, and which of an image's outputs are each one's.
fn beside(layers: &[Layer]) -> impl Iterator<Item = (&Layer, Range<usize>)> {
    let mut first = 0;
    layers.iter().map(move |layer| {
        first += layer.map.outputs();
        (layer, first - layer.map.outputs()..first)
    })
}

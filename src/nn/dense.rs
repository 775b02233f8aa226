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

/// Rows of a product that a thread computes at a time; more, where they hold fewer multiplications than
/// are worth a thread.
const ROWS: usize = 32;
const MULTIPLICATIONS: usize = 1 << 19;

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
    let mut columns = buffers.take(images * inputs);
    let mut results = buffers.take(images * outputs);
    transpose_on_all_threads(input, images, &mut columns, |_| ());
    with_values(&layer.weight.value, |weight| {
        let weight = Matrix::new(weight, outputs, inputs);
        product(weight, Matrix::new(&columns, inputs, images), &mut results);
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
    let Back {
        images, buffers, ..
    } = *back;
    let (inputs, outputs) = (layer.map.inputs(), layer.map.outputs());
    with_values_mut(&layer.bias.gradient, |to| {
        sum_in_order(&start_back(layer, back, gradient), to);
        Ok(())
    })?;
    let mut columns = buffers.take(images * outputs);
    transpose_on_all_threads(gradient, images, &mut columns, |_| ());
    let gradient = Matrix::new(&columns, outputs, images);
    with_values_mut(&layer.weight.gradient, |to| {
        product(gradient, Matrix::new(back.input, images, inputs), to);
        Ok(())
    })?;
    if let Some(to) = input_gradient {
        let mut results = buffers.take(images * inputs);
        with_values(&layer.weight.value, |weight| {
            let weight = Matrix::new(weight, outputs, inputs);
            product(weight.transposed(), gradient, &mut results);
            Ok(())
        })?;
        transpose_on_all_threads(&results, inputs, to, |_| ());
        buffers.give(results);
    }
    buffers.give(columns);
    Ok(())
}

/// The chain rule through dropout and activation; the gradient of the biases, in parts.
fn start_back(layer: &Layer, back: &Back, gradient: &mut [f32]) -> Vec<Vec<f32>> {
    let mask = back.kept[0].mask.as_ref();
    if let Some(mask) = mask {
        mask.apply_on_all_threads(gradient);
    }
    let scale = mask.map_or(1.0, |mask| mask.scale);
    let outputs = layer.map.outputs();
    let block = (BLOCK / outputs).max(1) * outputs;
    gradient
        .par_chunks_mut(block)
        .zip(back.outputs[0].par_chunks(block))
        .map(|(gradient, output)| {
            layer.activation.backward(output, scale, gradient);
            column_sums(gradient, outputs)
        })
        .collect()
}

/// `out = left * right`, on all threads.
fn product(left: Matrix, right: Matrix, out: &mut [f32]) {
    let columns = out.len() / left.rows();
    let rows = ROWS.max(MULTIPLICATIONS / (left.columns() * columns));
    let blocks = out.par_chunks_mut(rows * columns).enumerate();
    blocks.for_each(|(block, out)| {
        let first = block * rows;
        let left = left.some_rows(first..first + out.len() / columns);
        matmul(left, right, out, Destination::Overwrite);
    });
}

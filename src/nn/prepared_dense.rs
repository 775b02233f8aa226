//! Dense stages prepared for inference.
//!
//! Images are multiplied by weights that were transposed, as both lie, which is faster than the product of training, whose
//! weights are others at each step: so it is worth it where weights stay prepared for many images. The same goes for the
//! order of what is read and written: where a grid is flattened before the stage, or a list becomes a grid after it, it is
//! the weights that change places.

use super::layer::Layer;
use super::stage::Stage;
use super::tensor::with_values;
use crate::kernels::activation::Activation;
use crate::kernels::buffers::{Buffer, Buffers};
use crate::kernels::dense::forward_transposed;
use crate::kernels::matmul::{Matrix, MatrixMut};
use crate::kernels::transpose::{transpose_on_all_threads, transpose_slice};
use crate::parallel::for_each;
use candle_core::{Result, bail};

/// A dense layer, or several that read the same, with what flattens a grid before and makes a grid after them.
#[derive(Debug)]
pub(super) struct PreparedDense {
    /// (inputs, outputs)
    weight: Buffer,
    bias: Vec<f32>,
    activation: Activation,
}

impl PreparedDense {
    /// Prepares stages: a dense one, perhaps a flattening before it, and perhaps an unflattening after it.
    pub(super) fn new(stages: &[Stage<Layer>], buffers: &Buffers) -> Result<Self> {
        let Some(layers) = stages.iter().find_map(Stage::dense) else {
            bail!("no dense stage to prepare");
        };
        let inputs = layers[0].plan.map.inputs();
        let outputs: usize = layers.iter().map(|layer| layer.plan.map.outputs()).sum();
        let mut weight = buffers.take(outputs * inputs);
        let mut bias = Vec::with_capacity(outputs);
        let mut rows = &mut weight[..];
        for layer in layers {
            let (to, rest) = rows.split_at_mut(layer.plan.map.outputs() * inputs);
            with_values(&layer.weight.value, |values| {
                to.copy_from_slice(values);
                Ok(())
            })?;
            bias.extend(layer.bias.value.to_vec1::<f32>()?);
            rows = rest;
        }
        let mut other = buffers.take(weight.len());
        if let Some(Stage::Flatten([rows, columns, channels])) = stages.first() {
            reorder(&weight, [*channels, rows * columns], &mut other);
            std::mem::swap(&mut weight, &mut other);
        }
        let by_output = Matrix::new(&weight, outputs, inputs);
        transpose_on_all_threads(by_output, MatrixMut::new(&mut other, outputs));
        if let Some(Stage::Unflatten([rows, columns, channels])) = stages.last() {
            let shape = [*channels, rows * columns];
            reorder(&other, shape, &mut weight);
            std::mem::swap(&mut weight, &mut other);
            let list = std::mem::replace(&mut bias, vec![0.0; outputs]);
            reorder(&list, shape, &mut bias);
        }
        Ok(Self {
            weight: other,
            bias,
            activation: layers[0].plan.activation,
        })
    }

    /// The stages on some images.
    ///
    /// # Shapes
    ///
    /// - input: (images, inputs)
    /// - output: (images, outputs)
    pub(super) fn forward(&self, input: &[f32], output: &mut [f32]) {
        let outputs = self.bias.len();
        let inputs = self.weight.len() / outputs;
        forward_transposed(
            Matrix::new(&self.weight, inputs, outputs),
            &self.bias,
            self.activation,
            Matrix::new(input, input.len() / inputs, inputs),
            MatrixMut::new(output, outputs),
        );
    }
}

/// Lists, channel first, as grids with the channels of a place beside each other; or rows of weights for the one as those
/// for the other.
fn reorder(from: &[f32], [channels, places]: [usize; 2], to: &mut [f32]) {
    let each = channels * places;
    let lists = to.chunks_exact_mut(each).zip(from.chunks_exact(each));
    for_each(lists, |(to, from)| transpose_slice(from, channels, to));
}

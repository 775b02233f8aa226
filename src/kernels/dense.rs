//! The matrix products of a dense layer.
//!
//! Each is cut into blocks that threads take one by one. There are far more weights than images, so weights are read as
//! they lie: for the outputs along their rows, for the gradients of the inputs across their columns. What the products
//! want otherwise is done to the images. Where the same weights are used for many images, they are transposed instead.
//!
//! How a product is cut may change its last bits (a block of one row, say, is summed up in another order), so the blocks
//! are the same on any number of threads.

use super::activation::Activation;
use super::matmul::{Destination, Matrix, MatrixMut, matmul};
use super::scratch::with_scratch;
use super::transpose::{transpose, transpose_on_all_threads};
use crate::parallel::for_each;

/// Images that are computed at a time: what is read or written for them stays in cache.
const IMAGE_BLOCK: usize = 64;
/// On the way to the outputs there are zeros beyond the images up to a multiple of this, for the product not to copy them
/// first.
const IMAGE_MULTIPLE: usize = 16;
/// So many outputs of an image a thread may always compute at a time, and more where they are cheap
/// ([`MULTIPLICATIONS`]): what they are made of is read anew for each block. A multiple of [`MR`], and of what is
/// transposed at a time.
const M_BLOCK: usize = 96;
/// Outputs that the innermost loop of a product handles.
const MR: usize = 6;
/// Inputs whose gradients a thread computes at a time, or outputs, where weights were transposed before.
const N_BLOCK: usize = 64;
/// Outputs that are added up for those at a time: their weights stay in cache from images to images.
const K_BLOCK: usize = 256;
/// Multiplications that are worth a thread.
const MULTIPLICATIONS: usize = 1 << 17;

/// Columns that [`pad_batch`] makes of `images` images, of which so many are computed at a time.
pub fn padded_batch(images: usize) -> usize {
    images.next_multiple_of(IMAGE_MULTIPLE).min(IMAGE_BLOCK)
}

/// Images as columns, and columns of zeros beyond them.
///
/// # Shapes
///
/// - input: (images, inputs)
/// - columns: (inputs, [`padded_batch`])
///
/// # Panics
///
/// If the shapes do not fit each other.
pub fn pad_batch(input: Matrix, columns: MatrixMut) {
    let (to, mut beyond) = columns.split_columns(input.rows());
    transpose_on_all_threads(input, to);
    (0..input.columns()).for_each(|row| beyond.row(row).fill(0.0));
}

/// `output = activation(inputᵀ weightᵀ + bias)`.
///
/// # Shapes
///
/// - input: (inputs, images and perhaps some more), as of [`pad_batch`]
/// - weight: (outputs, inputs), bias: (outputs)
/// - output: (images, outputs), and so the slopes of the activation, if they are wanted
pub fn forward(
    weight: &[f32],
    bias: &[f32],
    activation: Activation,
    input: Matrix,
    output: MatrixMut,
    slopes: Option<MatrixMut>,
) {
    let columns = input.columns();
    let weight = Matrix::new(weight, bias.len(), input.rows());
    let rows = rows_at_a_time(output.columns(), input.rows() * columns);
    let block =
        |weight: Matrix, bias: &[f32], mut output: MatrixMut, mut slopes: Option<MatrixMut>| {
            with_scratch(bias.len() * columns, |scratch| {
                let product = MatrixMut::new(scratch, columns);
                matmul(weight, input, product, Destination::Overwrite);
                let product = Matrix::new(scratch, bias.len(), columns);
                let product = product.some_columns(0..output.rows());
                transpose(product, output.reborrow());
                for image in 0..output.rows() {
                    let slopes = slopes.as_mut().map(|slopes| slopes.row(image));
                    activation.apply(output.row(image), bias, slopes);
                }
            });
        };
    let mut slopes = slopes.map(|slopes| slopes.by_columns(rows));
    let blocks = output.by_columns(rows);
    let blocks = blocks.map(|output| (output, slopes.as_mut().and_then(Iterator::next)));
    for_each(blocks.enumerate(), |(number, (output, slopes))| {
        let part = number * rows..number * rows + output.columns();
        block(weight.some_rows(part.clone()), &bias[part], output, slopes);
    });
}

/// `output = activation(input weight + bias)`, for weights that were transposed before.
///
/// # Shapes
///
/// - weight: (inputs, outputs), bias: (outputs)
/// - input: (images, inputs)
/// - output: (images, outputs)
pub fn forward_transposed(
    weight: Matrix,
    bias: &[f32],
    activation: Activation,
    input: Matrix,
    output: MatrixMut,
) {
    let blocks = output.by_columns(N_BLOCK);
    for_each(blocks.enumerate(), |(number, mut output)| {
        let columns = number * N_BLOCK..number * N_BLOCK + output.columns();
        let (weight, bias) = (weight.some_columns(columns.clone()), &bias[columns]);
        for (number, mut output) in output.reborrow().by_rows(IMAGE_BLOCK).enumerate() {
            let images = number * IMAGE_BLOCK..number * IMAGE_BLOCK + output.rows();
            let input = input.some_rows(images);
            matmul(input, weight, output.reborrow(), Destination::Overwrite);
            (0..output.rows()).for_each(|image| activation.apply(output.row(image), bias, None));
        }
    });
}

/// How many of `outputs` a thread computes at a time, if one takes `multiplications`: as many each time, for no
/// thread to wait for another at the end.
fn rows_at_a_time(outputs: usize, multiplications: usize) -> usize {
    let most = (MULTIPLICATIONS / multiplications).max(M_BLOCK);
    let blocks = match outputs.div_ceil(most) {
        1 => 1,
        blocks => blocks.next_multiple_of(2),
    };
    outputs.div_ceil(blocks).next_multiple_of(MR)
}

/// `gradient weight`, the gradient of the input.
///
/// # Shapes
///
/// - gradient: (images, outputs)
/// - weight: (outputs, inputs)
/// - to: (images, inputs)
pub fn backward_data(gradient: Matrix, weight: &[f32], to: &mut [f32], destination: Destination) {
    let inputs = to.len() / gradient.rows();
    let weight = Matrix::new(weight, gradient.columns(), inputs);
    let blocks = MatrixMut::new(to, inputs).by_columns(N_BLOCK);
    for_each(blocks.enumerate(), |(number, to)| {
        let columns = number * N_BLOCK..number * N_BLOCK + to.columns();
        add_products(gradient, weight.some_columns(columns), to, destination);
    });
}

/// `gradient weight`, some outputs after the other.
fn add_products(gradient: Matrix, weight: Matrix, mut to: MatrixMut, destination: Destination) {
    for first in (0..weight.rows()).step_by(K_BLOCK) {
        let destination = if first > 0 {
            Destination::Add
        } else {
            destination
        };
        let outputs = first..weight.rows().min(first + K_BLOCK);
        let weight = weight.some_rows(outputs.clone());
        weight.prefetch();
        for (number, to) in to.reborrow().by_rows(IMAGE_BLOCK).enumerate() {
            let images = number * IMAGE_BLOCK..number * IMAGE_BLOCK + to.rows();
            let gradient = gradient.some_rows(images).some_columns(outputs.clone());
            matmul(gradient, weight, to, destination);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole numbers, so that sums are exact in any order.
    fn values(len: usize, seed: usize) -> Vec<f32> {
        let value = |i: usize| ((i * 7 + seed) % 11) as f32 - 5.0;
        (0..len).map(value).collect()
    }

    #[test]
    fn both_ways_to_the_outputs_lead_there() {
        for [images, inputs, outputs] in [[1, 5, 3], [17, 33, 64], [64, 100, 70], [70, 49, 130]] {
            let input = values(images * inputs, 1);
            let (weight, bias) = (values(outputs * inputs, 2), values(outputs, 3));
            let output = |image: usize, output: usize| {
                let weights = &weight[output * inputs..][..inputs];
                let products = input[image * inputs..].iter().zip(weights);
                let sum = products.map(|(a, b)| a * b).sum::<f32>() + bias[output];
                sum.max(0.0)
            };
            let expected: Vec<f32> = (0..images * outputs)
                .map(|at| output(at / outputs, at % outputs))
                .collect();

            let batch = padded_batch(images);
            let mut found = vec![f32::NAN; images * outputs];
            let parts = found.chunks_mut(batch * outputs);
            for (input, found) in input.chunks(batch * inputs).zip(parts) {
                let mut columns = vec![f32::NAN; inputs * batch];
                let input = Matrix::new(input, input.len() / inputs, inputs);
                pad_batch(input, MatrixMut::new(&mut columns, batch));
                let columns = Matrix::new(&columns, inputs, batch);
                let to = MatrixMut::new(found, outputs);
                forward(&weight, &bias, Activation::Relu, columns, to, None);
            }
            assert_eq!(found, expected, "{images} {inputs} {outputs}");

            let mut transposed = vec![0.0; weight.len()];
            let by_output = Matrix::new(&weight, outputs, inputs);
            transpose(by_output, MatrixMut::new(&mut transposed, outputs));
            found.fill(f32::NAN);
            let weight = Matrix::new(&transposed, inputs, outputs);
            let input = Matrix::new(&input, images, inputs);
            let to = MatrixMut::new(&mut found, outputs);
            forward_transposed(weight, &bias, Activation::Relu, input, to);
            assert_eq!(found, expected, "{images} {inputs} {outputs}");
        }
    }
}

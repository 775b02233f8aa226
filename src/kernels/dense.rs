//! The matrix products of a dense layer.
//!
//! Each is cut into blocks that threads take one by one. There are far more weights than images, so weights are read as
//! they lie: for the outputs along their rows, for the gradients of the inputs across their columns. What the products
//! want otherwise is done to the images.
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
/// Inputs whose gradients a thread computes at a time.
const N_BLOCK: usize = 64;
/// Outputs that are added up for those at a time: their weights stay in cache from images to images.
const K_BLOCK: usize = 256;
/// Multiplications that are worth a thread.
const MULTIPLICATIONS: usize = 1 << 17;

/// The fewest channels of grids that [`pad_batch`] is to flatten: it reads so many values together.
pub const FLATTENED_CHANNELS: usize = 16;

/// Columns that [`pad_batch`] makes of `images` images, of which so many are computed at a time.
pub fn padded_batch(images: usize) -> usize {
    images.next_multiple_of(IMAGE_MULTIPLE).min(IMAGE_BLOCK)
}

/// Images as columns, and columns of zeros beyond them. Grids of so many channels, which lie beside each other, become
/// lists of values, channel first, on the way; what is a list already has one place, and all of its values are channels.
///
/// # Shapes
///
/// - input: (images, inputs); of grids, inputs are (places, channels)
/// - columns: (inputs, [`padded_batch`]); of grids, inputs are (channels, places)
///
/// # Panics
///
/// If the shapes do not fit each other.
pub fn pad_batch(input: Matrix, channels: usize, columns: &mut [f32]) {
    let (inputs, places) = (input.columns(), input.columns() / channels);
    let batch = columns.len() / inputs;
    let pad = |place: usize, to: MatrixMut, transpose: fn(Matrix, MatrixMut)| {
        let (to, mut beyond) = to.split_columns(input.rows());
        let values = place * channels..(place + 1) * channels;
        transpose(input.some_columns(values), to);
        (0..channels).for_each(|channel| beyond.row(channel).fill(0.0));
    };
    let columns = MatrixMut::new(columns, places * batch).by_columns(batch);
    let columns = columns.into_iter().enumerate();
    match places {
        1 => columns.for_each(|(place, to)| pad(place, to, transpose_on_all_threads)),
        _ => for_each(columns, |(place, to)| pad(place, to, transpose)),
    }
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
    let mut slopes = slopes.map(|slopes| slopes.by_columns(rows).into_iter());
    let blocks = output.by_columns(rows).into_iter();
    let blocks = blocks.map(|output| (output, slopes.as_mut().and_then(Iterator::next)));
    for_each(blocks.enumerate(), |(number, (output, slopes))| {
        let part = number * rows..number * rows + output.columns();
        block(weight.some_rows(part.clone()), &bias[part], output, slopes);
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
    for_each(blocks.into_iter().enumerate(), |(number, to)| {
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

    #[test]
    fn grids_become_columns_of_lists_and_there_are_zeros_beyond() {
        for (images, places, channels) in [
            (1, 1, 5),
            (3, 4, 3),
            (16, 49, 64),
            (64, 1, 70),
            (64, 49, 17),
        ] {
            let (inputs, batch) = (places * channels, padded_batch(images));
            let input: Vec<f32> = (0..images * inputs).map(|i| i as f32 + 1.0).collect();
            let mut columns = vec![f32::NAN; inputs * batch];
            pad_batch(Matrix::new(&input, images, inputs), channels, &mut columns);
            for (number, found) in columns.into_iter().enumerate() {
                let (row, image) = (number / batch, number % batch);
                let (channel, place) = (row / places, row % places);
                let expected = match image < images {
                    true => input[image * inputs + place * channels + channel],
                    false => 0.0,
                };
                assert_eq!(found, expected, "{images} {places} {channels} {number}");
            }
        }
    }
}

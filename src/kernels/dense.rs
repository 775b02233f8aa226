//! The matrix products of a dense layer.
//!
//! Each is cut into blocks that threads share. There are far more weights than images, so weights are read as
//! they lie: for the outputs along their rows, for the gradients of the inputs across their columns. What the products
//! want otherwise is done to the images. Where the same weights are used for many images, they are transposed instead.
//! Where there are few sums, what is summed up is cut, too, and the parts are added in their order.
//!
//! How a product is cut may change its last bits (a block of one row, say, is summed up in another order), so the blocks
//! are the same on any number of threads.

use super::activation::Activation;
use super::buffers::{Buffer, Buffers};
use super::elementwise::{BLOCK, add_vectorized};
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
/// Outputs that are added up for those at a time, at most: their weights stay in cache from images to images.
const K_BLOCK: usize = 256;
/// Multiplications that are worth a thread.
const MULTIPLICATIONS: usize = 1 << 17;
/// Tasks that are enough for threads to share. Where a product has fewer blocks, it is cut along what it sums up.
const TASKS: usize = 16;
/// Values that a task then sums up at least.
const PART: usize = 512;

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
    buffers: &Buffers,
) {
    let columns = input.columns();
    let weight = Matrix::new(weight, bias.len(), input.rows());
    let rows = rows_at_a_time(bias.len(), input.rows() * columns);
    let parts = parts(bias.len().div_ceil(rows), input.rows());
    let products = (parts > 1).then(|| products_of_parts(weight, input, parts, rows, buffers));
    let mut slopes = slopes.map(|slopes| slopes.by_columns(rows));
    let blocks = output.by_columns(rows);
    let blocks = blocks.map(|output| (output, slopes.as_mut().and_then(Iterator::next)));
    for_each(blocks.enumerate(), |(number, (mut output, mut slopes))| {
        let outputs = number * rows..number * rows + output.columns();
        let bias = &bias[outputs.clone()];
        with_scratch(bias.len() * columns, |sum| {
            if let Some(products) = &products {
                let part = outputs.start * columns..outputs.end * columns;
                let products = products.chunks_exact(products.len() / parts);
                sum.fill(0.0);
                products.for_each(|product| add_vectorized(sum, &product[part.clone()]));
            } else {
                let to = MatrixMut::new(sum, columns);
                matmul(weight.some_rows(outputs), input, to, Destination::Overwrite);
            }
            let sum = Matrix::new(sum, bias.len(), columns).some_columns(0..output.rows());
            transpose(sum, output.reborrow());
            for image in 0..output.rows() {
                let slopes = slopes.as_mut().map(|slopes| slopes.row(image));
                activation.apply(output.row(image), bias, slopes);
            }
        });
    });
}

/// `weight input` for each of so many parts of what is summed up, one after the other, by blocks of so many rows. The
/// tasks go from part to part: so a thread has the columns of weights in its cache that it changed and read on the way
/// back before.
fn products_of_parts(
    weight: Matrix,
    input: Matrix,
    parts: usize,
    rows: usize,
    buffers: &Buffers,
) -> Buffer {
    let columns = input.columns();
    let summed = input.rows().div_ceil(parts);
    let mut products = buffers.take(parts * weight.rows() * columns);
    let blocks = products.chunks_mut(weight.rows() * columns).enumerate();
    let blocks = blocks.flat_map(|(part, product)| {
        let blocks = product.chunks_mut(rows * columns).enumerate();
        blocks.map(move |(number, to)| (part * summed, number * rows, to))
    });
    for_each(blocks, |(first, row, to)| {
        let summed = first..input.rows().min(first + summed);
        let weight = weight.some_rows(row..row + to.len() / columns);
        let weight = weight.some_columns(summed.clone());
        let to = MatrixMut::new(to, columns);
        matmul(weight, input.some_rows(summed), to, Destination::Overwrite);
    });
    products
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

/// Into how many parts what is summed up is cut, where there are few blocks of sums for threads to share.
fn parts(blocks: usize, summed: usize) -> usize {
    (TASKS / blocks).min(summed / PART).max(1)
}

/// `gradient weight`, the gradient of the input.
///
/// # Shapes
///
/// - gradient: (images, outputs)
/// - weight: (outputs, inputs)
/// - to: (images, inputs)
pub fn backward_data(
    gradient: Matrix,
    weight: &[f32],
    to: &mut [f32],
    destination: Destination,
    buffers: &Buffers,
) {
    let (outputs, inputs) = (gradient.columns(), to.len() / gradient.rows());
    let weight = Matrix::new(weight, outputs, inputs);
    // With many images each part would take much memory, and has enough to do.
    let blocks = inputs.div_ceil(N_BLOCK) * gradient.rows().div_ceil(IMAGE_BLOCK);
    let parts = parts(blocks, outputs);
    let summed = outputs.div_ceil(parts);
    let mut others = buffers.take((parts - 1) * to.len());
    let products = std::iter::once((&mut *to, destination));
    let others_to = others.chunks_exact_mut(gradient.rows() * inputs);
    let products = products.chain(others_to.map(|to| (to, Destination::Overwrite)));
    let blocks = products.enumerate().flat_map(|(part, (to, destination))| {
        let blocks = MatrixMut::new(to, inputs).by_columns(N_BLOCK).enumerate();
        blocks.map(move |(number, to)| (part * summed, number * N_BLOCK, to, destination))
    });
    for_each(blocks, |(first, column, to, destination)| {
        let summed = first..outputs.min(first + summed);
        let weight = weight.some_rows(summed.clone());
        let weight = weight.some_columns(column..column + to.columns());
        add_products(gradient.some_columns(summed), weight, to, destination);
    });
    if parts > 1 {
        let others: Vec<_> = others.chunks_exact(to.len()).collect();
        for_each(to.chunks_mut(BLOCK).enumerate(), |(number, to)| {
            let others = others.iter().map(|other| &other[number * BLOCK..]);
            others.for_each(|other| add_vectorized(to, other));
        });
    }
}

/// `gradient weight`, some outputs after the other.
fn add_products(gradient: Matrix, weight: Matrix, mut to: MatrixMut, destination: Destination) {
    let steps = weight.rows().div_ceil(K_BLOCK);
    let step = weight.rows().div_ceil(steps);
    for first in (0..weight.rows()).step_by(step) {
        let destination = if first > 0 {
            Destination::Add
        } else {
            destination
        };
        let outputs = first..weight.rows().min(first + step);
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

    /// Images, what is summed up, and sums of products that are cut along what they sum up.
    const LONG: [[usize; 3]; 4] = [[3, 1024, 5], [64, 1100, 20], [70, 3136, 256], [2, 9000, 1]];

    #[test]
    fn gradients_of_inputs_are_sums_over_all_outputs_added_or_not() {
        for [images, outputs, inputs] in [[5, 7, 3], [70, 300, 65]].into_iter().chain(LONG) {
            let gradient = values(images * outputs, 1);
            let weight = values(outputs * inputs, 2);
            let sum = |at: usize| {
                let gradients = &gradient[at / inputs * outputs..][..outputs];
                let products = gradients.iter().enumerate();
                let products = products.map(|(row, g)| g * weight[row * inputs + at % inputs]);
                products.sum::<f32>()
            };
            let expected: Vec<f32> = (0..images * inputs).map(sum).collect();
            let gradient = Matrix::new(&gradient, images, outputs);
            let mut found = vec![f32::NAN; expected.len()];
            let buffers = Buffers::default();
            for (destination, times) in [(Destination::Overwrite, 1.0), (Destination::Add, 2.0)] {
                backward_data(gradient, &weight, &mut found, destination, &buffers);
                let expected: Vec<f32> = expected.iter().map(|sum| times * sum).collect();
                assert_eq!(found, expected, "{images} {outputs} {inputs}");
            }
        }
    }

    #[test]
    fn long_sums_have_their_slopes_and_the_same_bits_on_any_number_of_threads() {
        for [images, summed, sums] in LONG {
            let shares = |len, seed| -> Vec<f32> {
                let values = values(len, seed);
                values.into_iter().map(|value| value / 300.0).collect()
            };
            let input = shares(images.min(IMAGE_BLOCK) * summed, 1);
            let (weight, gradient) = (shares(sums * summed, 2), shares(sums * summed, 3));
            let (bias, images) = (shares(sums, 4), images.min(IMAGE_BLOCK));
            let found = |threads: usize| {
                let [mut output, mut slopes, mut to] = [(); 3].map(|()| vec![0.0; images * sums]);
                let mut columns = vec![0.0; summed * padded_batch(images)];
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                pool.expect("threads").install(|| {
                    let buffers = Buffers::default();
                    let rows = Matrix::new(&input, images, summed);
                    pad_batch(rows, MatrixMut::new(&mut columns, padded_batch(images)));
                    let columns = Matrix::new(&columns, summed, padded_batch(images));
                    let places = [&mut output, &mut slopes].map(|v| MatrixMut::new(v, sums));
                    let [output, slopes] = places;
                    let silu = Activation::Silu;
                    forward(
                        &weight,
                        &bias,
                        silu,
                        columns,
                        output,
                        Some(slopes),
                        &buffers,
                    );
                    backward_data(rows, &gradient, &mut to, Destination::Overwrite, &buffers);
                });
                [output, slopes, to]
            };
            let on_one = found(1);
            for image in 0..images {
                for output in 0..sums {
                    let weights = &weight[output * summed..][..summed];
                    let products = input[image * summed..].iter().zip(weights);
                    let sum: f64 = products.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                    let sum = sum + f64::from(bias[output]);
                    let sigmoid = 1.0 / (1.0 + (-sum).exp());
                    let expected = [sum * sigmoid, sigmoid * (1.0 + sum * (1.0 - sigmoid))];
                    let at = image * sums + output;
                    let found = [on_one[0][at], on_one[1][at]].map(f64::from);
                    let off = [found[0] - expected[0], found[1] - expected[1]].map(f64::abs);
                    assert!(
                        off.iter().all(|off| *off < 1e-5),
                        "{found:?} for {expected:?}"
                    );
                }
            }
            let bits =
                |values: &[Vec<f32>; 3]| values.concat().iter().map(|v| v.to_bits()).collect();
            let on_one: Vec<u32> = bits(&on_one);
            for threads in [2, 5] {
                assert_eq!(
                    bits(&found(threads)),
                    on_one,
                    "{summed} on {threads} threads"
                );
            }
        }
    }

    #[test]
    fn both_ways_to_the_outputs_lead_there() {
        let shapes = [[1, 5, 3], [17, 33, 64], [64, 100, 70], [70, 49, 130]];
        for [images, inputs, outputs] in shapes.into_iter().chain(LONG) {
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

            let buffers = Buffers::default();
            let batch = padded_batch(images);
            let mut found = vec![f32::NAN; images * outputs];
            let parts = found.chunks_mut(batch * outputs);
            for (input, found) in input.chunks(batch * inputs).zip(parts) {
                let mut columns = vec![f32::NAN; inputs * batch];
                let input = Matrix::new(input, input.len() / inputs, inputs);
                pad_batch(input, MatrixMut::new(&mut columns, batch));
                let columns = Matrix::new(&columns, inputs, batch);
                let to = MatrixMut::new(found, outputs);
                let relu = Activation::Relu;
                forward(&weight, &bias, relu, columns, to, None, &buffers);
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

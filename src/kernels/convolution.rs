//! Convolutions and transposed convolutions, as matrix products.
//!
//! A convolution maps a large grid of pixels to a small one; a transposed convolution is its
//! adjoint and maps a small grid to a large one. With the weights as a matrix `W` (a row a channel of
//! the small grid), the small grid as a matrix `S` (a row a place) and the patches of the large grid,
//! the pixels under the kernel for each place, as a matrix `P` (a row a place):
//!
//! | function | product | for a convolution | for a transposed convolution |
//! | --- | --- | --- | --- |
//! | [`forward`] | `P Wᵀ` (im2col, then a product) | the output | the input gradient |
//! | [`backward_data`] | `S W` (a product, then col2im) | the input gradient | the output |
//! | [`backward_weights`] | `Pᵀ S` | the weight gradient | the weight gradient |
//!
//! They are named after what they are for a convolution, as in oneDNN. They work on the images of a shard, and cut them
//! into chunks whose patches stay in a core's cache. Where the large grid has few channels, patches are mostly copies of few
//! values: [`direct_conv`] computes those from the values themselves.

use super::buffers::{Buffer, Buffers};
use super::direct_conv;
use super::elementwise::for_each_row;
use super::geometry::{Geometry, Grid};
use super::im2col::{col2im, crop, im2col, pad};
use super::matmul::{Destination, Matrix, MatrixMut, matmul};
use super::padding::PaddedGrid;
use super::scratch::with_scratch;
use super::transpose::{transpose_on_all_threads, transpose_slice};
use std::ops::Range;

/// Floats of patches held at a time: 256 KiB, half of a usual core's second-level cache.
const CHUNK: usize = 64 * 1024;

/// The weights in the order of the products that give the `target` grid: `W` for large ones, `Wᵀ` for small ones.
///
/// # Shapes
///
/// - torch: (channels of the small grid, channels of the large grid, kernel, kernel), as PyTorch has them
pub fn weights(geometry: &Geometry, target: Grid, torch: &[f32], buffers: &Buffers) -> Buffer {
    let mut patch = buffers.take(torch.len());
    patch_order(geometry, torch, &mut patch);
    match target {
        Grid::Large => patch,
        Grid::Small => {
            let mut transposed = buffers.take(torch.len());
            let patch = Matrix::new(&patch, geometry.small[2], geometry.patch_len());
            let to = MatrixMut::new(&mut transposed, geometry.small[2]);
            transpose_on_all_threads(patch, to);
            transposed
        }
    }
}

/// The weights as the matrix `W`: from PyTorch's order (small channel, large channel, row, column)
/// to (small channel, row, column, large channel), the order of a patch.
fn patch_order(geometry: &Geometry, torch: &[f32], patch: &mut [f32]) {
    let len = geometry.patch_len();
    for_each_row(patch, len, len, |small, to| {
        transpose_slice(&torch[small * len..][..len], geometry.large[2], to);
    });
}

/// Weights, or gradients of them, from the order of `Wᵀ` to PyTorch's.
pub fn torch_order(geometry: &Geometry, transposed: &[f32], torch: &mut [f32]) {
    let len = geometry.patch_len();
    let mut patch = vec![0.0; torch.len()];
    let transposed = Matrix::new(transposed, len, geometry.small[2]);
    transpose_on_all_threads(transposed, MatrixMut::new(&mut patch, len));
    let area = geometry.kernel * geometry.kernel;
    for_each_row(torch, len, len, |small, to| {
        transpose_slice(&patch[small * len..][..len], area, to);
    });
}

/// `small = P Wᵀ`. `epilogue` is called on each finished stretch while it is in cache. `weight` is
/// `Wᵀ`.
///
/// # Shapes
///
/// - large, small: (images, rows, columns, channels) as in [`Geometry::large`] and [`Geometry::small`]
/// - weight: ([`Geometry::patch_len`], channels of the small grid)
pub fn forward(
    geometry: &Geometry,
    large: &[f32],
    weight: &[f32],
    small: &mut [f32],
    epilogue: impl Fn(&mut [f32]),
) {
    if direct_conv::has_few_channels(geometry) {
        return direct_conv::forward(geometry, large, weight, small, epilogue);
    }
    let weight = Matrix::new(weight, geometry.patch_len(), geometry.small[2]);
    let images = large.len() / geometry.values(Grid::Large);
    in_chunks(geometry, images, |padded, scratch, chunks| {
        pad(geometry, large, padded);
        for rows in chunks {
            let values = small_values(geometry, &rows);
            let patches = patches(geometry, padded, rows, scratch);
            let to = MatrixMut::new(&mut small[values.clone()], geometry.small[2]);
            matmul(patches, weight, to, Destination::Overwrite);
            epilogue(&mut small[values]);
        }
    });
}

/// `large = S W`, its patches added up. `weight` is `W`.
///
/// # Shapes
///
/// - small, large: as of [`forward`]
/// - weight: (channels of the small grid, [`Geometry::patch_len`])
pub fn backward_data(geometry: &Geometry, small: &[f32], weight: &[f32], large: &mut [f32]) {
    if direct_conv::has_blocks_of_taps(geometry) {
        return direct_conv::backward_data(geometry, small, weight, large);
    }
    let weight = Matrix::new(weight, geometry.small[2], geometry.patch_len());
    let images = large.len() / geometry.values(Grid::Large);
    in_chunks(geometry, images, |padded, scratch, chunks| {
        padded.fill(0.0);
        for rows in chunks {
            let places = places(geometry, &small[small_values(geometry, &rows)]);
            let patches = &mut scratch[..places.rows() * geometry.patch_len()];
            let to = MatrixMut::new(patches, geometry.patch_len());
            matmul(places, weight, to, Destination::Overwrite);
            col2im(geometry, patches, rows, padded);
        }
        crop(geometry, padded, large);
    });
}

/// `Pᵀ S`, the gradient of `Wᵀ`. With a `forward`, a new small grid and `Wᵀ`, also `small = P Wᵀ` from the same patches:
/// the two that a transposed convolution needs.
///
/// # Shapes
///
/// - large, small: as of [`forward`]
/// - output: ([`Geometry::patch_len`], channels of the small grid)
pub fn backward_weights(
    geometry: &Geometry,
    large: &[f32],
    small: &[f32],
    mut forward: Option<(&mut [f32], &[f32])>,
) -> Vec<f32> {
    if direct_conv::has_few_channels(geometry) {
        if let Some((new_small, weight)) = forward {
            direct_conv::forward(geometry, large, weight, new_small, |_| ());
        }
        return direct_conv::backward_weights(geometry, large, small);
    }
    let mut gradient = vec![0.0; geometry.patch_len() * geometry.small[2]];
    let images = large.len() / geometry.values(Grid::Large);
    in_chunks(geometry, images, |padded, scratch, chunks| {
        pad(geometry, large, padded);
        for rows in chunks {
            let values = small_values(geometry, &rows);
            let patches = patches(geometry, padded, rows, scratch);
            let places = places(geometry, &small[values.clone()]);
            let to = MatrixMut::new(&mut gradient, geometry.small[2]);
            matmul(patches.transposed(), places, to, Destination::Add);
            if let Some((new_small, weight)) = &mut forward {
                let weight = Matrix::new(weight, geometry.patch_len(), geometry.small[2]);
                let to = MatrixMut::new(&mut new_small[values], geometry.small[2]);
                matmul(patches, weight, to, Destination::Overwrite);
            }
        }
    });
    gradient
}

/// Calls `work(scratch for padded grids, scratch for patches, chunks)`; a chunk is of rows of the small
/// grids, whose patches fit into the scratch.
fn in_chunks(
    geometry: &Geometry,
    images: usize,
    work: impl FnOnce(&mut [f32], &mut [f32], Vec<Range<usize>>),
) {
    let rows = images * geometry.small[0];
    let row_len = geometry.small[1] * geometry.patch_len();
    let most = (CHUNK / row_len).max(1);
    let step = rows.div_ceil(rows.div_ceil(most));
    let chunks = (0..rows)
        .step_by(step)
        .map(|first| first..(first + step).min(rows));
    let padded = images * PaddedGrid::of(geometry).padded_len();
    with_scratch(padded + step * row_len, |scratch| {
        let (padded, patches) = scratch.split_at_mut(padded);
        work(padded, patches, chunks.collect());
    });
}

/// Where the values of `rows` are in the small grids.
fn small_values(geometry: &Geometry, rows: &Range<usize>) -> Range<usize> {
    let row_len = geometry.small[1] * geometry.small[2];
    rows.start * row_len..rows.end * row_len
}

/// Values of small grids as the matrix `S`.
fn places<'a>(geometry: &Geometry, values: &'a [f32]) -> Matrix<'a> {
    Matrix::new(values, values.len() / geometry.small[2], geometry.small[2])
}

/// The patches of `rows`, read from padded grids, as the matrix `P`.
fn patches<'a>(
    geometry: &Geometry,
    padded: &[f32],
    rows: Range<usize>,
    scratch: &'a mut [f32],
) -> Matrix<'a> {
    let places = rows.len() * geometry.small[1];
    let patches = &mut scratch[..places * geometry.patch_len()];
    im2col(geometry, padded, rows, patches);
    Matrix::new(patches, places, geometry.patch_len())
}

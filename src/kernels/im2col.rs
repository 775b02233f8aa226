//! Patches: the pixels under a kernel, as the rows of a matrix.
//!
//! Rows of the small grids count through all images. Pixels have their channels last, so that a row of the kernel is
//! one contiguous copy. (Caffe and PyTorch call the two directions `im2col` and `col2im`.)

use super::elementwise::{add, add_vectorized};
use super::geometry::{Geometry, Grid};
use super::padding::PaddedGrid;
use std::ops::Range;

/// A row of a usual kernel where there is one channel.
type KernelRow = [f32; 4];

/// Puts zeros around large grids, as far as the kernel reaches.
pub fn pad(geometry: &Geometry, large: &[f32], padded: &mut [f32]) {
    let padding = PaddedGrid::of(geometry);
    padded.fill(0.0);
    let grids = large.chunks_exact(geometry.values(Grid::Large));
    for (grid, padded) in grids.zip(padded.chunks_exact_mut(padding.padded_len())) {
        padding.pad(grid, padded);
    }
}

/// Takes large grids out of what is around them.
pub fn crop(geometry: &Geometry, padded: &[f32], large: &mut [f32]) {
    let padding = PaddedGrid::of(geometry);
    let grids = large.chunks_exact_mut(geometry.values(Grid::Large));
    for (padded, grid) in padded.chunks_exact(padding.padded_len()).zip(grids) {
        padding.crop(padded, grid);
    }
}

/// Copies the patches of some `rows` of the small grids out of padded large grids.
///
/// # Shapes
///
/// - patches: (rows, columns of a small grid, [`Geometry::patch_len`])
pub fn im2col(geometry: &Geometry, padded: &[f32], rows: Range<usize>, patches: &mut [f32]) {
    let len = geometry.kernel * geometry.large[2];
    let mut patches = patches.chunks_exact_mut(len);
    for_kernel_rows(geometry, rows, |first| {
        let from = &padded[first..first + len];
        patches.next().into_iter().for_each(|to| copy(from, to));
    });
}

/// Adds the patches of some `rows` of the small grids to where they lie in padded large grids.
pub fn col2im(geometry: &Geometry, patches: &[f32], rows: Range<usize>, padded: &mut [f32]) {
    let len = geometry.kernel * geometry.large[2];
    let mut patches = patches.chunks_exact(len);
    for_kernel_rows(geometry, rows, |first| {
        let to = &mut padded[first..first + len];
        patches
            .next()
            .into_iter()
            .for_each(|from| add_row(to, from));
    });
}

/// Calls `visit` with each row of the kernel, at each place of some `rows` of the small grids: where its first value
/// is in the padded large grids. That is the order of patches.
fn for_kernel_rows(geometry: &Geometry, rows: Range<usize>, mut visit: impl FnMut(usize)) {
    let padding = PaddedGrid::of(geometry);
    let (row_len, place) = (padding.row_len(), geometry.stride * geometry.large[2]);
    for row in rows {
        let (image, row) = (row / geometry.small[0], row % geometry.small[0]);
        let first = image * padding.padded_len() + row * geometry.stride * row_len;
        for column in 0..geometry.small[1] {
            for tap in 0..geometry.kernel {
                visit(first + column * place + tap * row_len);
            }
        }
    }
}

/// Copies a row of a kernel. Few values are not worth a call.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    match (
        <&KernelRow>::try_from(from),
        <&mut KernelRow>::try_from(&mut *to),
    ) {
        (Ok(from), Ok(to)) => *to = *from,
        _ => to.copy_from_slice(from),
    }
}

/// Adds a row of a kernel.
#[inline(always)]
fn add_row(to: &mut [f32], from: &[f32]) {
    match (
        <&mut KernelRow>::try_from(&mut *to),
        <&KernelRow>::try_from(from),
    ) {
        (Ok(to), Ok(from)) => add(to, from),
        _ => add_vectorized(to, from),
    }
}

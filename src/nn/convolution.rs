//! The work behind convolutions and transposed convolutions.
//!
//! A convolution maps a large grid of pixels to a small one; a transposed convolution is its
//! adjoint and maps a small grid to a large one. With the weights as a matrix `W` (a row a channel of
//! the small grid), the small grid as a matrix `S` (a row a place) and the patches of the large grid,
//! the pixels under the kernel for each place, as a matrix `P` (a row a place):
//!
//! | product | for a convolution   | for a transposed convolution       |
//! | ------- | ------------------- | ---------------------------------- |
//! | `P Wᵀ`  | the output          | the input gradient                 |
//! | `S W`   | the input gradient* | the output*                        |
//! | `Pᵀ S`  | the weight gradient | the weight gradient                |
//!
//! (* as patches, which are then added to where they lie on the large grid.)
//!
//! Pixels are stored with their channels last, so that a row of the kernel is one contiguous copy. The
//! functions work on a few whole images, and cut them into chunks whose patches stay in a core's cache.

use super::matmul::{Destination, Matrix, matmul};
use super::transpose::{transpose, transpose_on_all_threads};
use super::{BLOCK, add, with_scratch};
use rayon::prelude::*;
use std::ops::Range;

/// Floats of patches held at a time: 256 KiB, half of a usual core's second-level cache.
const CHUNK: usize = 64 * 1024;

/// The shape of a convolution, seen from its large side (what it reads) to its small side (what it
/// writes). A transposed convolution has the same shape and is read the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Rows, columns and channels of the large grid.
    pub large: [usize; 3],
    /// Rows, columns and channels of the small grid.
    pub small: [usize; 3],
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Pixels of the large grid from one place to the next.
    pub stride: usize,
    /// Rows of zeros above the large grid, and columns of zeros left of it. What is needed below and
    /// on the right follows from the sizes.
    pub pad: [usize; 2],
}

/// One of the two grids of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grid {
    /// What the kernel moves over.
    Large,
    /// The places of the kernel.
    Small,
}

impl Geometry {
    /// Values that an image has on a grid.
    pub(super) fn len(&self, grid: Grid) -> usize {
        match grid {
            Grid::Large => self.large.iter().product(),
            Grid::Small => self.small.iter().product(),
        }
    }

    /// The weights, from PyTorch's order to that of the products that give the `target` grid.
    pub(super) fn weights(&self, target: Grid, torch: &[f32]) -> Vec<f32> {
        match target {
            Grid::Large => self.patch_order(torch),
            Grid::Small => self.transposed_patch_order(torch),
        }
    }

    fn patch_len(&self) -> usize {
        self.kernel * self.kernel * self.large[2]
    }

    /// The weights as the matrix `W`: from PyTorch's order (small channel, large channel, row, column)
    /// to (small channel, row, column, large channel), the order of a patch.
    fn patch_order(&self, torch: &[f32]) -> Vec<f32> {
        let (channels, area) = (self.large[2], self.kernel * self.kernel);
        let mut patch = vec![0.0; torch.len()];
        patch
            .par_chunks_mut(channels * area)
            .zip(torch.par_chunks(channels * area))
            .with_min_len(BLOCK / (channels * area))
            .for_each(|(to, from)| transpose(from, area, channels, to));
        patch
    }

    /// The matrix `Wᵀ`.
    fn transposed_patch_order(&self, torch: &[f32]) -> Vec<f32> {
        let mut transposed = vec![0.0; torch.len()];
        let patch = self.patch_order(torch);
        transpose_on_all_threads(&patch, self.small[2], &mut transposed, |_| ());
        transposed
    }

    /// From the order of `Wᵀ` to PyTorch's.
    pub(super) fn torch_order(&self, transposed: &[f32], torch: &mut [f32]) {
        let (channels, area) = (self.large[2], self.kernel * self.kernel);
        let mut patch = vec![0.0; torch.len()];
        transpose_on_all_threads(transposed, self.patch_len(), &mut patch, |_| ());
        torch
            .par_chunks_mut(channels * area)
            .zip(patch.par_chunks(channels * area))
            .with_min_len(BLOCK / (channels * area))
            .for_each(|(to, from)| transpose(from, channels, area, to));
    }

    /// Where the kernel's rows lie on the large grid, for each place of a row of the small grid (rows
    /// count through all images): calls `visit(patch, pixels, first)` for each place and kernel row
    /// with the position of that row in the patches, the pixels of it that are on the grid, and how
    /// many of its values are before those, in the padding.
    fn visit_patches(&self, row: usize, mut visit: impl FnMut(usize, Range<usize>, usize)) {
        let [height, width, channels] = self.large;
        let [above, before] = self.pad;
        let (image, row) = (row / self.small[0], row % self.small[0]);
        for column in 0..self.small[1] {
            let left = column * self.stride;
            let first = before.saturating_sub(left).min(self.kernel);
            let last = (width + before)
                .saturating_sub(left)
                .clamp(first, self.kernel);
            for tap in 0..self.kernel {
                let patch = (column * self.kernel + tap) * self.kernel * channels;
                let y = row * self.stride + tap;
                if y < above || y - above >= height || first == last {
                    visit(patch, 0..0, 0);
                } else {
                    let pixel = (image * height + y - above) * width + left + first - before;
                    let pixels = pixel * channels..(pixel + last - first) * channels;
                    visit(patch, pixels, first * channels);
                }
            }
        }
    }

    /// Copies the patches of `rows` out of `large`; what lies in the padding is zero.
    fn read_patches(&self, large: &[f32], rows: Range<usize>, patches: &mut [f32]) {
        let kernel_row = self.kernel * self.large[2];
        let row_len = self.small[1] * self.patch_len();
        for (row, patches) in rows.zip(patches.chunks_exact_mut(row_len)) {
            self.visit_patches(row, |patch, pixels, first| {
                let patch = &mut patches[patch..patch + kernel_row];
                if pixels.len() == kernel_row {
                    copy(&large[pixels], patch);
                } else {
                    let last = first + pixels.len();
                    patch[..first].fill(0.0);
                    patch[first..last].copy_from_slice(&large[pixels]);
                    patch[last..].fill(0.0);
                }
            });
        }
    }

    /// Adds the patches of `rows` to where they lie in `large`.
    fn add_patches(&self, patches: &[f32], rows: Range<usize>, large: &mut [f32]) {
        let row_len = self.small[1] * self.patch_len();
        for (row, patches) in rows.zip(patches.chunks_exact(row_len)) {
            self.visit_patches(row, |patch, pixels, first| {
                let patch = &patches[patch + first..patch + first + pixels.len()];
                add(&mut large[pixels], patch);
            });
        }
    }

    /// Calls `work(rows, scratch for their patches)` for one chunk after the other of `rows` rows.
    fn for_chunks(&self, rows: usize, mut work: impl FnMut(Range<usize>, &mut [f32])) {
        let row_len = self.small[1] * self.patch_len();
        let most = (CHUNK / row_len).max(1);
        let step = rows.div_ceil(rows.div_ceil(most));
        with_scratch(step * row_len, |scratch| {
            for first in (0..rows).step_by(step) {
                let last = (first + step).min(rows);
                work(first..last, &mut scratch[..(last - first) * row_len]);
            }
        });
    }

    /// Rows of the small grids that `small` holds.
    fn rows(&self, small: &[f32]) -> usize {
        small.len() / (self.small[1] * self.small[2])
    }

    /// Where the values of `rows` are in the small grids.
    fn values(&self, rows: &Range<usize>) -> Range<usize> {
        let row_len = self.small[1] * self.small[2];
        rows.start * row_len..rows.end * row_len
    }

    /// Values of small grids as the matrix `S`.
    fn places<'a>(&self, values: &'a [f32]) -> Matrix<'a> {
        Matrix::new(values, values.len() / self.small[2], self.small[2])
    }

    /// Patches as the matrix `P`.
    fn patches<'a>(&self, patches: &'a [f32]) -> Matrix<'a> {
        Matrix::new(patches, patches.len() / self.patch_len(), self.patch_len())
    }

    /// `small = P Wᵀ`. `finish` is called on each finished stretch while it is in cache. `weight` is
    /// `Wᵀ`.
    pub(super) fn gather(
        &self,
        large: &[f32],
        weight: &[f32],
        small: &mut [f32],
        finish: impl Fn(&mut [f32]),
    ) {
        let weight = Matrix::new(weight, self.patch_len(), self.small[2]);
        self.for_chunks(self.rows(small), |rows, patches| {
            let out = &mut small[self.values(&rows)];
            self.read_patches(large, rows, patches);
            matmul(self.patches(patches), weight, out, Destination::Overwrite);
            finish(out);
        });
    }

    /// `large = S W`, its patches added up. `weight` is `W`.
    pub(super) fn scatter(&self, small: &[f32], weight: &[f32], large: &mut [f32]) {
        let weight = Matrix::new(weight, self.small[2], self.patch_len());
        large.fill(0.0);
        self.for_chunks(self.rows(small), |rows, patches| {
            let places = self.places(&small[self.values(&rows)]);
            matmul(places, weight, patches, Destination::Overwrite);
            self.add_patches(patches, rows, large);
        });
    }

    /// `Pᵀ S`, the gradient of `Wᵀ`.
    pub(super) fn weight_gradient(&self, large: &[f32], small: &[f32]) -> Vec<f32> {
        let mut gradient = vec![0.0; self.patch_len() * self.small[2]];
        self.for_chunks(self.rows(small), |rows, patches| {
            let places = self.places(&small[self.values(&rows)]);
            self.read_patches(large, rows, patches);
            let patches = self.patches(patches).transposed();
            matmul(patches, places, &mut gradient, Destination::Add);
        });
        gradient
    }

    /// `Pᵀ S`, and `new_small = P Wᵀ` from the same patches: what a transposed convolution needs.
    /// `weight` is `Wᵀ`.
    pub(super) fn weight_gradient_and_gather(
        &self,
        large: &[f32],
        small: &[f32],
        weight: &[f32],
        new_small: &mut [f32],
    ) -> Vec<f32> {
        let mut gradient = vec![0.0; weight.len()];
        let weight = Matrix::new(weight, self.patch_len(), self.small[2]);
        self.for_chunks(self.rows(small), |rows, patches| {
            let values = self.values(&rows);
            self.read_patches(large, rows, patches);
            let (places, patches) = (self.places(&small[values.clone()]), self.patches(patches));
            matmul(
                patches.transposed(),
                places,
                &mut gradient,
                Destination::Add,
            );
            let out = &mut new_small[values];
            matmul(patches, weight, out, Destination::Overwrite);
        });
        gradient
    }
}

/// Copies a row of a kernel. Few values are not worth a call.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    match (
        <&[f32; 4]>::try_from(from),
        <&mut [f32; 4]>::try_from(&mut *to),
    ) {
        (Ok(from), Ok(to)) => *to = *from,
        _ => to.copy_from_slice(from),
    }
}

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
//! | `Sᵀ P`  | the weight gradient | the weight gradient                |
//!
//! (* as patches, which are then added to where they lie on the large grid.)
//!
//! Pixels are stored with their channels last, so that a row of the kernel is one contiguous copy. A
//! batch is cut into `LANES` groups of whole images, whatever the number of threads, and each group
//! into chunks whose patches stay in a core's cache. What lanes sum is added in their order. So the
//! results do not depend on the threads.

use super::matmul::{Destination, Matrix, matmul};
use super::{add, with_scratch};
use std::ops::Range;

/// The number of groups that a batch is cut into.
const LANES: usize = 16;

/// Floats of patches held at a time: 256 KiB, half of a usual core's second-level cache.
const CHUNK: usize = 64 * 1024;

/// Images that a lane has, of a batch of `images`.
pub(super) fn lane_images(images: usize) -> usize {
    images.div_ceil(LANES).max(1)
}

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

impl Geometry {
    pub(super) fn large_len(&self) -> usize {
        self.large.iter().product()
    }

    pub(super) fn small_len(&self) -> usize {
        self.small.iter().product()
    }

    fn patch_len(&self) -> usize {
        self.kernel * self.kernel * self.large[2]
    }

    /// Values in a row of the small grid.
    fn row_len(&self) -> usize {
        self.small[1] * self.small[2]
    }

    /// The weights as a matrix: from PyTorch's order (small channel, large channel, row, column) to
    /// (small channel, row, column, large channel), the order of a patch.
    pub(super) fn to_patch_order(self, torch: &[f32]) -> Vec<f32> {
        let (channels, area) = (self.large[2], self.kernel * self.kernel);
        let mut patch = vec![0.0; torch.len()];
        let block = channels * area;
        for (to, from) in patch.chunks_exact_mut(block).zip(torch.chunks_exact(block)) {
            super::transpose(from, channels, to);
        }
        patch
    }

    /// The reverse of [`Geometry::to_patch_order`].
    pub(super) fn to_torch_order(self, patch: &[f32], torch: &mut [f32]) {
        let area = self.kernel * self.kernel;
        let block = self.large[2] * area;
        for (to, from) in torch.chunks_exact_mut(block).zip(patch.chunks_exact(block)) {
            super::transpose(from, area, to);
        }
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
                    patch.copy_from_slice(&large[pixels]);
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

    /// Calls `work(rows, their values of the small grid, scratch for their patches)` for one chunk of
    /// a lane's rows after the other.
    fn for_chunks(&self, rows: usize, mut work: impl FnMut(Range<usize>, &mut [f32])) {
        let row_len = self.small[1] * self.patch_len();
        let step = (CHUNK / row_len).clamp(1, rows.max(1));
        with_scratch(step * row_len, |scratch| {
            for first in (0..rows).step_by(step) {
                let last = (first + step).min(rows);
                work(first..last, &mut scratch[..(last - first) * row_len]);
            }
        });
    }

    fn rows(&self, small: &[f32]) -> usize {
        small.len() / self.row_len()
    }

    fn patches<'a>(&self, patches: &'a [f32], rows: &Range<usize>) -> Matrix<'a> {
        Matrix::new(patches, rows.len() * self.small[1], self.patch_len())
    }

    fn places<'a>(&self, small: &'a [f32], rows: &Range<usize>) -> Matrix<'a> {
        let values = &small[rows.start * self.row_len()..rows.end * self.row_len()];
        Matrix::new(values, rows.len() * self.small[1], self.small[2])
    }

    fn weights<'a>(&self, weights: &'a [f32]) -> Matrix<'a> {
        Matrix::new(weights, self.small[2], self.patch_len())
    }

    /// `small = P Wᵀ` for a lane. `finish` is called on each finished stretch while it is in cache.
    /// `weights` are in patch order.
    pub(super) fn gather(
        &self,
        large: &[f32],
        weights: &[f32],
        small: &mut [f32],
        finish: impl Fn(&mut [f32]),
    ) {
        self.for_chunks(self.rows(small), |rows, patches| {
            self.read_patches(large, rows.clone(), patches);
            let out = &mut small[rows.start * self.row_len()..rows.end * self.row_len()];
            let weights = self.weights(weights).transposed();
            matmul(
                self.patches(patches, &rows),
                weights,
                out,
                Destination::Overwrite,
            );
            finish(out);
        });
    }

    /// `large = S W`, its patches added up, for a lane. `weights` are in patch order.
    pub(super) fn scatter(&self, small: &[f32], weights: &[f32], large: &mut [f32]) {
        large.fill(0.0);
        self.for_chunks(self.rows(small), |rows, patches| {
            let places = self.places(small, &rows);
            matmul(
                places,
                self.weights(weights),
                patches,
                Destination::Overwrite,
            );
            self.add_patches(patches, rows, large);
        });
    }

    /// `Sᵀ P` for a lane, in patch order.
    pub(super) fn weight_gradient(&self, large: &[f32], small: &[f32]) -> Vec<f32> {
        let mut gradient = vec![0.0; self.small[2] * self.patch_len()];
        self.for_chunks(self.rows(small), |rows, patches| {
            self.read_patches(large, rows.clone(), patches);
            let places = self.places(small, &rows).transposed();
            matmul(
                places,
                self.patches(patches, &rows),
                &mut gradient,
                Destination::Add,
            );
        });
        gradient
    }

    /// `Sᵀ P` in patch order, and `new_small = P Wᵀ`, for a lane: what a transposed convolution needs
    /// of the same patches.
    pub(super) fn weight_gradient_and_gather(
        &self,
        large: &[f32],
        small: &[f32],
        weights: &[f32],
        new_small: &mut [f32],
    ) -> Vec<f32> {
        let mut gradient = vec![0.0; weights.len()];
        self.for_chunks(self.rows(small), |rows, patches| {
            self.read_patches(large, rows.clone(), patches);
            let (places, patches) = (self.places(small, &rows), self.patches(patches, &rows));
            matmul(
                places.transposed(),
                patches,
                &mut gradient,
                Destination::Add,
            );
            let out = &mut new_small[rows.start * self.row_len()..rows.end * self.row_len()];
            let weights = self.weights(weights).transposed();
            matmul(patches, weights, out, Destination::Overwrite);
        });
        gradient
    }
}

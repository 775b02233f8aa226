//! The three primitives behind convolutions and transposed convolutions.
//!
//! A convolution maps a large grid of pixels to a small one; a transposed convolution is its
//! adjoint and maps a small grid to a large one. With the weights as a matrix `W` and the patches of
//! the large grid (the pixels under the kernel, for each place of the small grid) as rows of `P`:
//!
//! | primitive                       | product       | a convolution's | a transposed convolution's |
//! | ------------------------------- | ------------- | --------------- | -------------------------- |
//! | [`Geometry::gather`]            | `P Wᵀ`        | output          | input gradient             |
//! | [`Geometry::scatter`]           | `patches⁻¹(S W)` | input gradient | output                  |
//! | [`Geometry::weight_gradient`]   | `Sᵀ P`        | weight gradient | weight gradient            |
//!
//! `S` is the small grid, a place a row. Pixels are stored with their channels last, so that a row of
//! a kernel is one contiguous copy. A batch is cut into [`LANES`] groups of whole images, whatever the
//! number of threads, and each group into chunks whose patches stay in a core's cache; what lanes
//! sum is added in their order. So the results do not depend on the threads.

use super::matmul::{Destination, Matrix, matmul};
use rayon::prelude::*;
use std::ops::Range;

/// The number of groups a batch is cut into.
const LANES: usize = 16;

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

impl Geometry {
    fn large_len(&self) -> usize {
        self.large.iter().product()
    }

    fn small_len(&self) -> usize {
        self.small.iter().product()
    }

    fn patch_len(&self) -> usize {
        self.kernel * self.kernel * self.large[2]
    }

    /// The number of weights: small channels, large channels, kernel rows, kernel columns.
    pub fn weight_len(&self) -> usize {
        self.small[2] * self.patch_len()
    }

    /// Rows of places (all of their columns) whose patches make a chunk.
    fn chunk_rows(&self) -> usize {
        (CHUNK / (self.small[1] * self.patch_len())).max(1)
    }

    /// Weights from PyTorch's order (small channel, large channel, row, column) to patch order (small
    /// channel, row, column, large channel).
    fn to_patch_order(self, weights: &[f32]) -> Vec<f32> {
        self.reorder(weights, |torch, patch| (patch, torch))
    }

    fn to_torch_order(self, weights: &[f32]) -> Vec<f32> {
        self.reorder(weights, |torch, patch| (torch, patch))
    }

    fn reorder(self, from: &[f32], places: impl Fn(usize, usize) -> (usize, usize)) -> Vec<f32> {
        let (channels, area) = (self.large[2], self.kernel * self.kernel);
        let mut to = vec![0.0; from.len()];
        for small in 0..self.small[2] {
            for channel in 0..channels {
                for tap in 0..area {
                    let torch = (small * channels + channel) * area + tap;
                    let patch = (small * area + tap) * channels + channel;
                    let (target, source) = places(torch, patch);
                    to[target] = from[source];
                }
            }
        }
        to
    }

    /// Calls `visit(patch range, pixel range)` for each stretch of a row's patches that lies on the
    /// large grid; what is not visited lies in the padding. Rows count through all images.
    fn visit_patches(&self, row: usize, mut visit: impl FnMut(Range<usize>, Range<usize>)) {
        let [height, width, channels] = self.large;
        let [above, before] = self.pad;
        let (image, row) = (row / self.small[0], row % self.small[0]);
        for column in 0..self.small[1] {
            let left = column * self.stride;
            let first = before.saturating_sub(left).min(self.kernel);
            let last = (width + before).saturating_sub(left).min(self.kernel);
            if first >= last {
                continue;
            }
            for tap in 0..self.kernel {
                let y = row * self.stride + tap;
                if y < above || y - above >= height {
                    continue;
                }
                let patch = ((column * self.kernel + tap) * self.kernel + first) * channels;
                let pixel =
                    ((image * height + y - above) * width + left + first - before) * channels;
                let len = (last - first) * channels;
                visit(patch..patch + len, pixel..pixel + len);
            }
        }
    }

    /// Copies the patches of `rows` out of `large`.
    fn read_patches(&self, large: &[f32], rows: Range<usize>, patches: &mut [f32]) {
        let row_len = self.small[1] * self.patch_len();
        patches.fill(0.0);
        for (row, patches) in rows.zip(patches.chunks_exact_mut(row_len)) {
            self.visit_patches(row, |patch, pixel| {
                patches[patch].copy_from_slice(&large[pixel]);
            });
        }
    }

    /// Adds the patches of `rows` back to where they lie in `large`.
    fn add_patches(&self, patches: &[f32], rows: Range<usize>, large: &mut [f32]) {
        let row_len = self.small[1] * self.patch_len();
        for (row, patches) in rows.zip(patches.chunks_exact(row_len)) {
            self.visit_patches(row, |patch, pixel| {
                for (to, from) in large[pixel].iter_mut().zip(&patches[patch]) {
                    *to += from;
                }
            });
        }
    }

    /// Calls `work(rows, scratch)` for one chunk of a lane's rows after the other.
    fn for_chunks(&self, images: usize, mut work: impl FnMut(Range<usize>, &mut [f32])) {
        let (rows, step) = (images * self.small[0], self.chunk_rows());
        let row_len = self.small[1] * self.patch_len();
        let mut scratch = vec![0.0; step.min(rows) * row_len];
        for first in (0..rows).step_by(step) {
            let last = (first + step).min(rows);
            work(first..last, &mut scratch[..(last - first) * row_len]);
        }
    }

    /// Images a lane has, of a batch of `images`.
    fn lane_images(images: usize) -> usize {
        images.div_ceil(LANES).max(1)
    }

    /// Large to small: each place of the small grid is the product of its patch and the weights.
    /// `finish` is then called on each finished stretch of places while it is in cache.
    ///
    /// `large` holds whole images; `weights` are in PyTorch's order.
    pub fn gather(
        &self,
        large: &[f32],
        weights: &[f32],
        finish: impl Fn(&mut [f32]) + Sync,
    ) -> Vec<f32> {
        let weights = self.to_patch_order(weights);
        let images = large.len() / self.large_len();
        let lane = Self::lane_images(images);
        let mut small = vec![0.0; images * self.small_len()];
        small
            .par_chunks_mut(lane * self.small_len())
            .zip(large.par_chunks(lane * self.large_len()))
            .for_each(|(small, large)| {
                let weights = Matrix::new(&weights, self.small[2], self.patch_len());
                let row_len = self.small[1] * self.small[2];
                self.for_chunks(large.len() / self.large_len(), |rows, patches| {
                    self.read_patches(large, rows.clone(), patches);
                    let places = rows.len() * self.small[1];
                    let out = &mut small[rows.start * row_len..rows.end * row_len];
                    matmul(
                        Matrix::new(patches, places, self.patch_len()),
                        weights.transposed(),
                        out,
                        Destination::Overwrite,
                    );
                    finish(out);
                });
            });
        small
    }

    /// Small to large: each place of the small grid adds its value times the weights to the pixels
    /// under the kernel. `finish` is then called on the images of each lane.
    ///
    /// `small` holds whole images; `weights` are in PyTorch's order.
    pub fn scatter(
        &self,
        small: &[f32],
        weights: &[f32],
        finish: impl Fn(&mut [f32]) + Sync,
    ) -> Vec<f32> {
        let weights = self.to_patch_order(weights);
        let images = small.len() / self.small_len();
        let lane = Self::lane_images(images);
        let mut large = vec![0.0; images * self.large_len()];
        large
            .par_chunks_mut(lane * self.large_len())
            .zip(small.par_chunks(lane * self.small_len()))
            .for_each(|(large, small)| {
                let weights = Matrix::new(&weights, self.small[2], self.patch_len());
                let row_len = self.small[1] * self.small[2];
                self.for_chunks(small.len() / self.small_len(), |rows, patches| {
                    let places = rows.len() * self.small[1];
                    let values = &small[rows.start * row_len..rows.end * row_len];
                    matmul(
                        Matrix::new(values, places, self.small[2]),
                        weights,
                        patches,
                        Destination::Overwrite,
                    );
                    self.add_patches(patches, rows, large);
                });
                finish(large);
            });
        large
    }

    /// The gradient of the weights, in PyTorch's order: for each place of the small grid, its value
    /// times its patch of the large grid, summed over all places of all images.
    pub fn weight_gradient(&self, large: &[f32], small: &[f32]) -> Vec<f32> {
        let lane = Self::lane_images(large.len() / self.large_len());
        let lanes: Vec<Vec<f32>> = large
            .par_chunks(lane * self.large_len())
            .zip(small.par_chunks(lane * self.small_len()))
            .map(|(large, small)| self.lane_weight_gradient(large, small))
            .collect();
        self.to_torch_order(&super::sum_in_order(lanes, self.weight_len()))
    }

    fn lane_weight_gradient(&self, large: &[f32], small: &[f32]) -> Vec<f32> {
        let row_len = self.small[1] * self.small[2];
        let mut gradient = vec![0.0; self.weight_len()];
        self.for_chunks(large.len() / self.large_len(), |rows, patches| {
            self.read_patches(large, rows.clone(), patches);
            let places = rows.len() * self.small[1];
            let values = &small[rows.start * row_len..rows.end * row_len];
            matmul(
                Matrix::new(values, places, self.small[2]).transposed(),
                Matrix::new(patches, places, self.patch_len()),
                &mut gradient,
                Destination::Add,
            );
        });
        gradient
    }
}

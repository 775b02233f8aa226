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

use super::buffers::{Buffer, Buffers};
use super::frame::Frame;
use super::matmul::{Destination, Matrix, MatrixMut, matmul};
use super::one_channel;
use super::transpose::{transpose_on_all_threads, turn};
use super::{add, add_vectorized, for_each_row, with_scratch};
use std::ops::Range;

/// Floats of patches held at a time: 256 KiB, half of a usual core's second-level cache.
const CHUNK: usize = 64 * 1024;

/// A row of a usual kernel where there is one channel.
type Few = [f32; 4];

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
    pub(super) fn weights(&self, target: Grid, torch: &[f32], buffers: &Buffers) -> Buffer {
        let mut patch = buffers.take(torch.len());
        self.patch_order(torch, &mut patch);
        match target {
            Grid::Large => patch,
            Grid::Small => {
                let mut transposed = buffers.take(torch.len());
                let patch = Matrix::new(&patch, self.small[2], self.patch_len());
                let to = MatrixMut::new(&mut transposed, self.small[2]);
                transpose_on_all_threads(patch, to);
                transposed
            }
        }
    }

    fn patch_len(&self) -> usize {
        self.kernel * self.kernel * self.large[2]
    }

    /// The weights as the matrix `W`: from PyTorch's order (small channel, large channel, row, column)
    /// to (small channel, row, column, large channel), the order of a patch.
    fn patch_order(&self, torch: &[f32], patch: &mut [f32]) {
        let len = self.patch_len();
        for_each_row(patch, len, len, |small, to| {
            turn(&torch[small * len..][..len], self.large[2], to);
        });
    }

    /// From the order of `Wᵀ` to PyTorch's.
    pub(super) fn torch_order(&self, transposed: &[f32], torch: &mut [f32]) {
        let len = self.patch_len();
        let mut patch = vec![0.0; torch.len()];
        let transposed = Matrix::new(transposed, len, self.small[2]);
        transpose_on_all_threads(transposed, MatrixMut::new(&mut patch, len));
        for_each_row(torch, len, len, |small, to| {
            turn(&patch[small * len..][..len], self.kernel * self.kernel, to);
        });
    }

    /// A large grid within what the kernel reaches from any place.
    pub(super) fn frame(&self) -> Frame {
        let reach = |places: usize| (places - 1) * self.stride + self.kernel;
        Frame {
            grid: self.large,
            before: self.pad,
            size: [reach(self.small[0]), reach(self.small[1])],
        }
    }

    /// The padding, if it is the same on all four sides, and what the kernel reaches is the large grid with it.
    pub(super) fn even_padding(&self) -> Option<usize> {
        let [pad, other] = self.pad;
        let even = |axis| self.frame().size[axis] == self.large[axis] + 2 * pad;
        (pad == other && even(0) && even(1)).then_some(pad)
    }

    /// Puts frames of zeros around large grids.
    fn put_frames(&self, large: &[f32], framed: &mut [f32]) {
        let frame = self.frame();
        framed.fill(0.0);
        let grids = large.chunks_exact(self.len(Grid::Large));
        for (grid, framed) in grids.zip(framed.chunks_exact_mut(frame.len())) {
            frame.put(grid, framed);
        }
    }

    /// Calls `visit` with each row of the kernel, at each place of some rows of the small grids (rows count
    /// through all images): where its first value is in the frames. That is the order of patches.
    fn for_kernel_rows(&self, rows: Range<usize>, mut visit: impl FnMut(usize)) {
        let (frame, place) = (self.frame(), self.stride * self.large[2]);
        let row_len = frame.row_len();
        for row in rows {
            let (image, row) = (row / self.small[0], row % self.small[0]);
            let first = image * frame.len() + row * self.stride * row_len;
            for column in 0..self.small[1] {
                for tap in 0..self.kernel {
                    visit(first + column * place + tap * row_len);
                }
            }
        }
    }

    /// Copies the patches of `rows` out of frames.
    fn read_patches(&self, framed: &[f32], rows: Range<usize>, patches: &mut [f32]) {
        let len = self.kernel * self.large[2];
        let mut patches = patches.chunks_exact_mut(len);
        self.for_kernel_rows(rows, |first| {
            let from = &framed[first..first + len];
            patches.next().into_iter().for_each(|to| copy(from, to));
        });
    }

    /// Adds the patches of `rows` to where they lie in frames.
    fn add_patches(&self, patches: &[f32], rows: Range<usize>, framed: &mut [f32]) {
        let len = self.kernel * self.large[2];
        let mut patches = patches.chunks_exact(len);
        self.for_kernel_rows(rows, |first| {
            let to = &mut framed[first..first + len];
            patches
                .next()
                .into_iter()
                .for_each(|from| add_few(to, from));
        });
    }

    /// Calls `work(scratch for frames, scratch for patches, chunks)`; a chunk is of rows of the small
    /// grids, whose patches fit into the scratch.
    fn in_chunks(
        &self,
        images: usize,
        work: impl FnOnce(&mut [f32], &mut [f32], Vec<Range<usize>>),
    ) {
        let rows = images * self.small[0];
        let row_len = self.small[1] * self.patch_len();
        let most = (CHUNK / row_len).max(1);
        let step = rows.div_ceil(rows.div_ceil(most));
        let chunks = (0..rows)
            .step_by(step)
            .map(|first| first..(first + step).min(rows));
        let frames = images * self.frame().len();
        with_scratch(frames + step * row_len, |scratch| {
            let (framed, patches) = scratch.split_at_mut(frames);
            work(framed, patches, chunks.collect());
        });
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

    /// The patches of `rows`, read from frames, as the matrix `P`.
    fn patches<'a>(
        &self,
        framed: &[f32],
        rows: Range<usize>,
        scratch: &'a mut [f32],
    ) -> Matrix<'a> {
        let places = rows.len() * self.small[1];
        let patches = &mut scratch[..places * self.patch_len()];
        self.read_patches(framed, rows, patches);
        Matrix::new(patches, places, self.patch_len())
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
        if self.has_one_channel() {
            return one_channel::gather(self, large, weight, small, finish);
        }
        let weight = Matrix::new(weight, self.patch_len(), self.small[2]);
        self.in_chunks(
            large.len() / self.len(Grid::Large),
            |framed, patches, chunks| {
                self.put_frames(large, framed);
                for rows in chunks {
                    let patches = self.patches(framed, rows.clone(), patches);
                    let to = MatrixMut::new(&mut small[self.values(&rows)], self.small[2]);
                    matmul(patches, weight, to, Destination::Overwrite);
                    finish(&mut small[self.values(&rows)]);
                }
            },
        );
    }

    /// `large = S W`, its patches added up. `weight` is `W`.
    pub(super) fn scatter(&self, small: &[f32], weight: &[f32], large: &mut [f32]) {
        if self.has_lines_of_taps() {
            return one_channel::scatter(self, small, weight, large);
        }
        let weight = Matrix::new(weight, self.small[2], self.patch_len());
        self.in_chunks(
            large.len() / self.len(Grid::Large),
            |framed, patches, chunks| {
                framed.fill(0.0);
                for rows in chunks {
                    let places = self.places(&small[self.values(&rows)]);
                    let patches = &mut patches[..places.rows() * self.patch_len()];
                    let to = MatrixMut::new(patches, self.patch_len());
                    matmul(places, weight, to, Destination::Overwrite);
                    self.add_patches(patches, rows, framed);
                }
                let frame = self.frame();
                let grids = large.chunks_exact_mut(self.len(Grid::Large));
                for (framed, grid) in framed.chunks_exact(frame.len()).zip(grids) {
                    frame.take(framed, grid);
                }
            },
        );
    }

    /// `Pᵀ S`, the gradient of `Wᵀ`. With a `new_small` and `Wᵀ` also `new_small = P Wᵀ` from the same patches:
    /// the two that a transposed convolution needs.
    pub(super) fn weight_gradient(
        &self,
        large: &[f32],
        small: &[f32],
        mut gather: Option<(&mut [f32], &[f32])>,
    ) -> Vec<f32> {
        if self.has_one_channel() {
            if let Some((new_small, weight)) = gather {
                one_channel::gather(self, large, weight, new_small, |_| ());
            }
            return one_channel::weight_gradient(self, large, small);
        }
        let mut gradient = vec![0.0; self.patch_len() * self.small[2]];
        self.in_chunks(
            large.len() / self.len(Grid::Large),
            |framed, patches, chunks| {
                self.put_frames(large, framed);
                for rows in chunks {
                    let values = self.values(&rows);
                    let patches = self.patches(framed, rows, patches);
                    let places = self.places(&small[values.clone()]);
                    let to = MatrixMut::new(&mut gradient, self.small[2]);
                    matmul(patches.transposed(), places, to, Destination::Add);
                    if let Some((new_small, weight)) = &mut gather {
                        let weight = Matrix::new(weight, self.patch_len(), self.small[2]);
                        let to = MatrixMut::new(&mut new_small[values], self.small[2]);
                        matmul(patches, weight, to, Destination::Overwrite);
                    }
                }
            },
        );
        gradient
    }
}

/// Copies a row of a kernel. Few values are not worth a call.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    match (<&Few>::try_from(from), <&mut Few>::try_from(&mut *to)) {
        (Ok(from), Ok(to)) => *to = *from,
        _ => to.copy_from_slice(from),
    }
}

/// Adds a row of a kernel.
#[inline(always)]
fn add_few(to: &mut [f32], from: &[f32]) {
    match (<&mut Few>::try_from(&mut *to), <&Few>::try_from(from)) {
        (Ok(to), Ok(from)) => add(to, from),
        _ => add_vectorized(to, from),
    }
}

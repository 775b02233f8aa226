//! Layers, losses and the optimiser: what candle's `backward` drives.
//!
//! From outside, a layer takes a tensor and gives a tensor. On the CPU it does so with one fused
//! operation of this module, forward and backward; on other devices with candle's own operations,
//! from the same weights. Activations have the shape (images, rows, columns, channels).

pub mod activation;
pub mod adam;
pub mod convolution;
pub mod dropout;
pub mod layer;
pub mod loss;
pub mod matmul;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor, bail};
use rayon::prelude::*;
use std::cell::RefCell;

/// The values of a tensor that lies in one piece on the CPU.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage.as_slice::<f32>()?, layout.contiguous_offsets()) {
        (values, Some((start, end))) => Ok(&values[start..end]),
        (_, None) => bail!("a fused operation got a tensor that is not contiguous"),
    }
}

/// Calls `f` with the values of `tensor`.
fn with_values<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(values(storage, layout)?),
        _ => bail!("a fused operation got a tensor that is not on the CPU"),
    }
}

/// Calls `f` with the values of `tensor`, to be changed in place.
fn with_values_mut(tensor: &Tensor, f: impl FnMut(&mut [f32]) -> Result<()>) -> Result<()> {
    struct Change<F>(RefCell<F>);

    impl<F: FnMut(&mut [f32]) -> Result<()>> InplaceOp1 for Change<F> {
        fn name(&self) -> &'static str {
            "change-in-place"
        }

        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
            match (storage, layout.contiguous_offsets()) {
                (CpuStorage::F32(values), Some((start, end))) => {
                    (self.0.borrow_mut())(&mut values[start..end])
                }
                _ => bail!("only contiguous f32 tensors can be changed in place"),
            }
        }
    }

    tensor.inplace_op1(&Change(RefCell::new(f)))
}

/// The sum of `parts`, added first to last: `len` values each.
fn sum_in_order(parts: Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_else(|| vec![0.0; len]);
    for part in parts {
        for (total, value) in sum.iter_mut().zip(part) {
            *total += value;
        }
    }
    sum
}

/// The sum of each column of a row-major matrix, in blocks that depend on its size alone.
fn column_sums(matrix: &[f32], columns: usize) -> Vec<f32> {
    const ROWS: usize = 1024;
    let parts = matrix
        .par_chunks(ROWS * columns)
        .map(|block| {
            let mut sums = vec![0.0; columns];
            for row in block.chunks_exact(columns) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value;
                }
            }
            sums
        })
        .collect();
    sum_in_order(parts, columns)
}

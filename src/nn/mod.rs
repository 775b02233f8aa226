//! Layers, losses and the optimiser: what candle's `backward` drives.
//!
//! From outside, a [`chain::Chain`] of layers takes a tensor and gives a tensor. On the CPU it does so
//! as one operation of this module, forward and backward; on other devices with candle's own
//! operations, from the same weights. Grids of pixels have the shape (images, rows, columns, channels).

/// A function that is compiled once for each kind of vector instructions, and runs with the widest that the
/// processor has. What it calls must be `#[inline(always)]` to be compiled so, too.
macro_rules! vectorized {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<const $n:ident: usize>)? (
        $($argument:ident: $type:ty),* $(,)?
    ) $body:block) => {
        $(#[$meta])*
        $vis fn $name $(<const $n: usize>)? ($($argument: $type),*) {
            struct Call<$(const $n: usize,)? A>(A);

            impl $(<const $n: usize>)? pulp::NullaryFnOnce for Call<$($n,)? ($($type,)*)> {
                type Output = ();

                #[inline(always)]
                fn call(self) {
                    let ($($argument,)*) = self.0;
                    $body
                }
            }

            pulp::Arch::new().dispatch(Call::<$($n,)? _>(($($argument,)*)));
        }
    };
}

pub mod activation;
pub mod adam;
mod buffers;
pub mod chain;
pub mod convolution;
mod dense;
mod dropout;
mod frame;
pub mod gradient;
mod lanes;
pub mod layer;
pub mod matmul;
mod one_channel;
pub mod posterior;
pub mod squared_error;
mod transpose;
mod winograd;
mod work;

use crate::parallel::for_each;
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Storage, Tensor, bail};
use std::cell::RefCell;

/// Which operations compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// Those of this module, on the CPU.
    Fused,
    /// candle's own, on any device. All of a model's must be called by one thread: candle has the GPU run
    /// those of one thread in their order, but those of two in any.
    Candle,
}

impl Kernels {
    /// The fastest that there are for a device.
    pub fn of(device: &Device) -> Self {
        match device {
            Device::Cpu => Self::Fused,
            _ => Self::Candle,
        }
    }
}

/// Values that a thread handles at a time where each is handled by itself.
const BLOCK: usize = 8 * 1024;

/// Calls `work` with each row of `to` and its number, on all threads. A row is the work of `values` values.
fn for_each_row(
    to: &mut [f32],
    columns: usize,
    values: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    let rows = (BLOCK / values).max(1);
    for_each(to.chunks_mut(rows * columns).enumerate(), |(block, to)| {
        for (row, to) in to.chunks_exact_mut(columns).enumerate() {
            work(block * rows + row, to);
        }
    });
}

/// Adds `from` to `to`, value by value.
#[inline(always)]
fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

/// The sum of `parts`, added first to last, into `sum`.
fn sum_in_order(parts: &[Vec<f32>], sum: &mut [f32]) {
    for_each(sum.chunks_mut(BLOCK).enumerate(), |(block, sum)| {
        sum.fill(0.0);
        for part in parts {
            add_vectorized(sum, &part[block * BLOCK..]);
        }
    });
}

vectorized! {
    fn add_vectorized(to: &mut [f32], from: &[f32]) {
        add(to, from);
    }
}

/// Calls `work` with `len` values of this thread's own that are left over from earlier calls.
fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < len {
            scratch.resize(len, 0.0);
        }
        work(&mut scratch[..len])
    })
}

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

/// Whether all values of `tensor` are finite.
pub fn all_finite(tensor: &Tensor) -> Result<bool> {
    let tensor = tensor.to_device(&Device::Cpu)?.contiguous()?;
    with_values(&tensor, |values| {
        // Without an early end within a block, for the compiler to make vectors of it.
        let finite = |block: &[f32]| block.iter().fold(true, |all, v| all & v.is_finite());
        Ok(values.chunks(BLOCK).all(finite))
    })
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

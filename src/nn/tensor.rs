//! The values of candle's tensors, as slices.

use crate::kernels::elementwise;
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Storage, Tensor, bail};
use std::cell::RefCell;

/// The values of a tensor that lies in one piece on the CPU.
pub(super) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage.as_slice::<f32>()?, layout.contiguous_offsets()) {
        (values, Some((start, end))) => Ok(&values[start..end]),
        (_, None) => bail!("a fused operation got a tensor that is not contiguous"),
    }
}

/// Calls `f` with the values of `tensor`.
pub(super) fn with_values<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(values(storage, layout)?),
        _ => bail!("a fused operation got a tensor that is not on the CPU"),
    }
}

/// Calls `f` with the values of `tensor`, to be changed in place.
pub(crate) fn with_values_mut(
    tensor: &Tensor,
    f: impl FnMut(&mut [f32]) -> Result<()>,
) -> Result<()> {
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

/// Whether all values of `tensor` are finite.
pub fn all_finite(tensor: &Tensor) -> Result<bool> {
    let tensor = tensor.to_device(&Device::Cpu)?.contiguous()?;
    with_values(&tensor, |values| Ok(elementwise::all_finite(values)))
}

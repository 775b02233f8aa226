//! Images of bytes as tensors.

use super::dataset::Split;
use super::shape::ImageShape;
use crate::Result;
use crate::kernels::elementwise::from_pixels;
use crate::nn::tensor::with_values_mut;
use crate::parallel::map;
use candle_core::{DType, Device, Tensor};
use std::borrow::Cow;

/// Some images of a split, from `first` to before `last`: (images, values of an image), 0 to 1.
///
/// # Errors
///
/// If one is in a file that cannot be read any more.
pub fn slice_to_tensor(split: &Split, first: usize, last: usize) -> Result<Tensor> {
    let images = last - first;
    to_tensor(images, split.shape, None, |number| {
        split.image(first + number)
    })
}

/// So many images as the model takes them: (images, values of an image), 0 to 1, on the CPU. `image` gives one by its
/// number, on any thread. They are written over those in `used`, if these are as many.
pub(super) fn to_tensor<'a>(
    images: usize,
    shape: ImageShape,
    used: Option<Tensor>,
    image: impl Fn(usize) -> Result<Cow<'a, [u8]>> + Sync,
) -> Result<Tensor> {
    /// Images that are worth a thread.
    const IMAGES: usize = 128;
    let each = shape.values();
    let used = used.filter(|used| used.dims() == [images, each]);
    let tensor = match used {
        Some(used) => used,
        None => Tensor::zeros((images, each), DType::F32, &Device::Cpu)?,
    };
    let mut done = Vec::new();
    with_values_mut(&tensor, |values| {
        let blocks = values.chunks_mut(IMAGES * each);
        done = map(
            blocks.zip((0..).step_by(IMAGES)),
            |(block, first)| -> Result<()> {
                for (to, number) in block.chunks_exact_mut(each).zip(first..) {
                    from_pixels(to, &image(number)?);
                }
                Ok(())
            },
        );
        Ok(())
    })?;
    done.into_iter().collect::<Result<()>>()?;
    Ok(tensor)
}

//! Images of bytes as tensors.

use super::dataset::Split;
use super::shape::ImageShape;
use crate::Result;
use crate::parallel::map;
use candle_core::{Device, Tensor};
use std::borrow::Cow;

/// Some images of a split, from `first` to before `last`: (images, values of an image), 0 to 1.
///
/// # Errors
///
/// If one is in a file that cannot be read any more.
pub fn slice_to_tensor(split: &Split, first: usize, last: usize) -> Result<Tensor> {
    let images = last - first;
    to_tensor(images, split.shape, |number| split.image(first + number))
}

/// So many images as the model takes them: (images, values of an image), 0 to 1, on the CPU. `image` gives one by its
/// number, on any thread.
pub(super) fn to_tensor<'a>(
    images: usize,
    shape: ImageShape,
    image: impl Fn(usize) -> Result<Cow<'a, [u8]>> + Sync,
) -> Result<Tensor> {
    /// Images that are worth a thread.
    const IMAGES: usize = 128;
    /// What a pixel is: a division for each would take longer.
    const VALUES: [f32; 256] = {
        let mut values = [0.0; 256];
        let mut pixel = 0;
        while pixel < values.len() {
            values[pixel] = pixel as f32 / 255.0;
            pixel += 1;
        }
        values
    };
    let each = shape.values();
    let mut values = vec![0.0; images * each];
    let blocks = values.chunks_mut(IMAGES * each);
    let done = map(
        blocks.zip((0..).step_by(IMAGES)),
        |(block, first)| -> Result<()> {
            for (to, number) in block.chunks_exact_mut(each).zip(first..) {
                for (to, &pixel) in to.iter_mut().zip(&*image(number)?) {
                    *to = VALUES[usize::from(pixel)];
                }
            }
            Ok(())
        },
    );
    done.into_iter().collect::<Result<()>>()?;
    Ok(Tensor::from_vec(values, (images, each), &Device::Cpu)?)
}

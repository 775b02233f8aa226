//! Images of bytes as tensors.

use super::dataset::Split;
use super::shape::ImageShape;
use crate::Result;
use crate::parallel::for_each;
use candle_core::{Device, Tensor};

/// Some images of a split, from `first` to before `last`: (images, values of an image), 0 to 1.
pub fn slice_to_tensor(split: &Split, first: usize, last: usize) -> Result<Tensor> {
    let images = (first..last).map(|index| split.image(index));
    to_tensor(images, split.shape)
}

/// Images as the model takes them: (images, values of an image), 0 to 1, on the CPU.
pub(super) fn to_tensor<'a>(
    images: impl ExactSizeIterator<Item = &'a [u8]>,
    shape: ImageShape,
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
    let images: Vec<_> = images.collect();
    let each = shape.values();
    let mut values = vec![0.0; images.len() * each];
    let blocks = values.chunks_mut(IMAGES * each);
    for_each(blocks.zip(images.chunks(IMAGES)), |(to, images)| {
        for (to, image) in to.chunks_exact_mut(each).zip(images) {
            for (to, &pixel) in to.iter_mut().zip(*image) {
                *to = VALUES[usize::from(pixel)];
            }
        }
    });
    Ok(Tensor::from_vec(
        values,
        (images.len(), each),
        &Device::Cpu,
    )?)
}

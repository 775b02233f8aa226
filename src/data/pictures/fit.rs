//! Pictures of any size as images of one shape.

use crate::data::shape::ImageShape;
use image::imageops::{FilterType, crop_imm, replace, resize};
use image::{DynamicImage, ImageBuffer, Luma, Pixel, Rgb};
use serde::{Deserialize, Serialize};

/// What is done with a picture of other proportions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Its middle is taken.
    #[default]
    Crop,
    /// It gets sides of the mean colour of its border.
    Pad,
    /// It is distorted.
    Stretch,
}

/// Pixels of bytes.
type Buffer<P> = ImageBuffer<P, Vec<u8>>;

/// A picture as an image of a shape: its values, 0 to 255. Transparency is on white; for one channel, colours are grey.
pub fn fit(picture: DynamicImage, shape: ImageShape, fit: Fit) -> Vec<u8> {
    let picture = on_white(picture);
    let frame = [shape.width, shape.height].map(|size| size as u32);
    match shape.channels {
        1 => fitted::<Luma<u8>>(&picture.into_luma8(), frame, fit).into_raw(),
        _ => fitted::<Rgb<u8>>(&picture.into_rgb8(), frame, fit).into_raw(),
    }
}

/// A picture of any size as one of so many columns and rows.
pub fn fitted<P: Pixel<Subpixel = u8> + 'static>(
    picture: &Buffer<P>,
    [width, height]: [u32; 2],
    fit: Fit,
) -> Buffer<P> {
    let (own_width, own_height) = picture.dimensions();
    let scales = [
        f64::from(width) / f64::from(own_width),
        f64::from(height) / f64::from(own_height),
    ];
    let rounded = |size: f64, most: u32| (size.round() as u32).clamp(1, most);
    let filter = FilterType::Triangle;
    match fit {
        Fit::Stretch => resize(picture, width, height, filter),
        Fit::Crop => {
            let scale = scales[0].max(scales[1]);
            let [across, down] = [
                rounded(f64::from(width) / scale, own_width),
                rounded(f64::from(height) / scale, own_height),
            ];
            let (left, top) = ((own_width - across) / 2, (own_height - down) / 2);
            let middle = crop_imm(picture, left, top, across, down);
            resize(&*middle, width, height, filter)
        }
        Fit::Pad => {
            let scale = scales[0].min(scales[1]);
            let [across, down] = [
                rounded(f64::from(own_width) * scale, width),
                rounded(f64::from(own_height) * scale, height),
            ];
            let small = resize(picture, across, down, filter);
            let mut frame = Buffer::from_pixel(width, height, border_mean(picture));
            let [left, top] = [(width - across) / 2, (height - down) / 2].map(i64::from);
            replace(&mut frame, &small, left, top);
            frame
        }
    }
}

/// The mean of the outermost pixels: what a picture's background is.
pub fn border_mean<P: Pixel<Subpixel = u8>>(picture: &Buffer<P>) -> P {
    let (width, height) = picture.dimensions();
    let level = [0, height - 1].map(|y| (0..width).map(move |x| (x, y)));
    let upright = [0, width - 1].map(|x| (1..height.saturating_sub(1)).map(move |y| (x, y)));
    // A single row or column is a border once.
    let level = level.into_iter().take(height.min(2) as usize).flatten();
    let upright = upright.into_iter().take(width.min(2) as usize).flatten();
    let mut sums = vec![0.0; usize::from(P::CHANNEL_COUNT)];
    let mut count = 0.0;
    for (x, y) in level.chain(upright) {
        count += 1.0;
        for (sum, &value) in sums.iter_mut().zip(picture.get_pixel(x, y).channels()) {
            *sum += f64::from(value);
        }
    }
    let means = sums
        .iter()
        .map(|sum| (sum / f64::max(count, 1.0)).round() as u8);
    *P::from_slice(&means.collect::<Vec<_>>())
}

/// A picture without transparency: white is what is behind it.
fn on_white(picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return picture;
    }
    let mut picture = picture.into_rgba8();
    for pixel in picture.pixels_mut() {
        let alpha = u32::from(pixel.0[3]);
        for value in &mut pixel.0[..3] {
            *value = ((u32::from(*value) * alpha + 255 * (255 - alpha)) / 255) as u8;
        }
        pixel.0[3] = 255;
    }
    DynamicImage::from(picture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, RgbaImage};

    const SHAPE: ImageShape = ImageShape {
        height: 4,
        width: 4,
        channels: 1,
    };

    /// Twice as wide as high: dark, with a light square in the middle.
    fn wide() -> DynamicImage {
        let picture = GrayImage::from_fn(16, 8, |x, _| {
            Luma([if (4..12).contains(&x) { 200 } else { 40 }])
        });
        picture.into()
    }

    #[test]
    fn proportions_are_cropped_padded_or_stretched() {
        assert_eq!(fit(wide(), SHAPE, Fit::Crop), [200; 16]);
        let stretched = fit(wide(), SHAPE, Fit::Stretch);
        assert!(
            stretched[0] < 80 && stretched[1] > 150 && stretched[3] < 80,
            "{stretched:?}"
        );
        let padded = fit(wide(), SHAPE, Fit::Pad);
        // The border: 2 * 4 + 2 * 6 dark pixels and 16 light ones, the corners once.
        assert_eq!(padded[..4], [padded[0]; 4]);
        assert!(padded[4] < 80 && padded[5] > 150, "{padded:?}");
    }

    #[test]
    fn colours_stay_or_are_made_grey_and_transparency_is_white() {
        let picture = |colour| DynamicImage::from(RgbaImage::from_pixel(3, 5, image::Rgba(colour)));
        let colour = ImageShape {
            channels: 3,
            ..SHAPE
        };
        let values = fit(picture([255, 0, 0, 255]), colour, Fit::Crop);
        assert_eq!(values[..6], [255, 0, 0, 255, 0, 0]);
        assert_eq!(values.len(), 48);
        assert_eq!(fit(picture([255, 0, 0, 255]), SHAPE, Fit::Crop), [54; 16]);
        assert_eq!(fit(picture([9, 9, 9, 0]), SHAPE, Fit::Pad), [255; 16]);
    }

    #[test]
    fn any_size_has_an_image() {
        for (width, height) in [(1, 1), (1, 500), (500, 1), (3, 2)] {
            for how in [Fit::Crop, Fit::Pad, Fit::Stretch] {
                let picture = GrayImage::from_pixel(width, height, Luma([77]));
                let image = fit(picture.into(), SHAPE, how);
                assert_eq!(image, [77; 16], "{width}x{height} {how:?}");
            }
        }
    }
}

//! Anyone's pictures, as a model takes them.

use crate::data::ImageShape;
use crate::data::pictures::decode::LARGEST_FILE;
use crate::data::pictures::fit::border_mean;
use crate::data::pictures::{self, Fit};
use crate::{Error, Result, files};
use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, ImageBuffer, Pixel};
use std::path::Path;

/// Reads anyone's picture as a model of grey images of a shape takes it: 0 is background, 1 is ink.
///
/// It is made grey (transparency on white), inverted where its border is light, and fitted to the shape
/// without distortion: one that is longer or wider gets background at its sides.
///
/// # Errors
///
/// If the file is no picture, or is absurdly large.
pub fn read_picture(path: &Path, shape: ImageShape) -> Result<Vec<f32>> {
    Ok(fit(read_grey(path)?, shape))
}

/// Reads anyone's picture, and makes it grey; transparency on white.
///
/// # Errors
///
/// As of [`read_picture`].
pub fn read_grey(path: &Path) -> Result<GrayImage> {
    Ok(grey_on_white(read_pixels(path)?))
}

/// Reads anyone's picture as data that are pictures have been read: 0 to 255.
///
/// # Errors
///
/// As of [`read_picture`].
pub fn read_fitted(path: &Path, shape: ImageShape, how: Fit) -> Result<Vec<u8>> {
    Ok(pictures::fit(read_pixels(path)?, shape, how))
}

fn read_pixels(path: &Path) -> Result<DynamicImage> {
    let content = files::read(path, LARGEST_FILE)?;
    pictures::decode(&content).map_err(|why| {
        Error::input(path.display(), format!("is not a usable picture: {why}"))
            .hint("give a PNG, JPEG, WebP, BMP, GIF or TIFF file")
    })
}

fn grey_on_white(picture: DynamicImage) -> GrayImage {
    match picture {
        DynamicImage::ImageLuma8(grey) => grey,
        DynamicImage::ImageLumaA8(picture) => on_white(&picture),
        DynamicImage::ImageRgb8(picture) => on_white(&picture),
        DynamicImage::ImageRgba8(picture) => on_white(&picture),
        // More than 8 bits a channel.
        deep => on_white(&deep.to_rgba8()),
    }
}

fn on_white<P: Pixel<Subpixel = u8>>(picture: &ImageBuffer<P, Vec<u8>>) -> GrayImage {
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [luma, alpha] = picture.get_pixel(x, y).to_luma_alpha().0.map(u32::from);
        image::Luma([((luma * alpha + 255 * (255 - alpha)) / 255) as u8])
    })
}

fn fit(mut picture: GrayImage, shape: ImageShape) -> Vec<f32> {
    if border_mean(&picture).0[0] > 127 {
        image::imageops::invert(&mut picture);
    }
    let background = border_mean(&picture).0[0];
    let frame = [shape.width, shape.height].map(|size| size as u32);
    let sizes = [picture.width(), picture.height()];
    let scale = |axis: usize| f64::from(frame[axis]) / f64::from(sizes[axis]);
    let scale = scale(0).min(scale(1));
    let [width, height] = [0, 1].map(|axis| {
        let scaled = (f64::from(sizes[axis]) * scale).round() as u32;
        scaled.clamp(1, frame[axis])
    });
    let picture = image::imageops::resize(&picture, width, height, FilterType::Triangle);
    let mut fitted = GrayImage::from_pixel(frame[0], frame[1], image::Luma([background]));
    let [left, top] = [(frame[0] - width) / 2, (frame[1] - height) / 2].map(i64::from);
    image::imageops::replace(&mut fitted, &picture, left, top);
    fitted.iter().map(|&v| f32::from(v) / 255.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbaImage;

    const SHAPE: ImageShape = ImageShape::MNIST;

    #[test]
    fn a_colour_has_one_grey_however_it_is_stored() {
        let [red, clear] = [[255, 0, 0, 255], [9, 99, 199, 0]]
            .map(|colour| DynamicImage::from(RgbaImage::from_pixel(2, 3, image::Rgba(colour))));
        let grey = |picture: DynamicImage| {
            let picture = grey_on_white(picture);
            assert_eq!(picture.dimensions(), (2, 3));
            picture.get_pixel(1, 2).0[0]
        };
        assert_eq!(grey(red.clone()), 54, "0.2126 of the brightest");
        assert_eq!(grey(red.to_rgb8().into()), 54);
        assert_eq!(grey(red.to_rgb16().into()), 54);
        assert_eq!(grey(red.to_luma8().into()), 54);
        assert_eq!(grey(red.to_luma_alpha8().into()), 54);
        assert_eq!(grey(clear.clone()), 255, "paper");
        assert_eq!(grey(clear.to_luma_alpha8().into()), 255);
        assert_eq!(grey(clear.to_rgba16().into()), 255);
    }

    #[test]
    fn dark_ink_on_light_paper_becomes_light_on_dark() {
        let paper = GrayImage::from_fn(56, 112, |x, y| {
            let ink = (20..36).contains(&x) && (40..70).contains(&y);
            image::Luma([if ink { 0 } else { 255 }])
        });
        let values = fit(paper.clone(), SHAPE);
        assert_eq!(values.len(), SHAPE.values());
        assert!(values[0] < 0.01, "background is dark");
        assert!(values[14 * SHAPE.width + 14] > 0.9, "ink is light");
        let mut inverted = paper;
        image::imageops::invert(&mut inverted);
        assert_eq!(values, fit(inverted, SHAPE));
    }
}

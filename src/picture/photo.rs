//! Anyone's pictures, as a model takes them.

use crate::data::ImageShape;
use crate::data::pictures::decode::LARGEST_FILE;
use crate::data::pictures::fit::{border_mean, fitted};
use crate::data::pictures::{self, Fit};
use crate::{Error, Result, files};
use image::{DynamicImage, GrayImage, ImageBuffer, Pixel};
use std::path::Path;

/// Reads anyone's picture as a model of grey images of a shape takes it: 0 is background, 255 is ink.
///
/// It is made grey (transparency on white, or on black if it is light), inverted where its border is light, and fitted to the shape
/// without distortion: one that is longer or wider gets background at its sides.
///
/// # Errors
///
/// If the file is no picture, or is absurdly large.
pub fn read_ink(path: &Path, shape: ImageShape) -> Result<Vec<u8>> {
    Ok(fit(read_grey(path)?, shape))
}

/// Reads anyone's picture, and makes it grey; transparency on white, or on black if it is light.
///
/// # Errors
///
/// As of [`read_ink`].
pub fn read_grey(path: &Path) -> Result<GrayImage> {
    Ok(grey(read_pixels(path)?))
}

/// Reads anyone's picture as data that are pictures have been read: 0 to 255.
///
/// # Errors
///
/// As of [`read_ink`].
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

/// A picture without colours and transparency. What is behind it is white; or black, where it is light itself: ink is to
/// be seen on it.
fn grey(picture: DynamicImage) -> GrayImage {
    match picture {
        DynamicImage::ImageLuma8(grey) => grey,
        DynamicImage::ImageLumaA8(picture) => on_ground(&picture),
        DynamicImage::ImageRgb8(picture) => on_ground(&picture),
        DynamicImage::ImageRgba8(picture) => on_ground(&picture),
        // More than 8 bits a channel.
        deep => on_ground(&deep.to_rgba8()),
    }
}

fn on_ground<P: Pixel<Subpixel = u8>>(picture: &ImageBuffer<P, Vec<u8>>) -> GrayImage {
    let pixels = || {
        picture
            .pixels()
            .map(|pixel| pixel.to_luma_alpha().0.map(u64::from))
    };
    let light: u64 = pixels().map(|[luma, alpha]| luma * alpha).sum();
    let seen: u64 = pixels().map(|[_, alpha]| alpha).sum();
    let is_opaque = seen == 255 * u64::from(picture.width()) * u64::from(picture.height());
    let ground = if !is_opaque && light > 127 * seen {
        0
    } else {
        255
    };
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [luma, alpha] = picture.get_pixel(x, y).to_luma_alpha().0.map(u32::from);
        image::Luma([((luma * alpha + ground * (255 - alpha)) / 255) as u8])
    })
}

fn fit(mut picture: GrayImage, shape: ImageShape) -> Vec<u8> {
    if border_mean(&picture).0[0] > 127 {
        image::imageops::invert(&mut picture);
    }
    let frame = [shape.width, shape.height].map(|size| size as u32);
    fitted(&picture, frame, Fit::Pad).into_raw()
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
        let grey_of = |picture: DynamicImage| {
            let picture = grey(picture);
            assert_eq!(picture.dimensions(), (2, 3));
            picture.get_pixel(1, 2).0[0]
        };
        assert_eq!(grey_of(red.clone()), 54, "0.2126 of the brightest");
        assert_eq!(grey_of(red.to_rgb8().into()), 54);
        assert_eq!(grey_of(red.to_rgb16().into()), 54);
        assert_eq!(grey_of(red.to_luma8().into()), 54);
        assert_eq!(grey_of(red.to_luma_alpha8().into()), 54);
        assert_eq!(grey_of(clear.clone()), 255, "paper");
        assert_eq!(grey_of(clear.to_luma_alpha8().into()), 255);
        assert_eq!(grey_of(clear.to_rgba16().into()), 255);
    }

    #[test]
    fn dark_ink_on_light_paper_becomes_light_on_dark() {
        let paper = GrayImage::from_fn(56, 112, |x, y| {
            let ink = (20..36).contains(&x) && (40..70).contains(&y);
            image::Luma([if ink { 0 } else { 255 }])
        });
        let values = fit(paper.clone(), SHAPE);
        assert_eq!(values.len(), SHAPE.values());
        assert!(values[0] < 3, "background is dark");
        assert!(values[14 * SHAPE.width + 14] > 229, "ink is light");
        let mut inverted = paper;
        image::imageops::invert(&mut inverted);
        assert_eq!(values, fit(inverted, SHAPE));
    }

    #[test]
    fn light_ink_on_a_transparent_ground_is_ink() {
        let with_ground = |ground: [u8; 4]| {
            RgbaImage::from_fn(28, 28, |x, y| {
                let is_ink = (10..18).contains(&x) && (6..22).contains(&y);
                image::Rgba(if is_ink { [240, 240, 250, 255] } else { ground })
            })
        };
        let seen = |ground| fit(grey(with_ground(ground).into()), SHAPE);
        assert_eq!(seen([0, 0, 0, 0]), seen([0, 0, 0, 255]));
        assert_eq!(seen([255, 255, 255, 0]), seen([0, 0, 0, 255]));
        assert!(seen([255, 255, 255, 0])[14 * 28 + 14] > 229);
    }
}

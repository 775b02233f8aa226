//! Pictures as PNG files: in grids, and one by one.

use crate::data::ImageShape;
use crate::{Error, Result};
use image::codecs::png::PngEncoder;
use image::{DynamicImage, GrayImage, RgbImage};

/// Pixels between the pictures of a grid, and around them.
const GAP: u32 = 2;
/// The grey of the gaps: darker than ink, lighter than background.
const GAP_GREY: u8 = 64;
/// Pictures up to so many pixels a side take two rows and columns for one of theirs in a grid.
const SMALL: usize = 40;

/// A value of 0 to 1 as a brightness of 0 to 255.
pub(super) fn byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// Pixels as a picture: grey, or of three channels in colour.
pub(super) fn picture(
    pixels: Vec<u8>,
    [width, height]: [u32; 2],
    channels: usize,
) -> Result<DynamicImage> {
    let picture = match channels {
        1 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        3 => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
        _ => None,
    };
    picture.ok_or_else(|| Error::failed("a picture", format!("cannot have {channels} channels")))
}

/// A picture as a PNG file.
pub(super) fn encode(picture: &DynamicImage) -> Result<Vec<u8>> {
    let mut png = Vec::new();
    // Not `write_to`, which has the encoders of all formats compiled.
    let written = picture.write_with_encoder(PngEncoder::new(&mut png));
    written.map_err(|error| Error::failed("PNG", error))?;
    Ok(png)
}

/// Pictures in a grid, row by row, as a PNG file.
///
/// `values` holds pictures of a shape one after the other, 0 to 1; `columns` is 1 or more.
pub fn png(values: &[f32], shape: ImageShape, columns: usize) -> Result<Vec<u8>> {
    encode(&image(values, shape, columns)?)
}

/// Rows and columns that one pixel of a picture takes in a grid.
fn zoom(shape: ImageShape) -> u32 {
    if shape.width.max(shape.height) <= SMALL {
        2
    } else {
        1
    }
}

/// Pixels from one picture of a grid to the next: to the right, and down.
pub fn cell(shape: ImageShape) -> [u32; 2] {
    [shape.width, shape.height].map(|size| size as u32 * zoom(shape) + GAP)
}

/// Pixels of a side of a grid with so many pictures, of which one takes `cell`.
pub fn side(cell: u32, pictures: usize) -> u32 {
    pictures as u32 * cell + GAP
}

/// The same as pixels.
pub(super) fn image(values: &[f32], shape: ImageShape, columns: usize) -> Result<DynamicImage> {
    let count = values.len() / shape.values();
    let columns = columns.min(count).max(1);
    let [cell_width, cell_height] = cell(shape);
    let (width, height) = (
        side(cell_width, columns),
        side(cell_height, count.div_ceil(columns)),
    );
    let (zoom, channels) = (zoom(shape) as usize, shape.channels);
    let across = width as usize * channels;
    let mut pixels = vec![GAP_GREY; across * height as usize];
    for (index, values) in values.chunks_exact(shape.values()).enumerate() {
        let left = side(cell_width, index % columns) as usize * channels;
        let top = side(cell_height, index / columns) as usize;
        let rows = values.chunks_exact(shape.width * channels).enumerate();
        for (row, values) in rows {
            let wide = values.chunks_exact(channels);
            let wide = wide.flat_map(|pixel| std::iter::repeat_n(pixel, zoom).flatten());
            let wide: Vec<u8> = wide.map(|&value| byte(value)).collect();
            for line in 0..zoom {
                let place = (top + row * zoom + line) * across + left;
                pixels[place..place + wide.len()].copy_from_slice(&wide);
            }
        }
    }
    picture(pixels, [width, height], channels)
}

/// Columns that make a grid of `count` pictures about square.
pub fn square_columns(count: usize) -> usize {
    (count as f64).sqrt().ceil() as usize
}

/// Sets of as many pictures one below the other, as originals above their reconstructions, as a PNG file: rows of at most
/// `columns` pictures of the first set, each followed by the same of the other sets.
pub fn png_sets(sets: &[&[f32]], shape: ImageShape, columns: usize) -> Result<Vec<u8>> {
    let count = sets.first().map_or(0, |set| set.len() / shape.values());
    let columns = columns.min(count).max(1);
    let stretch = columns * shape.values();
    let mut rows = Vec::new();
    for first in (0..count * shape.values()).step_by(stretch) {
        for set in sets {
            rows.extend_from_slice(&set[first..(first + stretch).min(set.len())]);
            // A short last row is filled with background, so that the next begins below its start.
            rows.resize(rows.len().next_multiple_of(stretch), 0.0);
        }
    }
    png(&rows, shape, columns)
}

/// One picture at its own size, as a PNG file.
pub fn single_png(values: &[f32], shape: ImageShape) -> Result<Vec<u8>> {
    let pixels = values.iter().map(|&value| byte(value)).collect();
    let size = [shape.width, shape.height].map(|size| size as u32);
    encode(&picture(pixels, size, shape.channels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape::MNIST;

    #[test]
    fn a_grid_holds_its_pictures_in_order() {
        let values: Vec<f32> = (0..5)
            .flat_map(|i| vec![i as f32 / 4.0; SHAPE.values()])
            .collect();
        let png = png(&values, SHAPE, 3).expect("a PNG");
        let grid = image::load_from_memory(&png).expect("a picture").to_luma8();
        let [cell, _] = cell(SHAPE);
        assert_eq!(grid.dimensions(), (3 * cell + GAP, 2 * cell + GAP));
        let grey_at = |column, row| grid.get_pixel(column * cell + 20, row * cell + 20).0[0];
        assert_eq!([grey_at(0, 0), grey_at(1, 0), grey_at(2, 0)], [0, 64, 128]);
        assert_eq!([grey_at(0, 1), grey_at(1, 1)], [191, 255]);
    }

    #[test]
    fn a_picture_in_colour_stays_so() {
        let shape = ImageShape {
            height: 2,
            width: 41,
            channels: 3,
        };
        let mut values = vec![0.0; 2 * shape.values()];
        values[shape.values() + 1] = 1.0;
        let png = png(&values, shape, 1).expect("a PNG");
        let grid = image::load_from_memory(&png).expect("a picture").to_rgb8();
        assert_eq!(grid.dimensions(), (41 + 4, 2 * 2 + 6));
        assert_eq!(grid.get_pixel(2, 6).0, [0, 255, 0]);
        assert_eq!(grid.get_pixel(0, 0).0, [GAP_GREY; 3]);
        let single = single_png(&values[..shape.values()], shape).expect("a PNG");
        let single = image::load_from_memory(&single).expect("a picture");
        assert_eq!((single.width(), single.height()), (41, 2));
    }
}

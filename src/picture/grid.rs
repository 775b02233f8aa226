//! Pictures as PNG files: in grids, and one by one.

use crate::data::ImageShape;
use crate::{Error, Result};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, GrayImage, ImageEncoder};

/// Pixels between the pictures of a grid, and around them.
const GAP: u32 = 2;
/// The grey of the gaps: darker than ink, lighter than background.
const GAP_GREY: u8 = 64;
/// Rows and columns that one pixel of a picture takes in a grid.
const ZOOM: u32 = 2;

/// A value of 0 to 1 as a grey of 0 to 255.
fn grey(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

fn picture(values: &[f32], shape: ImageShape) -> GrayImage {
    GrayImage::from_fn(shape.width as u32, shape.height as u32, |x, y| {
        image::Luma([grey(values[y as usize * shape.width + x as usize])])
    })
}

fn encode(image: &GrayImage) -> Result<Vec<u8>> {
    let mut png = Vec::new();
    let (width, height) = image.dimensions();
    PngEncoder::new(&mut png)
        .write_image(image, width, height, ExtendedColorType::L8)
        .map_err(|error| Error::failed("PNG", error))?;
    Ok(png)
}

/// Pictures in a grid, row by row, as a PNG file.
///
/// `values` holds pictures of a shape one after the other, 0 to 1; `columns` is 1 or more.
pub fn png(values: &[f32], shape: ImageShape, columns: usize) -> Result<Vec<u8>> {
    encode(&image(values, shape, columns))
}

/// Pixels from one picture of a grid to the next: to the right, and down.
pub fn cell(shape: ImageShape) -> [u32; 2] {
    [shape.width, shape.height].map(|size| size as u32 * ZOOM + GAP)
}

/// Pixels of a side of a grid with so many pictures, of which one takes `cell`.
pub fn side(cell: u32, pictures: usize) -> u32 {
    pictures as u32 * cell + GAP
}

/// The same as pixels.
pub(super) fn image(values: &[f32], shape: ImageShape, columns: usize) -> GrayImage {
    let count = values.len() / shape.values();
    let columns = columns.min(count).max(1);
    let [cell_width, cell_height] = cell(shape);
    let across = |cells: usize| side(cell_width, cells);
    let down = |cells: usize| side(cell_height, cells);
    let (width, height) = (across(columns), down(count.div_ceil(columns)));
    let mut grid = GrayImage::from_pixel(width, height, image::Luma([GAP_GREY]));
    for (index, values) in values.chunks_exact(shape.values()).enumerate() {
        let picture = picture(values, shape);
        let (left, top) = (across(index % columns), down(index / columns));
        for y in 0..cell_height - GAP {
            for x in 0..cell_width - GAP {
                grid.put_pixel(left + x, top + y, *picture.get_pixel(x / ZOOM, y / ZOOM));
            }
        }
    }
    grid
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
    encode(&picture(values, shape))
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
        let cell = SHAPE.width as u32 * ZOOM + GAP;
        assert_eq!(grid.dimensions(), (3 * cell + GAP, 2 * cell + GAP));
        let grey_at = |column, row| grid.get_pixel(column * cell + 20, row * cell + 20).0[0];
        assert_eq!([grey_at(0, 0), grey_at(1, 0), grey_at(2, 0)], [0, 64, 128]);
        assert_eq!([grey_at(0, 1), grey_at(1, 1)], [191, 255]);
    }
}

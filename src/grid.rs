//! Images on their way in and out: PNG grids, single pictures, raw arrays, anyone's photographs.

use crate::data::{PIXELS, SIDE};
use crate::{Error, Result, files};
use image::codecs::png::PngEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, ImageBuffer, Pixel};
use image::{ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader, Limits};
use std::io::Cursor;
use std::path::Path;

/// Pixels between the pictures of a grid, and around them.
const GAP: u32 = 2;
/// The grey of the gaps: darker than ink, lighter than background.
const GAP_GREY: u8 = 64;
/// Rows and columns that one pixel of a picture takes in a grid.
const ZOOM: u32 = 2;

/// Photographs with more rows or columns are refused, and so are those that need more memory.
const LARGEST_SIDE: u32 = 16_384;
const LARGEST_FILE: u64 = 256 << 20;
/// Bytes of pixels that a byte of a file can hold at most: deflate packs 1032, JPEG about as many. Who
/// promises more has no memory set aside for it.
const MOST_PACKED: u64 = 2048;

/// A value of 0 to 1 as a grey of 0 to 255.
fn grey(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

fn picture(values: &[f32]) -> GrayImage {
    GrayImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        image::Luma([grey(values[y as usize * SIDE + x as usize])])
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
/// `values` holds 784 values a picture, 0 to 1; `columns` is 1 or more.
pub fn png(values: &[f32], columns: usize) -> Result<Vec<u8>> {
    let count = values.len() / PIXELS;
    let columns = columns.min(count).max(1);
    let cell = SIDE as u32 * ZOOM + GAP;
    let size = |cells: usize| cells as u32 * cell + GAP;
    let (width, height) = (size(columns), size(count.div_ceil(columns)));
    let mut grid = GrayImage::from_pixel(width, height, image::Luma([GAP_GREY]));
    for (index, values) in values.chunks_exact(PIXELS).enumerate() {
        let picture = picture(values);
        let (left, top) = (size(index % columns), size(index / columns));
        for y in 0..SIDE as u32 * ZOOM {
            for x in 0..SIDE as u32 * ZOOM {
                grid.put_pixel(left + x, top + y, *picture.get_pixel(x / ZOOM, y / ZOOM));
            }
        }
    }
    encode(&grid)
}

/// Columns that make a grid of `count` pictures about square.
pub fn square_columns(count: usize) -> usize {
    (count as f64).sqrt().ceil() as usize
}

/// Originals above their reconstructions, as a PNG file: rows of at most `columns` originals, each
/// followed by the row of their reconstructions.
pub fn png_pairs(originals: &[f32], reconstructions: &[f32], columns: usize) -> Result<Vec<u8>> {
    let count = originals.len() / PIXELS;
    let columns = columns.min(count).max(1);
    let mut rows = Vec::with_capacity(2 * originals.len());
    let stretch = columns * PIXELS;
    for (above, below) in originals
        .chunks(stretch)
        .zip(reconstructions.chunks(stretch))
    {
        for row in [above, below] {
            rows.extend_from_slice(row);
            // A short last row is filled with background, so that the next begins below its start.
            rows.resize(rows.len().next_multiple_of(stretch), 0.0);
        }
    }
    png(&rows, columns)
}

/// One picture at its own size, as a PNG file.
pub fn single_png(values: &[f32]) -> Result<Vec<u8>> {
    encode(&picture(values))
}

/// Pictures as a NumPy array file: float32, shape (pictures, 28, 28), values 0 to 1.
///
/// The format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, version 1.0.
pub fn npy(values: &[f32]) -> Vec<u8> {
    let shape = (values.len() / PIXELS, SIDE, SIDE);
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape:?}, }}").into_bytes();
    // Magic, version and length take 10 bytes; the values begin at a multiple of 64.
    header.resize((10 + header.len() + 1).next_multiple_of(64) - 11, b' ');
    header.push(b'\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend_from_slice(&(header.len() as u16).to_le_bytes());
    file.extend_from_slice(&header);
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    file
}

/// Reads anyone's picture as the model takes it: 784 values, 0 is background, 1 is ink.
///
/// It is made grey (transparency on white), inverted where its border is light, and fitted to 28x28
/// without distortion: one that is not square gets background at its sides.
///
/// # Errors
///
/// If the file is not a PNG or JPEG picture, or is absurdly large.
pub fn read_picture(path: &Path) -> Result<Vec<f32>> {
    let content = files::read(path, LARGEST_FILE)?;
    let most = content.len() as u64 * MOST_PACKED;
    let bad = |error: &dyn std::fmt::Display| {
        Error::input(path.display(), format!("is not a usable picture: {error}"))
            .hint("give a PNG or JPEG file")
    };
    let mut reader = ImageReader::new(Cursor::new(content))
        .with_guessed_format()
        .map_err(|error| bad(&error))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(4 * LARGEST_FILE);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| bad(&error))?;
    if decoder.total_bytes() > most {
        let (width, height) = decoder.dimensions();
        return Err(bad(&format!("it is too short for {width}x{height} pixels")));
    }
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| bad(&error))?;
    Ok(fit(grey_on_white(picture)))
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

fn fit(mut picture: GrayImage) -> Vec<f32> {
    if border_mean(&picture) > 127.0 {
        image::imageops::invert(&mut picture);
    }
    let background = border_mean(&picture).round() as u8;
    let (width, height) = picture.dimensions();
    let scale = SIDE as f64 / f64::from(width.max(height));
    let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    let (width, height) = (scaled(width), scaled(height));
    let picture = image::imageops::resize(&picture, width, height, FilterType::Triangle);
    let mut square = GrayImage::from_pixel(SIDE as u32, SIDE as u32, image::Luma([background]));
    let offset = |side: u32| i64::from((SIDE as u32 - side) / 2);
    image::imageops::replace(&mut square, &picture, offset(width), offset(height));
    square.iter().map(|&v| f32::from(v) / 255.0).collect()
}

/// The mean grey of the outermost pixels: what a picture's background is.
fn border_mean(picture: &GrayImage) -> f64 {
    let (width, height) = picture.dimensions();
    let border = picture
        .enumerate_pixels()
        .filter(|(x, y, _)| *x == 0 || *y == 0 || x + 1 == width || y + 1 == height);
    let (sum, count) = border.fold((0.0, 0.0), |(sum, count), (_, _, pixel)| {
        (sum + f64::from(pixel.0[0]), count + 1.0)
    });
    sum / f64::max(count, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbaImage;

    #[test]
    fn a_grid_holds_its_pictures_in_order() {
        let values: Vec<f32> = (0..5).flat_map(|i| vec![i as f32 / 4.0; PIXELS]).collect();
        let png = png(&values, 3).expect("a PNG");
        let grid = image::load_from_memory(&png).expect("a picture").to_luma8();
        let cell = SIDE as u32 * ZOOM + GAP;
        assert_eq!(grid.dimensions(), (3 * cell + GAP, 2 * cell + GAP));
        let grey_at = |column, row| grid.get_pixel(column * cell + 20, row * cell + 20).0[0];
        assert_eq!([grey_at(0, 0), grey_at(1, 0), grey_at(2, 0)], [0, 64, 128]);
        assert_eq!([grey_at(0, 1), grey_at(1, 1)], [191, 255]);
    }

    #[test]
    fn an_array_file_has_a_header_that_numpy_reads() {
        let file = npy(&[0.5; 2 * PIXELS]);
        assert_eq!(&file[..8], b"\x93NUMPY\x01\x00");
        let header_len = usize::from(u16::from_le_bytes([file[8], file[9]]));
        assert_eq!((10 + header_len) % 64, 0);
        let header = std::str::from_utf8(&file[10..10 + header_len]).expect("text");
        assert!(header.contains("'shape': (2, 28, 28)"), "{header}");
        assert_eq!(file.len(), 10 + header_len + 4 * 2 * PIXELS);
        assert_eq!(file[file.len() - 4..], 0.5f32.to_le_bytes());
    }

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
        let values = fit(paper.clone());
        assert_eq!(values.len(), PIXELS);
        assert!(values[0] < 0.01, "background is dark");
        assert!(values[14 * SIDE + 14] > 0.9, "ink is light");
        let mut inverted = paper;
        image::imageops::invert(&mut inverted);
        assert_eq!(values, fit(inverted));
    }
}

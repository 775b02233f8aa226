//! From the content of a picture file to its pixels.

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// No picture file is larger.
pub const LARGEST_FILE: u64 = 256 << 20;
/// Pictures with more rows or columns are refused, and so are those that need more memory.
const LARGEST_SIDE: u32 = 16_384;
/// Bytes of pixels that a byte of a file can hold at most: deflate packs 1032, JPEG about as many. Who
/// promises more has no memory set aside for it.
const MOST_PACKED: u64 = 2048;
/// Pictures of one colour are packed without a bound in some formats; they may have so many bytes whatever their files'.
const FLAT: u64 = 64 << 20;
/// What decoders may have of memory for the smallest picture.
const LEAST_ALLOC: u64 = 4 << 20;

/// The pixels of a picture (PNG, JPEG, WebP, BMP, TIFF, the first of a GIF), held as its EXIF data say.
///
/// # Errors
///
/// Why it is none, or none that can be used.
pub fn decode(content: &[u8]) -> Result<DynamicImage, String> {
    let mut decoder = decoder(content)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Rows and columns of a picture, as [`decode`] gives them, and whether it may have colours.
///
/// # Errors
///
/// As of [`decode`].
pub fn dimensions(content: &[u8]) -> Result<([usize; 2], bool), String> {
    let mut decoder = decoder(content)?;
    let (width, height) = decoder.dimensions();
    let [width, height] = [width, height].map(|size| size as usize);
    let has_colours = decoder.color_type().has_color();
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let lies = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let size = if lies {
        [width, height]
    } else {
        [height, width]
    };
    Ok((size, has_colours))
}

/// Checks that no entry of a TIFF file's first directory promises more than there is: its decoder sets memory aside for
/// what they say.
fn check_tiff(content: &[u8]) -> Result<(), String> {
    let is_little = content.starts_with(b"II");
    if !is_little && !content.starts_with(b"MM") {
        return Ok(());
    }
    let number = |place: usize, size: usize| -> Option<u64> {
        let bytes = content.get(place..place.checked_add(size)?)?.iter();
        let add = |sum, byte: &u8| sum << 8 | u64::from(*byte);
        Some(match is_little {
            true => bytes.rev().fold(0, add),
            false => bytes.fold(0, add),
        })
    };
    let whole = || {
        if number(2, 2)? != 42 {
            return None;
        }
        let directory = number(4, 4)? as usize;
        let entries = number(directory, 2)? as usize;
        (0..entries).try_for_each(|entry| {
            let entry = directory + 2 + 12 * entry;
            // Its type: bytes, numbers of 2, 4 and 8 bytes.
            let size = match number(entry + 2, 2)? {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                4 | 9 | 11 | 13 => 4,
                _ => 8,
            };
            let promised = size * number(entry + 4, 4)?;
            (promised <= content.len() as u64).then_some(())
        })
    };
    whole().ok_or_else(|| "it is a damaged TIFF file, or of a kind that is not read".into())
}

fn decoder(content: &[u8]) -> Result<impl ImageDecoder + '_, String> {
    check_tiff(content)?;
    let reader = ImageReader::new(Cursor::new(content)).with_guessed_format();
    let mut reader = reader.map_err(|error| error.to_string())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    let floor = match reader.format() {
        Some(ImageFormat::Gif | ImageFormat::WebP | ImageFormat::Tiff) => FLAT,
        _ => 0,
    };
    let most = floor.max(content.len() as u64 * MOST_PACKED);
    limits.max_alloc = Some(most.clamp(LEAST_ALLOC, 4 * LARGEST_FILE));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    if decoder.total_bytes() > most {
        let (width, height) = decoder.dimensions();
        return Err(format!("it is too short for {width}x{height} pixels"));
    }
    Ok(decoder)
}

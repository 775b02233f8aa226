//! Images in NumPy's arrays.
//!
//! An array is (images, rows, columns); or (images, rows, columns, channels) or (images, channels, rows, columns) with 1 or
//! 3 channels, the first where both would do. Bytes and other whole numbers are 0 to 255, as are fractions of which one is
//! above 1; other fractions and truth values are 0 to 1. What the numbers of the training images are, those of the test
//! images are, too.

use super::dataset::{Dataset, Split};
use super::hold_out::hold_out;
use super::npy::{self, Array, Numbers};
use super::npz::{self, Archive};
use super::pictures::Reading;
use super::shape::ImageShape;
use crate::{Error, Result, files};
use std::path::Path;

/// No file of arrays is larger.
const LARGEST_FILE: u64 = 16 << 30;
/// Nor is an array that is packed in one.
const MOST_VALUES: usize = 1 << 29;
/// By how much the largest of fractions from 0 to 1 may be above 1.
const ROUNDING: f32 = 1e-3;

/// What a file holds, or why it is none that can be used.
type Found<T> = std::result::Result<T, String>;

/// Whether a path is that of a file of arrays.
pub fn is_arrays(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    let known = ["npy", "npz"];
    path.is_file() && known.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Reads a file with an array of images (`.npy`), or with arrays (`.npz`): `x_train`, `y_train`, `x_test` and `y_test`, as
/// Keras has MNIST, of which all but the first may be missing; or one array alone. Where there are no test images some are
/// held out, and that is told.
///
/// # Errors
///
/// If it holds something else.
pub fn read(path: &Path, reading: &Reading) -> Result<(Dataset, bool)> {
    let content = files::read(path, LARGEST_FILE)?;
    let found = match npz::is_archive(&content) {
        true => of_archive(&content),
        false => npy::read(&content).and_then(|images| {
            let scale = scale(&images);
            Ok((split(images, None, scale)?, None))
        }),
    };
    let (train, test) = found.map_err(|why| {
        let hint = "arrays of images are (n, rows, columns), or with 1 or 3 channels, of numbers from 0 to 255 or 0 to 1";
        Error::input(path.display(), why).hint(hint)
    })?;
    let held_out = test.is_none();
    let (train, test) = match test {
        Some(test) => (train, test),
        None => hold_out(&train, reading.test_share, reading.seed),
    };
    let name = format!("arrays in {}", path.display());
    Ok((Dataset { train, test, name }, held_out))
}

/// Training images, and test images where there are some.
fn of_archive(content: &[u8]) -> Found<(Split, Option<Split>)> {
    let mut archive = Archive::open(content)?;
    let name = match (archive.has("x_train"), &archive.names[..]) {
        (true, _) => "x_train".to_string(),
        (false, [only]) => only.clone(),
        (false, names) => {
            let names = names.join(", ");
            return Err(format!("there is no array `x_train` in it, but: {names}"));
        }
    };
    let images = archive.array(&name, MOST_VALUES)?;
    let scale = scale(&images);
    let train = split(images, labels(&mut archive, "y_train")?, scale)?;
    if name != "x_train" || !archive.has("x_test") {
        return Ok((train, None));
    }
    let images = archive.array("x_test", MOST_VALUES)?;
    let test = split(images, labels(&mut archive, "y_test")?, scale)?;
    match test.shape == train.shape {
        true => Ok((train, Some(test))),
        false => Err(format!(
            "its training images are {}, its test images {}",
            train.shape, test.shape
        )),
    }
}

/// The labels of an archive, if it has some.
fn labels(archive: &mut Archive, name: &str) -> Found<Option<Array>> {
    match archive.has(name) {
        true => archive.array(name, MOST_VALUES).map(Some),
        false => Ok(None),
    }
}

/// What makes bytes of the numbers of images.
fn scale(images: &Array) -> f32 {
    let are_shares = || images.values.iter().all(|&value| value <= 1.0 + ROUNDING);
    match images.numbers {
        Numbers::Truth => 255.0,
        Numbers::Fractions if are_shares() => 255.0,
        Numbers::Whole | Numbers::Fractions => 1.0,
    }
}

/// Images and labels; of images without any, 0.
fn split(images: Array, labels: Option<Array>, scale: f32) -> Found<Split> {
    let (count, shape, channels_first) = shape(&images.shape)?;
    let most = 255.0 / scale + ROUNDING;
    let wrong = images
        .values
        .iter()
        .find(|value| !(0.0..=most).contains(*value));
    if let Some(value) = wrong {
        return Err(format!(
            "a pixel is {value}; pixels are from 0 to 255, or from 0 to 1"
        ));
    }
    let bytes = images
        .values
        .into_iter()
        .map(|value| (value * scale).round() as u8);
    let bytes: Vec<u8> = bytes.collect();
    let pixels = match channels_first {
        true => channels_last(&bytes, shape),
        false => bytes,
    };
    let Some(labels) = labels else {
        let labels = vec![0; count];
        return Ok(Split {
            pixels,
            labels,
            shape,
        });
    };
    let values = labels.values;
    let labels: Vec<u8> = values.iter().map(|&value| value as u8).collect();
    let are_labels = labels
        .iter()
        .zip(&values)
        .all(|(&label, &value)| f32::from(label) == value);
    match are_labels && labels.len() == count {
        true => Ok(Split {
            pixels,
            labels,
            shape,
        }),
        false => Err(format!(
            "there are not {count} labels from 0 to 255 to its images"
        )),
    }
}

/// How many images an array of a shape holds, their shape, and whether a channel of it lies in one piece.
fn shape(shape: &[usize]) -> Found<(usize, ImageShape, bool)> {
    let image = |height, width, channels| ImageShape {
        height,
        width,
        channels,
    };
    let (count, shape, channels_first) = match *shape {
        [count, height, width] => (count, image(height, width, 1), false),
        [count, height, width, channels @ (1 | 3)] => {
            (count, image(height, width, channels), false)
        }
        [count, channels @ (1 | 3), height, width] => (count, image(height, width, channels), true),
        _ => return Err(format!("its array has the shape {shape:?}")),
    };
    let sides = [shape.height, shape.width];
    if count == 0
        || !sides
            .iter()
            .all(|side| (1..=ImageShape::LARGEST_SIDE).contains(side))
    {
        let most = ImageShape::LARGEST_SIDE;
        return Err(format!(
            "it holds {count} images of {shape}; a side is 1 to {most} pixels"
        ));
    }
    Ok((count, shape, channels_first))
}

fn channels_last(bytes: &[u8], shape: ImageShape) -> Vec<u8> {
    let plane = shape.height * shape.width;
    let images = bytes.chunks_exact(shape.values());
    let pixels = images.flat_map(|image| {
        (0..plane).flat_map(move |pixel| image.iter().skip(pixel).step_by(plane).copied())
    });
    pixels.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[usize], values: &[f32], numbers: Numbers) -> Array {
        Array {
            shape: shape.into(),
            values: values.into(),
            numbers,
        }
    }

    fn images(array: Array) -> Found<Split> {
        let scale = scale(&array);
        split(array, None, scale)
    }

    #[test]
    fn numbers_are_what_they_are_likely_to_mean() {
        let pixels = |values: &[f32], numbers| {
            images(array(&[1, 1, 2], values, numbers)).map(|split| split.pixels)
        };
        assert_eq!(pixels(&[0.0, 200.0], Numbers::Whole), Ok(vec![0, 200]));
        assert_eq!(pixels(&[0.0, 1.0], Numbers::Whole), Ok(vec![0, 1]));
        assert_eq!(pixels(&[0.0, 1.0], Numbers::Truth), Ok(vec![0, 255]));
        assert_eq!(pixels(&[0.2, 1.0], Numbers::Fractions), Ok(vec![51, 255]));
        assert_eq!(pixels(&[0.2, 254.6], Numbers::Fractions), Ok(vec![0, 255]));
        for (wrong, numbers) in [
            (f32::NAN, Numbers::Fractions),
            (-0.5, Numbers::Fractions),
            (256.0, Numbers::Whole),
        ] {
            let error = pixels(&[0.0, wrong], numbers).expect_err("an error");
            assert!(error.contains("a pixel is"), "{error}");
        }
    }

    #[test]
    fn channels_may_come_first_or_last() {
        let values: Vec<f32> = (0..6u8).map(f32::from).collect();
        let of = |shape: &[usize]| images(array(shape, &values, Numbers::Whole)).expect("images");
        let last = of(&[1, 2, 1, 3]);
        assert_eq!(
            (last.shape.channels, &last.pixels[..]),
            (3, &[0, 1, 2, 3, 4, 5][..])
        );
        let first = of(&[1, 3, 1, 2]);
        assert_eq!((first.shape.height, first.shape.width), (1, 2));
        assert_eq!(first.pixels, [0, 2, 4, 1, 3, 5]);
        assert_eq!(of(&[3, 2, 1]).len(), 3);
        for shape in [
            &[6][..],
            &[3, 2],
            &[1, 2, 3, 1, 1],
            &[1, 2, 3, 4],
            &[0, 2, 3],
            &[2, 0, 3],
        ] {
            assert!(super::shape(shape).is_err(), "{shape:?}");
        }
    }
}

//! Images in NumPy's arrays.
//!
//! An array is (images, rows, columns); or (images, rows, columns, channels) or (images, channels, rows, columns) with 1 or
//! 3 channels, the first where both would do. Bytes and other whole numbers are 0 to 255, as are fractions of which one is
//! above 1; other fractions and truth values are 0 to 1.

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
const MOST_VALUES: usize = 1 << 31;

/// Training images, and test images where there are some.
type Found = (Split, Option<Split>);

/// Whether a path is that of a file of arrays.
pub fn is_arrays(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    path.is_file()
        && ["npy", "npz"]
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
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
        false => npy::read(&content).and_then(|array| Ok((split(array, None)?, None))),
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
    if train.is_empty() || test.is_empty() {
        let why = "there is no image to learn from, or none to be tested on";
        return Err(Error::input(path.display(), why));
    }
    let name = format!("arrays in {}", path.display());
    Ok((Dataset { train, test, name }, held_out))
}

fn of_archive(content: &[u8]) -> std::result::Result<Found, String> {
    let mut archive = Archive::open(content)?;
    let name = match (archive.has("x_train"), &archive.names[..]) {
        (true, _) => "x_train".to_string(),
        (false, [only]) => only.clone(),
        (false, _) => return Err("there is no array `x_train` in it".into()),
    };
    let train = part(&mut archive, &name, "y_train")?;
    let test = match name == "x_train" && archive.has("x_test") {
        true => Some(part(&mut archive, "x_test", "y_test")?),
        false => None,
    };
    match &test {
        Some(test) if test.shape != train.shape => Err(format!(
            "its training images are {}, its test images {}",
            train.shape, test.shape
        )),
        _ => Ok((train, test)),
    }
}

/// An archive's images of a name, with the labels of another.
fn part(archive: &mut Archive, images: &str, labels: &str) -> std::result::Result<Split, String> {
    let labels = match archive.has(labels) {
        true => Some(archive.array(labels, MOST_VALUES)?),
        false => None,
    };
    split(archive.array(images, MOST_VALUES)?, labels)
}

/// Images and labels.
fn split(images: Array, labels: Option<Array>) -> std::result::Result<Split, String> {
    let (count, shape, channels_first) = shape(&images.shape)?;
    let scale = match images.numbers {
        Numbers::Truth => 255.0,
        Numbers::Fractions if images.values.iter().all(|&value| value <= 1.0) => 255.0,
        Numbers::Whole | Numbers::Fractions => 1.0,
    };
    let wrong = images
        .values
        .iter()
        .find(|&&value| !(0.0..=255.0).contains(&value));
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
    let labels = match labels {
        None => vec![0; count],
        Some(labels) => {
            let bytes = labels.values.iter().map(|&value| value as u8);
            let bytes: Vec<u8> = bytes.collect();
            let are_labels = bytes
                .iter()
                .zip(&labels.values)
                .all(|(&a, &b)| f32::from(a) == b);
            if !are_labels || bytes.len() != count {
                return Err(format!(
                    "there are not {count} labels from 0 to 255 to its images"
                ));
            }
            bytes
        }
    };
    Ok(Split {
        pixels,
        labels,
        shape,
    })
}

/// How many images an array of a shape holds, their shape, and whether a channel of it lies in one piece.
fn shape(shape: &[usize]) -> std::result::Result<(usize, ImageShape, bool), String> {
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

    #[test]
    fn numbers_are_what_they_are_likely_to_mean() {
        let pixels = |values: &[f32], numbers| {
            split(array(&[1, 1, 2], values, numbers), None).map(|split| split.pixels)
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
        let of =
            |shape: &[usize]| split(array(shape, &values, Numbers::Whole), None).expect("images");
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

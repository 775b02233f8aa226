//! Numbers as the pixels and the labels of images.
//!
//! An array is (images, rows, columns); or (images, rows, columns, channels) or (images, channels, rows, columns) with 1 or
//! 3 channels, the first where both would do. Bytes and other whole numbers are 0 to 255, as are fractions of which one is
//! above 1; other fractions and truth values are 0 to 1. What the numbers of the training images are, those of the test
//! images are, too.

use super::dataset::Split;
use super::npy::{Array, Numbers};
use super::shape::ImageShape;

/// By how much the largest of fractions from 0 to 1 may be above 1.
const ROUNDING: f32 = 1e-3;

/// What a file holds, or why it is none that can be used.
pub type Found<T> = Result<T, String>;

/// What makes bytes of the numbers of images.
pub fn scale(images: &Array) -> f32 {
    let are_shares = || images.values.iter().all(|&value| value <= 1.0 + ROUNDING);
    match images.numbers {
        Numbers::Truth => 255.0,
        Numbers::Fractions if are_shares() => 255.0,
        Numbers::Whole | Numbers::Fractions => 1.0,
    }
}

/// Images and labels; of images without any, 0.
///
/// # Errors
///
/// If the array has no shape that images have, or other numbers than pixels and labels are.
pub fn split(images: Array, labels: Option<Array>, scale: f32) -> Found<Split> {
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
    let labels = match labels {
        Some(labels) => self::labels(&labels.values, count)?,
        None => vec![0; count],
    };
    Ok(Split {
        pixels: pixels.into(),
        labels,
        shape,
    })
}

/// The labels of so many images.
///
/// # Errors
///
/// If there are not as many, or others than whole numbers from 0 to 255.
pub fn labels(values: &[f32], count: usize) -> Found<Vec<u8>> {
    let labels: Vec<u8> = values.iter().map(|&value| value as u8).collect();
    let are_labels = labels
        .iter()
        .zip(values)
        .all(|(&label, &value)| f32::from(label) == value);
    match are_labels && labels.len() == count {
        true => Ok(labels),
        false => Err(format!(
            "there are not {count} labels from 0 to 255 to its images"
        )),
    }
}

/// How many images an array of a shape holds, their shape, and whether a channel of it lies in one piece.
///
/// # Errors
///
/// If it is no shape that images have.
pub fn shape(shape: &[usize]) -> Found<(usize, ImageShape, bool)> {
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

/// The values of images of which a channel lies in one piece, the channels of a pixel beside each other.
pub fn channels_last(bytes: &[u8], shape: ImageShape) -> Vec<u8> {
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

    fn bytes(split: Split) -> Vec<u8> {
        split.into_bytes().expect("pixels in memory")
    }

    fn images(array: Array) -> Found<Split> {
        let scale = scale(&array);
        split(array, None, scale)
    }

    #[test]
    fn numbers_are_what_they_are_likely_to_mean() {
        let pixels =
            |values: &[f32], numbers| images(array(&[1, 1, 2], values, numbers)).map(bytes);
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
            (last.shape.channels, &bytes(last)[..]),
            (3, &[0, 1, 2, 3, 4, 5][..])
        );
        let first = of(&[1, 3, 1, 2]);
        assert_eq!((first.shape.height, first.shape.width), (1, 2));
        assert_eq!(bytes(first), [0, 2, 4, 1, 3, 5]);
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

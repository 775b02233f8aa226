//! Which part of an image is hidden.

use super::photo::read_grey;
use crate::Result;
use crate::data::ImageShape;
use image::imageops::FilterType;
use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

/// Which part of an image is hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mask {
    /// The left half.
    Left,
    /// The right half.
    Right,
    /// The upper half.
    Top,
    /// The lower half.
    Bottom,
    /// The middle: half of the rows and half of the columns.
    Box,
    /// What is light in a picture.
    File(PathBuf),
}

impl FromStr for Mask {
    type Err = Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        Ok(match text {
            "left" => Self::Left,
            "right" => Self::Right,
            "top" => Self::Top,
            "bottom" => Self::Bottom,
            "box" => Self::Box,
            path => Self::File(path.into()),
        })
    }
}

impl Mask {
    /// Whether each value of an image is hidden.
    ///
    /// # Errors
    ///
    /// If its file is no picture.
    pub fn hidden(&self, shape: ImageShape) -> Result<Vec<bool>> {
        let (height, width) = (shape.height, shape.width);
        let picture = match self {
            Self::File(path) => {
                let picture = read_grey(path)?;
                let (width, height) = (width as u32, height as u32);
                Some(image::imageops::resize(
                    &picture,
                    width,
                    height,
                    FilterType::Triangle,
                ))
            }
            _ => None,
        };
        let middle = |place: usize, size: usize| (size / 4..size - size / 4).contains(&place);
        let is_hidden = |row: usize, column: usize| match self {
            Self::Left => column < width / 2,
            Self::Right => column >= width / 2,
            Self::Top => row < height / 2,
            Self::Bottom => row >= height / 2,
            Self::Box => middle(row, height) && middle(column, width),
            Self::File(_) => picture
                .as_ref()
                .is_some_and(|picture| picture.get_pixel(column as u32, row as u32).0[0] >= 128),
        };
        let pixels = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
        let hidden = pixels.map(|(row, column)| is_hidden(row, column));
        Ok(hidden
            .flat_map(|hidden| std::iter::repeat_n(hidden, shape.channels))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_halves_and_the_box_is_in_the_middle() {
        let hidden = |name: &str| {
            let mask: Mask = name.parse().expect("a mask");
            mask.hidden(ImageShape::MNIST).expect("a mask")
        };
        for (name, other) in [("left", "right"), ("top", "bottom")] {
            let pairs = hidden(name).into_iter().zip(hidden(other));
            assert!(pairs.into_iter().all(|(one, other)| one != other), "{name}");
            assert_eq!(hidden(name).iter().filter(|&&hidden| hidden).count(), 392);
        }
        assert!(hidden("left")[0] && hidden("top")[0] && !hidden("box")[0]);
        let middle = hidden("box");
        assert_eq!(middle.iter().filter(|&&hidden| hidden).count(), 14 * 14);
        assert!(middle[7 * 28 + 7] && middle[20 * 28 + 20] && !middle[21 * 28 + 21]);
    }
}

//! The shape of images as it is written in a configuration.

use crate::data::ImageShape;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The shape of images; what is left out the data decide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// Rows and columns, 1 to 1024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Values of a pixel: 1 is grey, 3 is colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
}

/// Rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Size {
    /// As many rows as columns.
    Square(usize),
    /// Rows, and columns.
    Sides([usize; 2]),
}

impl Size {
    /// Rows and columns.
    pub fn sides(self) -> [usize; 2] {
        match self {
            Self::Square(side) => [side, side],
            Self::Sides(sides) => sides,
        }
    }
}

/// As in `64`, or as in `64x48`: rows and columns.
impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let side = |text: &str| text.parse().ok();
        let size = match text.split_once('x') {
            None => side(text).map(Self::Square),
            Some((rows, columns)) => side(rows)
                .zip(side(columns))
                .map(|(rows, columns)| Self::Sides([rows, columns])),
        };
        size.ok_or_else(|| Error::input(text, "is no size: 64, or rows and columns as in 64x48"))
    }
}

impl ImageConfig {
    /// That of a shape.
    pub fn of(shape: ImageShape) -> Self {
        let size = match shape.height == shape.width {
            true => Size::Square(shape.height),
            false => Size::Sides([shape.height, shape.width]),
        };
        Self {
            size: Some(size),
            channels: Some(shape.channels),
        }
    }

    /// The shape; where it is left out, MNIST's.
    pub fn shape(&self) -> ImageShape {
        let ImageShape {
            height,
            width,
            channels,
        } = ImageShape::MNIST;
        let [height, width] = self.size.map_or([height, width], Size::sides);
        ImageShape {
            height,
            width,
            channels: self.channels.unwrap_or(channels),
        }
    }

    /// Whether it leaves everything to the data.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

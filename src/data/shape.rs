//! The shape of images.

use std::fmt;

/// Rows, columns and channels of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values of a pixel: 1 for grey images, 3 for colour.
    pub channels: usize,
}

impl ImageShape {
    /// The shape of MNIST's images.
    pub const MNIST: Self = Self {
        height: 28,
        width: 28,
        channels: 1,
    };

    /// The most rows or columns.
    pub const LARGEST_SIDE: usize = 1024;

    /// Values of an image.
    pub const fn values(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Rows, columns and channels, as grids have them.
    pub const fn grid(self) -> [usize; 3] {
        [self.height, self.width, self.channels]
    }
}

/// As in `28x28`; with channels, if there are several, as in `28x28x3`.
impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)?;
        match self.channels {
            1 => Ok(()),
            channels => write!(f, "x{channels}"),
        }
    }
}

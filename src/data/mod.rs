//! Images to learn from: what a data set is, and where one comes from.

pub mod synthetic;

/// Rows of an image, and columns: MNIST's own.
pub const SIDE: usize = 28;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;

/// Images and what they show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The images one after the other, row by row: 0 is background, 255 is ink.
    pub pixels: Vec<u8>,
    /// One label an image, 0 to 9 for digits.
    pub labels: Vec<u8>,
}

impl Split {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image at all.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of one image, [`PIXELS`] of them.
    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * PIXELS..(index + 1) * PIXELS]
    }
}

/// A data set that knows where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// The images to learn from.
    pub train: Split,
    /// The images to be tested on, never learnt from.
    pub test: Split,
    /// What it is and where it came from, for people: `MNIST, verified`, `synthetic digits`, a folder.
    pub name: String,
}

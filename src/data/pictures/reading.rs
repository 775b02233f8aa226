//! How pictures are read.

use super::fit::Fit;

/// How pictures become data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Rows and columns of an image; without them those that pictures usually have, made smaller.
    pub size: Option<[usize; 2]>,
    /// Values of a pixel, 1 or 3; without it, 3 where there are colours.
    pub channels: Option<usize>,
    /// How a picture of other proportions is fitted.
    pub fit: Fit,
    /// The share of the images that is held out as test images, where the data have none, 0 to 1.
    pub test_share: f64,
    /// Decides which those are.
    pub seed: u64,
    /// Whether rows and columns of IDX files change places.
    pub transpose: bool,
    /// How many files may be none that can be read; without it one in a hundred.
    pub bad_images: Option<usize>,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            size: None,
            channels: None,
            fit: Fit::default(),
            test_share: 0.1,
            seed: 42,
            transpose: false,
            bad_images: None,
        }
    }
}

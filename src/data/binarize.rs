//! Grey pixels made black or white.

use crate::rng::{Purpose, stream};
use rand::RngCore;
use serde::{Deserialize, Serialize};

/// Whether pixels are made black or white before a model sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binarize {
    /// They stay as they are.
    #[default]
    None,
    /// White where they are at least half white.
    Threshold,
    /// White with the probability that is their value, drawn anew each time a training sees them (Salakhutdinov and
    /// Murray, 2008); drawn once for images to be tested on.
    Dynamic,
}

impl Binarize {
    /// Makes the pixels of one image black, 0, or white, 255. What is drawn is a function of the three numbers.
    pub fn image(self, pixels: &mut [u8], seed: u64, purpose: Purpose, number: u64) {
        match self {
            Self::None => {}
            Self::Threshold => {
                for pixel in pixels {
                    *pixel = if *pixel >= 128 { 255 } else { 0 };
                }
            }
            Self::Dynamic => {
                let mut rng = stream(seed, purpose, number);
                for pixel in pixels {
                    // As likely as pixel / 255, to a 2^-32th.
                    let white = u64::from(rng.next_u32()) * 255 < u64::from(*pixel) << 32;
                    *pixel = if white { 255 } else { 0 };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageShape, Split};

    fn split() -> Split {
        let images = 400;
        let pixels =
            (0..images * ImageShape::MNIST.values()).map(|place| (place % 784 % 256) as u8);
        Split {
            pixels: pixels.collect(),
            labels: vec![0; images],
            shape: ImageShape::MNIST,
        }
    }

    #[test]
    fn white_is_as_likely_as_a_pixel_is_bright() {
        let drawn = split().binarized(Binarize::Dynamic, 1);
        let pixels = drawn.clone().into_bytes().expect("pixels");
        for pixel in [0, 64, 128, 255] {
            let at = pixels.iter().skip(pixel).step_by(784);
            let white = at.filter(|&&pixel| pixel == 255).count() as f64 / 400.0;
            let expected = pixel as f64 / 255.0;
            assert!((white - expected).abs() < 0.08, "{pixel}: {white}");
        }
        assert!(pixels.iter().all(|pixel| [0, 255].contains(pixel)));
        assert_eq!(drawn, split().binarized(Binarize::Dynamic, 1));
        assert_ne!(drawn, split().binarized(Binarize::Dynamic, 2));
        assert_ne!(drawn.image(0), drawn.image(1));
    }

    #[test]
    fn a_threshold_is_half_white() {
        let split = split();
        let found = split.clone().binarized(Binarize::Threshold, 1);
        let [found, pixels] =
            [found, split.clone()].map(|split| split.into_bytes().expect("pixels"));
        for (found, pixel) in found.iter().zip(&pixels) {
            assert_eq!(*found, if *pixel >= 128 { 255 } else { 0 });
        }
        assert_eq!(split.clone().binarized(Binarize::None, 1), split);
    }
}

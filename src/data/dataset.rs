//! Images to learn from, and those to be tested on.

use super::binarize::Binarize;
use super::pixels::{Pixels, divided};
use super::shape::ImageShape;
use crate::Result;
use crate::parallel::for_each;
use crate::rng::Purpose;
use std::borrow::Cow;

/// Images and what they show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Where the images are: 0 is dark, background where there is ink, and 255 is light.
    pub pixels: Pixels,
    /// One label an image; all 0 where there are none.
    pub labels: Vec<u8>,
    /// The shape of each image.
    pub shape: ImageShape,
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

    /// Drops all but the first `images`.
    pub fn truncate(&mut self, images: usize) {
        self.labels.truncate(images);
        self.pixels.truncate(images, self.shape.values());
    }

    /// In two: the images whose side is false, which stay in the memory where they are, and those whose side is true.
    pub fn divided(self, sides: &[bool]) -> [Self; 2] {
        let shape = self.shape;
        let [kept, others] = self.pixels.divided(sides, shape.values());
        let [kept_labels, other_labels] = divided(self.labels, sides, 1);
        [(kept, kept_labels), (others, other_labels)].map(|(pixels, labels)| Self {
            pixels,
            labels,
            shape,
        })
    }

    /// As a model is tested on it: each image is made black and white once, by its number.
    pub fn binarized(mut self, binarize: Binarize, seed: u64) -> Self {
        let values = self.shape.values();
        match &mut self.pixels {
            _ if binarize == Binarize::None => {}
            Pixels::Memory(pixels) => {
                let images = pixels.chunks_exact_mut(values).enumerate();
                for_each(images, |(number, pixels)| {
                    binarize.image(pixels, seed, Purpose::BinarizeOnce, number as u64);
                });
            }
            Pixels::File(file) => file.binarize(binarize, seed),
        }
        self
    }

    /// Makes rows of the columns of each image, and columns of its rows.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    pub fn transposed(self) -> Result<Self> {
        let ImageShape {
            height,
            width,
            channels,
        } = self.shape;
        let (labels, values) = (self.labels.clone(), self.shape.values());
        let mut all = self.into_bytes()?;
        for image in all.chunks_exact_mut(values) {
            let pixels = image.to_vec();
            let mut places = image.chunks_exact_mut(channels);
            for column in 0..width {
                for (pixel, place) in (0..height).zip(&mut places) {
                    let begin = (pixel * width + column) * channels;
                    place.copy_from_slice(&pixels[begin..begin + channels]);
                }
            }
        }
        Ok(Self {
            pixels: all.into(),
            labels,
            shape: ImageShape {
                height: width,
                width: height,
                channels,
            },
        })
    }

    /// The values of one image, [`ImageShape::values`] of them.
    ///
    /// # Errors
    ///
    /// If it is in a file that cannot be read any more.
    pub fn image(&self, index: usize) -> Result<Cow<'_, [u8]>> {
        let values = self.shape.values();
        match &self.pixels {
            Pixels::Memory(pixels) => Ok(pixels[index * values..(index + 1) * values].into()),
            Pixels::File(file) => file.read(index, values).map(Cow::Owned),
        }
    }

    /// Hands over all pixels, piece by piece: all that is in memory is one.
    ///
    /// # Errors
    ///
    /// If an image cannot be read any more.
    pub fn each_piece(&self, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        match &self.pixels {
            Pixels::Memory(pixels) => take(pixels),
            Pixels::File(_) => {
                for index in 0..self.len() {
                    take(&self.image(index)?);
                }
            }
        }
        Ok(())
    }

    /// All pixels.
    ///
    /// # Errors
    ///
    /// If an image cannot be read any more.
    pub fn into_bytes(self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Pixels::Memory(pixels) = self.pixels {
            return Ok(pixels);
        }
        self.each_piece(&mut |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
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

impl Dataset {
    /// Whether there are labels that tell images apart.
    pub fn has_labels(&self) -> bool {
        let labels = &self.train.labels;
        labels.iter().any(|label| Some(label) != labels.first())
    }

    /// The shape of each image.
    pub fn shape(&self) -> ImageShape {
        self.train.shape
    }
}

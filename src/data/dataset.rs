//! Images to learn from, and those to be tested on.

use super::shape::ImageShape;

/// Images and what they show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The images one after the other, row by row, the channels of a pixel beside each other: 0 is dark,
    /// background where there is ink, and 255 is light.
    pub pixels: Vec<u8>,
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
        self.pixels.truncate(images * self.shape.values());
    }

    /// In two: the images whose side is false, which stay in the memory where they are, and those whose side is true.
    pub fn divided(mut self, sides: &[bool]) -> [Self; 2] {
        let (values, count) = (
            self.shape.values(),
            sides.iter().filter(|&&side| side).count(),
        );
        let mut others = Self {
            pixels: Vec::with_capacity(count * values),
            labels: Vec::with_capacity(count),
            shape: self.shape,
        };
        let mut kept = 0;
        for (index, &side) in sides.iter().enumerate() {
            if side {
                others.pixels.extend_from_slice(self.image(index));
                others.labels.push(self.labels[index]);
            } else {
                let image = index * values..(index + 1) * values;
                self.pixels.copy_within(image, kept * values);
                self.labels[kept] = self.labels[index];
                kept += 1;
            }
        }
        self.truncate(kept);
        [self, others]
    }

    /// Makes rows of the columns of each image, and columns of its rows.
    pub fn transpose(&mut self) {
        let ImageShape {
            height,
            width,
            channels,
        } = self.shape;
        let turned = ImageShape {
            height: width,
            width: height,
            channels,
        };
        for image in self.pixels.chunks_exact_mut(self.shape.values()) {
            let pixels = image.to_vec();
            let mut places = image.chunks_exact_mut(channels);
            for column in 0..width {
                for (pixel, place) in (0..height).zip(&mut places) {
                    let begin = (pixel * width + column) * channels;
                    place.copy_from_slice(&pixels[begin..begin + channels]);
                }
            }
        }
        self.shape = turned;
    }

    /// The values of one image, [`ImageShape::values`] of them.
    pub fn image(&self, index: usize) -> &[u8] {
        let values = self.shape.values();
        &self.pixels[index * values..(index + 1) * values]
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

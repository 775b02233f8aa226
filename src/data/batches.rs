//! The order in which training sees the images.

use super::augment::Augment;
use super::binarize::Binarize;
use super::dataset::Split;
use super::examples::Examples;
use super::noise::Corruption;
use super::tensor::to_tensor;
use crate::Result;
use crate::rng::{Purpose, stream};
use candle_core::Tensor;
use rand::seq::SliceRandom;

/// Batches of a split, shuffled anew each epoch: each image is seen once before any is seen again.
///
/// A batch is a function of the seed and the step. One that crosses the end of an epoch continues with
/// the first images of the next, and of still more if it is larger than the split.
#[derive(Debug)]
pub struct Batches<'a> {
    split: &'a Split,
    augment: Augment,
    binarize: Binarize,
    batch_size: usize,
    seed: u64,
    /// The epoch that `order` is of.
    epoch: Option<u64>,
    order: Vec<u32>,
    /// The images of a batch that nobody needs any more: see [`Batches::recycle`].
    used: Option<Tensor>,
}

impl<'a> Batches<'a> {
    /// Batches of `batch_size` images out of `split`.
    pub fn new(split: &'a Split, batch_size: usize, seed: u64) -> Self {
        Self {
            split,
            augment: Augment::default(),
            binarize: Binarize::None,
            batch_size,
            seed,
            epoch: None,
            order: Vec::new(),
            used: None,
        }
    }

    /// The same with pixels made black or white.
    pub fn binarized(self, binarize: Binarize) -> Self {
        Self { binarize, ..self }
    }

    /// The same with images changed, anew each time they are seen.
    pub fn augmented(self, augment: Augment) -> Self {
        Self { augment, ..self }
    }

    /// The positions in the split of the images of a step, counted from 1.
    pub fn indices(&mut self, step: u64) -> Vec<usize> {
        let (images, batch) = (self.split.len() as u64, self.batch_size as u64);
        let first = (step - 1) * batch;
        (first..first + batch)
            .map(|i| self.order(i / images)[(i % images) as usize] as usize)
            .collect()
    }

    /// The images of a step, counted from 1, with their labels, and with noise that is drawn anew each time.
    pub fn examples(&mut self, step: u64, corruption: Corruption) -> Result<Examples> {
        let indices = self.indices(step);
        let labels = indices.iter().map(|&index| self.split.labels[index]);
        let first = (step - 1) * self.batch_size as u64;
        let used = self.used.take();
        let examples = Examples::new(self.images(&indices, first, used)?, labels.collect());
        examples.corrupted(corruption, Purpose::Noise, first)
    }

    /// Takes back the images of a batch, of which nobody else may hold a part. Those of one to come are written in their
    /// place: memory that is given back to the system and asked for again costs as much as to fill it.
    pub fn recycle(&mut self, images: Tensor) {
        self.used = Some(images);
    }

    /// Images at these positions, of which `first` were seen before: (images, values of an image), 0 to 1.
    fn images(&self, indices: &[usize], first: u64, used: Option<Tensor>) -> Result<Tensor> {
        let (shape, seed) = (self.split.shape, self.seed);
        to_tensor(indices.len(), shape, used, |place| {
            let image = self.split.image(indices[place])?;
            if self.binarize == Binarize::None && self.augment.is_none() {
                return Ok(image);
            }
            let number = first + place as u64;
            let mut pixels = match self.augment.is_none() {
                true => image.into_owned(),
                false => self.augment.image(&image, shape, seed, number),
            };
            (self.binarize).image(&mut pixels, seed, Purpose::Binarize, number);
            Ok(pixels.into())
        })
    }

    fn order(&mut self, epoch: u64) -> &[u32] {
        if self.epoch != Some(epoch) {
            self.order = (0..self.split.len() as u32).collect();
            let mut rng = stream(self.seed, Purpose::Shuffle, epoch);
            self.order.shuffle(&mut rng);
            self.epoch = Some(epoch);
        }
        &self.order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{CLEAN, ImageShape};

    fn split(images: usize) -> Split {
        Split {
            pixels: vec![0; images * ImageShape::MNIST.values()].into(),
            labels: vec![0; images],
            shape: ImageShape::MNIST,
        }
    }

    #[test]
    fn an_epoch_has_every_image_once() {
        let split = split(10);
        let mut batches = Batches::new(&split, 4, 1);
        let seen: Vec<usize> = (1..=5).flat_map(|step| batches.indices(step)).collect();
        for epoch in seen.chunks(10) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(seen[..10], seen[10..]);
    }

    #[test]
    fn a_batch_depends_on_seed_and_step_alone() {
        let split = split(100);
        let mut forward = Batches::new(&split, 30, 7);
        let early: Vec<_> = (1..=9).map(|step| forward.indices(step)).collect();
        let mut late = Batches::new(&split, 30, 7);
        assert_eq!(late.indices(9), early[8]);
        assert_eq!(late.indices(4), early[3]);
        assert_ne!(Batches::new(&split, 30, 8).indices(1), early[0]);
    }

    #[test]
    fn a_batch_in_the_place_of_another_is_the_same() {
        let split = Split {
            pixels: (0..20 * 784).map(|i| (i * 7 % 256) as u8).collect(),
            ..split(20)
        };
        let examples = |batches: &mut Batches, step| {
            let examples = batches.examples(step, CLEAN);
            examples.expect("examples").images
        };
        let mut again = Batches::new(&split, 6, 7);
        for step in 1..9 {
            let expected = examples(&mut Batches::new(&split, 6, 7), step);
            let found = examples(&mut again, step);
            let values = |images: &Tensor| images.to_vec2::<f32>().expect("values");
            assert_eq!(values(&found), values(&expected));
            // Once one of another size.
            again.recycle(match step {
                4 => found.narrow(0, 0, 3).expect("some images"),
                _ => found,
            });
        }
    }

    #[test]
    fn pixels_are_drawn_anew_each_time_they_are_seen() {
        let split = Split {
            pixels: vec![128; 4 * ImageShape::MNIST.values()].into(),
            ..split(4)
        };
        let drawn = |binarize, step| {
            let mut batches = Batches::new(&split, 4, 7).binarized(binarize);
            let examples = batches.examples(step, CLEAN).expect("examples");
            examples.images.to_vec2::<f32>().expect("values")
        };
        let first = drawn(Binarize::Dynamic, 1);
        assert_ne!(first[0], first[1]);
        assert_ne!(first, drawn(Binarize::Dynamic, 2));
        assert_eq!(first, drawn(Binarize::Dynamic, 1));
        assert!(
            first
                .concat()
                .iter()
                .all(|&value| value == 0.0 || value == 1.0)
        );
        assert!(
            drawn(Binarize::Threshold, 1)
                .concat()
                .iter()
                .all(|&value| value == 1.0)
        );
    }
}

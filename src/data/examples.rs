//! What a model is given to learn from, or to be tested on.

use super::dataset::Split;
use super::noise::{Corruption, Noise};
use super::tensor::slice_to_tensor;
use crate::Result;
use crate::rng::Purpose;
use candle_core::{Device, Tensor};

/// Images with what a model is told of them.
#[derive(Debug, Clone)]
pub struct Examples {
    /// What is to be drawn: (images, values of an image), 0 to 1.
    pub images: Tensor,
    /// What the encoder sees: the same, or with noise.
    pub seen: Tensor,
    /// What each shows. Only a conditional model looks at it.
    pub labels: Vec<u8>,
}

impl Examples {
    /// Images that the encoder sees as they are.
    pub fn new(images: Tensor, labels: Vec<u8>) -> Self {
        Self {
            seen: images.clone(),
            images,
            labels,
        }
    }

    /// Some images of a split, from `first` to before `last`, with noise that is always the same.
    pub fn of(split: &Split, first: usize, last: usize, corruption: Corruption) -> Result<Self> {
        let images = slice_to_tensor(split, first, last)?;
        let examples = Self::new(images, split.labels[first..last].to_vec());
        examples.corrupted(corruption, Purpose::NoiseOnce, first as u64)
    }

    /// The same with noise, where there is any to be. The images are numbered from `first` on.
    pub fn corrupted(self, corruption: Corruption, purpose: Purpose, first: u64) -> Result<Self> {
        if corruption.noise == Noise::None {
            return Ok(self);
        }
        let shape = self.images.dims2()?;
        let mut values = self.images.flatten_all()?.to_vec1::<f32>()?;
        corruption.apply(&mut values, shape.1, purpose, first);
        Ok(Self {
            seen: Tensor::from_vec(values, shape, &Device::Cpu)?,
            ..self
        })
    }

    /// Some of them, from `first` on.
    pub fn narrow(&self, first: usize, images: usize) -> Result<Self> {
        Ok(Self {
            images: self.images.narrow(0, first, images)?,
            seen: self.seen.narrow(0, first, images)?,
            labels: self.labels[first..first + images].to_vec(),
        })
    }
}

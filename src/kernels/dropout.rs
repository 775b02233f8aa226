//! Dropout: values switched off at random while training.

use super::buffers::{Buffer, Buffers};
use super::elementwise::BLOCK;
use super::vectorized::vectorized;
use crate::parallel::for_each;
use crate::rng::{Purpose, bernoulli};

/// Which values one use of dropout keeps (Srivastava et al., 2014).
#[derive(Debug)]
pub struct Mask {
    /// A byte a value: 1 if it is kept, else 0.
    kept: Buffer,
    len: usize,
    /// What the kept values are multiplied by, so that the expected value stays.
    pub scale: f32,
}

impl Mask {
    /// A mask that drops each of `len` values with a probability of `probability`; which ones is a
    /// function of `seed` and `draw` alone.
    pub fn new(probability: f32, seed: u64, draw: u64, len: usize, buffers: &Buffers) -> Self {
        let mut kept = buffers.take(len.div_ceil(size_of::<f32>()));
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut kept);
        let keep = 1.0 - probability;
        bernoulli(seed, Purpose::Dropout, draw, keep, &mut bytes[..len]);
        Self {
            kept,
            len,
            scale: 1.0 / (1.0 - probability),
        }
    }

    /// Sets the dropped values to 0, and scales the others. `values` are those from `first` on.
    pub fn apply(&self, first: usize, values: &mut [f32]) {
        let kept = &self.kept()[first..first + values.len()];
        drop_values(values, kept, self.scale);
    }

    /// The same for all values, on all threads.
    pub fn apply_on_all_threads(&self, values: &mut [f32]) {
        for_each(values.chunks_mut(BLOCK).enumerate(), |(number, values)| {
            self.apply(number * BLOCK, values);
        });
    }

    /// Which values are kept, as 1 and 0.
    pub fn kept(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.kept)[..self.len]
    }
}

vectorized! {
    fn drop_values(values: &mut [f32], kept: &[u8], scale: f32) {
        for (value, &kept) in values.iter_mut().zip(kept) {
            *value = if kept == 1 { *value * scale } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_keeps_its_share_and_the_expected_value() {
        let buffers = Buffers::default();
        let mut values = vec![1.0f32; 100_000];
        Mask::new(0.2, 1, 2, values.len(), &buffers).apply_on_all_threads(&mut values);
        let kept = values.iter().filter(|&&v| v > 0.0).count() as f64 / 1e5;
        assert!((kept - 0.8).abs() < 0.01, "{kept}");
        assert!(values.iter().all(|&v| v == 0.0 || (v - 1.25).abs() < 1e-6));
        let mut others = vec![1.0f32; values.len()];
        Mask::new(0.2, 1, 3, others.len(), &buffers).apply_on_all_threads(&mut others);
        assert_ne!(values, others);
    }
}

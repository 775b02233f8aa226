//! A step of Adam (Kingma and Ba, 2015) on slices.

use super::elementwise::BLOCK;
use super::vectorized::vectorized;
use crate::parallel::for_each;

/// Adam's rates at some step, corrected for the moments' start at zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CorrectedRates {
    /// How much of the first moment is kept.
    pub beta1: f64,
    /// How much of the second moment is kept.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// The learning rate over the first moment's correction.
    pub step_size: f64,
    /// What the second moment is divided by.
    pub second_correction: f64,
    /// What is left of the weights where they decay.
    pub keep: f64,
    /// What gradients are multiplied by.
    pub gradient_scale: f64,
}

impl CorrectedRates {
    /// One pass over `weights`, their moments `m` and `v` and their `gradient`, on all threads.
    pub fn update(&self, weights: &mut [f32], m: &mut [f32], v: &mut [f32], gradient: &[f32]) {
        let moments = m.chunks_mut(BLOCK).zip(v.chunks_mut(BLOCK));
        let blocks = weights.chunks_mut(BLOCK).zip(moments);
        for_each(
            blocks.zip(gradient.chunks(BLOCK)),
            |((weights, (m, v)), gradient)| update_block(self, weights, m, v, gradient),
        );
    }
}

vectorized! {
    /// [`CorrectedRates::update`], on the calling thread.
    pub fn update_block(
        rates: &CorrectedRates,
        weights: &mut [f32],
        m: &mut [f32],
        v: &mut [f32],
        gradient: &[f32],
    ) {
        let (beta1, beta2) = (rates.beta1 as f32, rates.beta2 as f32);
        let (keep1, keep2) = ((1.0 - rates.beta1) as f32, (1.0 - rates.beta2) as f32);
        let (step_size, epsilon) = (rates.step_size as f32, rates.epsilon as f32);
        let scale = (1.0 / rates.second_correction.sqrt()) as f32;
        let (keep, gradient_scale) = (rates.keep as f32, rates.gradient_scale as f32);
        for (((w, m), v), &g) in weights.iter_mut().zip(m).zip(v).zip(gradient) {
            let g = gradient_scale * g;
            *m = beta1 * *m + keep1 * g;
            *v = beta2 * *v + keep2 * g * g;
            *w = keep * *w - step_size * *m / (v.sqrt() * scale + epsilon);
        }
    }
}

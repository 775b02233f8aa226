//! Dropout: values switched off at random while training.

use super::{values, with_values};
use crate::rng::{Purpose, chances};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Values handled at a time by a thread.
const BLOCK: usize = 16 * 1024;

/// Sets each value to 0 with a probability of `probability`, and scales the others by
/// 1 / (1 - probability) so that the expected value stays (Srivastava et al., 2014). The shape stays.
///
/// Which values are dropped is a function of `seed` and `draw` alone.
pub fn dropout(input: &Tensor, probability: f32, seed: u64, draw: u64) -> Result<Tensor> {
    let kept = chances(
        seed,
        Purpose::Dropout,
        draw,
        1.0 - probability,
        input.elem_count(),
    );
    let op = Dropout {
        kept,
        scale: 1.0 / (1.0 - probability),
    };
    if input.device().is_cpu() {
        input.contiguous()?.apply_op1(op)
    } else {
        let mask: Vec<f32> = op
            .kept
            .iter()
            .map(|&k| if k { op.scale } else { 0.0 })
            .collect();
        input * Tensor::from_vec(mask, input.shape(), input.device())?
    }
}

struct Dropout {
    kept: Vec<bool>,
    scale: f32,
}

impl Dropout {
    fn apply(&self, from: &[f32]) -> Vec<f32> {
        let mut to = vec![0.0; from.len()];
        to.par_chunks_mut(BLOCK)
            .zip(from.par_chunks(BLOCK))
            .zip(self.kept.par_chunks(BLOCK))
            .for_each(|((to, from), kept)| {
                for ((to, from), &kept) in to.iter_mut().zip(from).zip(kept) {
                    *to = if kept { from * self.scale } else { 0.0 };
                }
            });
        to
    }
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let output = self.apply(values(input, layout)?);
        Ok((CpuStorage::F32(output), layout.shape().clone()))
    }

    fn bwd(&self, input: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let values = with_values(&gradient.contiguous()?, |g| Ok(self.apply(g)))?;
        Tensor::from_vec(values, input.shape(), input.device()).map(Some)
    }
}

//! A moving average of weights.

use super::backend::Backend;
use super::tensor::{with_values, with_values_mut};
use crate::kernels::average::move_average;
use candle_core::{Result, Var};

/// Averages of parameters, and the parameters.
pub type Averages = Vec<(Var, Var)>;

/// How much of the average stays at a step, counted from 1: `decay`, but less at first, so that it soon forgets where
/// the weights started (as TensorFlow's `ExponentialMovingAverage` has it, with `num_updates`).
pub fn decay_at(decay: f64, step: u64) -> f64 {
    decay.min((1.0 + step as f64) / (10.0 + step as f64))
}

/// Moves each average towards its parameter, by the part `1 - decay` of its distance.
pub fn move_averages(averages: &Averages, decay: f64, backend: Backend) -> Result<()> {
    for (average, parameter) in averages {
        match backend {
            Backend::Fused => with_values_mut(average, |average| {
                with_values(parameter, |parameter| {
                    move_average(average, parameter, decay as f32);
                    Ok(())
                })
            })?,
            Backend::Candle => {
                let distance = (parameter.as_tensor() - average.as_tensor())?;
                average.set(&(average.as_tensor() + (distance * (1.0 - decay))?)?)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_soon_forgets_its_start_and_then_remembers() {
        assert!(decay_at(0.999, 1) < 0.2);
        assert!((decay_at(0.999, 100) - 101.0 / 110.0).abs() < 1e-12);
        assert_eq!(decay_at(0.999, 100_000), 0.999);
    }
}

//! Adam, with moments that have names and can be saved.

use super::gradient::{Gradient, Gradients, Product};
use super::matmul::MatrixMut;
use super::{BLOCK, Kernels, with_values, with_values_mut};
use candle_core::{Result, Tensor, Var};
use rayon::prelude::*;

/// Adam's constants (Kingma and Ba, 2015), but for the learning rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constants {
    /// How much of the first moment is kept each step, 0 to 1.
    pub beta1: f64,
    /// How much of the second moment is kept each step, 0 to 1.
    pub beta2: f64,
    /// Added to the root of the second moment, above 0.
    pub epsilon: f64,
}

/// A parameter and the two moments of its gradients.
#[derive(Debug, Clone)]
pub struct Slot {
    /// What is learnt.
    pub parameter: Var,
    /// The moving average of the gradient.
    pub first_moment: Tensor,
    /// The moving average of the gradient's square.
    pub second_moment: Tensor,
}

/// The optimiser: a slot for each parameter.
#[derive(Debug)]
pub struct Adam {
    /// What it does not learn.
    pub constants: Constants,
    /// The parameters in the order they were given.
    pub slots: Vec<Slot>,
    kernels: Kernels,
}

impl Adam {
    /// An optimiser of `parameters` that has seen no gradient yet.
    pub fn new(constants: Constants, parameters: Vec<Var>, kernels: Kernels) -> Result<Self> {
        let slots = parameters.into_iter().map(|parameter| {
            // Not zeros_like twice of one tensor: the moments must not share their storage.
            let first_moment = parameter.zeros_like()?;
            let second_moment = parameter.zeros_like()?;
            Ok(Slot {
                parameter,
                first_moment,
                second_moment,
            })
        });
        Ok(Self {
            constants,
            slots: slots.collect::<Result<_>>()?,
            kernels,
        })
    }

    /// Moves the parameters against their gradients. `step` counts from 1: it corrects the moments'
    /// start at zero. A parameter without a gradient stays as it is.
    pub fn step(&self, gradients: &Gradients, learning_rate: f64, step: u64) -> Result<()> {
        let Constants {
            beta1,
            beta2,
            epsilon,
        } = self.constants;
        let rates = Rates {
            beta1,
            beta2,
            epsilon,
            step_size: learning_rate / (1.0 - beta1.powf(step as f64)),
            second_correction: 1.0 - beta2.powf(step as f64),
        };
        let move_one = |slot: &Slot| match (self.kernels, gradients.of(&slot.parameter)) {
            (_, None) => Ok(()),
            (Kernels::Fused, Some(gradient)) => rates.fused(slot, &gradient),
            (Kernels::Candle, Some(_)) => match gradients.get(&slot.parameter)? {
                Some(values) => rates.with_candle(slot, &values),
                None => Ok(()),
            },
        };
        self.slots.par_iter().with_max_len(1).try_for_each(move_one)
    }
}

struct Rates {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    step_size: f64,
    second_correction: f64,
}

impl Rates {
    /// One pass over parameter, moments and gradient.
    fn fused(&self, slot: &Slot, gradient: &Gradient) -> Result<()> {
        with_values_mut(&slot.first_moment, |first| {
            with_values_mut(&slot.second_moment, |second| {
                with_values_mut(&slot.parameter, |weights| match gradient {
                    Gradient::Values(gradient) => {
                        with_values(&gradient.contiguous()?, |gradient| {
                            self.fused_slices(weights, first, second, gradient);
                            Ok(())
                        })
                    }
                    Gradient::Product(product) => {
                        let columns = slot.parameter.dim(1)?;
                        let matrices = [weights, first, second];
                        self.fused_product(matrices.map(|m| MatrixMut::new(m, columns)), product)
                    }
                })
            })
        })
    }

    /// Each block of the gradient is used while it is in cache.
    fn fused_product(&self, matrices: [MatrixMut; 3], product: &Product) -> Result<()> {
        let [weights, first, second] = matrices.map(|matrix| matrix.by_blocks(Product::BLOCK));
        let blocks = weights
            .into_par_iter()
            .zip(first)
            .zip(second)
            .with_max_len(1);
        blocks.try_for_each(
            |(((place, mut weights), (_, mut first)), (_, mut second))| {
                product.with_block(place, |mut gradient| {
                    for row in 0..gradient.rows() {
                        let (m, v) = (first.row(row), second.row(row));
                        fused_block(self, weights.row(row), m, v, gradient.row(row));
                    }
                })
            },
        )
    }

    fn fused_slices(&self, weights: &mut [f32], m: &mut [f32], v: &mut [f32], gradient: &[f32]) {
        weights
            .par_chunks_mut(BLOCK)
            .zip(m.par_chunks_mut(BLOCK))
            .zip(v.par_chunks_mut(BLOCK))
            .zip(gradient.par_chunks(BLOCK))
            .for_each(|(((weights, m), v), gradient)| {
                fused_block(self, weights, m, v, gradient);
            });
    }

    /// The same from candle's own operations, for devices other than the CPU.
    fn with_candle(&self, slot: &Slot, gradient: &Tensor) -> Result<()> {
        let first = ((&slot.first_moment * self.beta1)? + gradient * (1.0 - self.beta1))?;
        let second = ((&slot.second_moment * self.beta2)? + gradient.sqr()? * (1.0 - self.beta2))?;
        let root = ((&second / self.second_correction)?.sqrt()? + self.epsilon)?;
        slot.parameter
            .set(&(&*slot.parameter - (&first * self.step_size)?.div(&root)?)?)?;
        slot.first_moment.slice_set(&first, 0, 0)?;
        slot.second_moment.slice_set(&second, 0, 0)
    }
}

vectorized! {
    fn fused_block(rates: &Rates, weights: &mut [f32], m: &mut [f32], v: &mut [f32], gradient: &[f32]) {
        let (beta1, beta2) = (rates.beta1 as f32, rates.beta2 as f32);
        let (keep1, keep2) = ((1.0 - rates.beta1) as f32, (1.0 - rates.beta2) as f32);
        let (step_size, epsilon) = (rates.step_size as f32, rates.epsilon as f32);
        let scale = (1.0 / rates.second_correction.sqrt()) as f32;
        for (((w, m), v), &g) in weights.iter_mut().zip(m).zip(v).zip(gradient) {
            *m = beta1 * *m + keep1 * g;
            *v = beta2 * *v + keep2 * g * g;
            *w -= step_size * *m / (v.sqrt() * scale + epsilon);
        }
    }
}

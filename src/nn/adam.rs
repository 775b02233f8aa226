//! Adam, with moments that have names and can be saved.

use super::gradient::{Gradient, Gradients, Product};
use super::matmul::MatrixMut;
use super::{BLOCK, Kernels, with_values, with_values_mut};
use crate::parallel::{for_each, map};
use candle_core::{Result, Tensor, Var};

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
        match self.kernels {
            Kernels::Fused => {
                let moved = map(&self.slots, |slot| match gradients.of(&slot.parameter) {
                    Some(gradient) => rates.fused(slot, &gradient),
                    None => Ok(()),
                });
                moved.into_iter().collect()
            }
            Kernels::Candle => {
                let mut moved = Vec::new();
                for slot in &self.slots {
                    if let Some(gradient) = gradients.get(&slot.parameter)? {
                        moved.push((slot, gradient));
                    }
                }
                rates.with_candle(&moved)
            }
        }
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
        let blocks = weights.into_iter().zip(first).zip(second);
        let moved = map(
            blocks,
            |(((place, mut weights), (_, mut first)), (_, mut second))| {
                product.with_block(place, |mut gradient| {
                    for row in 0..gradient.rows() {
                        let (m, v) = (first.row(row), second.row(row));
                        fused_block(self, weights.row(row), m, v, gradient.row(row));
                    }
                })
            },
        );
        moved.into_iter().collect()
    }

    fn fused_slices(&self, weights: &mut [f32], m: &mut [f32], v: &mut [f32], gradient: &[f32]) {
        let moments = m.chunks_mut(BLOCK).zip(v.chunks_mut(BLOCK));
        let blocks = weights.chunks_mut(BLOCK).zip(moments);
        for_each(
            blocks.zip(gradient.chunks(BLOCK)),
            |((weights, (m, v)), gradient)| fused_block(self, weights, m, v, gradient),
        );
    }

    /// The same from candle's own operations, for devices other than the CPU. All parameters as one vector:
    /// on a GPU an operation on few values takes as long as one on many.
    fn with_candle(&self, moved: &[(&Slot, Tensor)]) -> Result<()> {
        if moved.is_empty() {
            return Ok(());
        }
        let joined = |part: fn(&(&Slot, Tensor)) -> Result<Tensor>| {
            Tensor::cat(&moved.iter().map(part).collect::<Result<Vec<_>>>()?, 0)
        };
        let gradient = joined(|(_, gradient)| gradient.flatten_all())?;
        let first = joined(|(slot, _)| slot.first_moment.flatten_all())?;
        let first = ((first * self.beta1)? + (&gradient * (1.0 - self.beta1))?)?;
        let second = joined(|(slot, _)| slot.second_moment.flatten_all())?;
        let second = ((second * self.beta2)? + gradient.sqr()? * (1.0 - self.beta2))?;
        let root = ((&second / self.second_correction)?.sqrt()? + self.epsilon)?;
        let weights = joined(|(slot, _)| slot.parameter.flatten_all())?;
        let weights = (weights - (&first * self.step_size)?.div(&root)?)?;
        let mut at = 0;
        for (slot, _) in moved {
            let len = slot.parameter.elem_count();
            let parts = [
                (slot.parameter.as_tensor(), &weights),
                (&slot.first_moment, &first),
                (&slot.second_moment, &second),
            ];
            for (to, from) in parts {
                let from = from.narrow(0, at, len)?.reshape(to.shape())?;
                to.slice_set(&from, 0, 0)?;
            }
            at += len;
        }
        Ok(())
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

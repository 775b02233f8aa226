//! Adam, with moments that have names and can be saved.

use super::backend::Backend;
use super::gradient::{DeferredMatmul, Gradient, Gradients};
use super::tensor::with_values_mut;
use crate::kernels::adam::{CorrectedRates, update_block};
use crate::kernels::matmul::MatrixMut;
use crate::parallel::{map, map_apart};
use candle_core::{Result, Tensor, Var};

/// Adam's constants (Kingma and Ba, 2015), but for the learning rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamConfig {
    /// How much of the first moment is kept each step, 0 to 1.
    pub beta1: f64,
    /// How much of the second moment is kept each step, 0 to 1.
    pub beta2: f64,
    /// Added to the root of the second moment, above 0.
    pub epsilon: f64,
    /// How much of each parameter a step takes away besides, times the learning rate (AdamW; Loshchilov and Hutter,
    /// 2019).
    pub weight_decay: f64,
    /// What the length of all gradients together is cut to (Pascanu et al., 2013), if it is.
    pub max_gradient_norm: Option<f64>,
}

/// A parameter and the two moments of its gradients.
#[derive(Debug, Clone)]
pub struct ParamState {
    /// What is learnt.
    pub parameter: Var,
    /// The moving average of the gradient.
    pub first_moment: Tensor,
    /// The moving average of the gradient's square.
    pub second_moment: Tensor,
}

/// The optimiser: a state for each parameter.
#[derive(Debug)]
pub struct Adam {
    /// What it does not learn.
    pub config: AdamConfig,
    /// The parameters in the order they were given.
    pub states: Vec<ParamState>,
    backend: Backend,
}

impl Adam {
    /// An optimiser of `parameters` that has seen no gradient yet.
    pub fn new(config: AdamConfig, parameters: Vec<Var>, backend: Backend) -> Result<Self> {
        let states = parameters.into_iter().map(|parameter| {
            // Not zeros_like twice of one tensor: the moments must not share their storage.
            let first_moment = parameter.zeros_like()?;
            let second_moment = parameter.zeros_like()?;
            Ok(ParamState {
                parameter,
                first_moment,
                second_moment,
            })
        });
        Ok(Self {
            config,
            states: states.collect::<Result<_>>()?,
            backend,
        })
    }

    /// Moves the parameters against their gradients. `step` counts from 1: it corrects the moments'
    /// start at zero. A parameter without a gradient stays as it is.
    pub fn step(&self, gradients: &Gradients, learning_rate: f64, step: u64) -> Result<()> {
        let AdamConfig {
            beta1,
            beta2,
            epsilon,
            weight_decay,
            max_gradient_norm,
        } = self.config;
        let gradient_scale = match max_gradient_norm {
            Some(most) => self.scale_to(most, gradients)?,
            None => 1.0,
        };
        let rates = CorrectedRates {
            beta1,
            beta2,
            epsilon,
            step_size: learning_rate / (1.0 - beta1.powf(step as f64)),
            second_correction: 1.0 - beta2.powf(step as f64),
            keep: 1.0 - learning_rate * weight_decay,
            gradient_scale,
        };
        match self.backend {
            Backend::Fused => {
                let states = self.states.iter();
                let states = states.filter_map(|s| Some((s, gradients.of(&s.parameter)?)));
                let (shared, apart): (Vec<_>, Vec<_>) = states.partition(is_shared);
                let update = |(state, gradient)| update(&rates, state, &gradient);
                let moved = map_apart(apart, update);
                moved.into_iter().collect::<Result<()>>()?;
                // One after the other, each on all threads: a thread finds in its cache what it read of it on the way.
                shared.into_iter().try_for_each(update)
            }
            Backend::Candle => {
                let mut moved = Vec::new();
                for state in &self.states {
                    if let Some(gradient) = gradients.get(&state.parameter)? {
                        moved.push((state, gradient));
                    }
                }
                update_candle(&rates, &moved)
            }
        }
    }

    /// What gradients are to be multiplied by for the length of all together to be at most `most`, as PyTorch's
    /// `clip_grad_norm_` has it.
    fn scale_to(&self, most: f64, gradients: &Gradients) -> Result<f64> {
        let squares = self
            .states
            .iter()
            .map(|state| gradients.square_norm(&state.parameter));
        let squares = squares.collect::<Result<Vec<_>>>()?;
        let norm = squares.iter().sum::<f64>().sqrt();
        Ok((most / (norm + 1e-6)).min(1.0))
    }
}

/// Whether all threads share the update of a parameter. That of few values takes one of them less time than to meet.
fn is_shared((state, gradient): &(&ParamState, Gradient)) -> bool {
    matches!(gradient, Gradient::Matmul(_)) || state.parameter.elem_count() >= 1 << 16
}

/// One pass over parameter, moments and gradient.
fn update(rates: &CorrectedRates, state: &ParamState, gradient: &Gradient) -> Result<()> {
    with_values_mut(&state.first_moment, |first| {
        with_values_mut(&state.second_moment, |second| {
            with_values_mut(&state.parameter, |weights| match gradient {
                Gradient::Values(gradient) => gradient.with(|gradient| {
                    rates.update(weights, first, second, gradient);
                    Ok(())
                }),
                Gradient::Matmul(product) => {
                    let columns = state.parameter.dim(1)?;
                    let matrices = [weights, first, second];
                    update_by_blocks(rates, matrices.map(|m| MatrixMut::new(m, columns)), product)
                }
            })
        })
    })
}

/// Each block of the gradient is used while it is in cache.
fn update_by_blocks(
    rates: &CorrectedRates,
    matrices: [MatrixMut; 3],
    product: &DeferredMatmul,
) -> Result<()> {
    let [weights, first, second] = matrices.map(|matrix| matrix.by_blocks(DeferredMatmul::BLOCK));
    let blocks = weights.zip(first).zip(second);
    let moved = map(
        blocks,
        |(((place, mut weights), (_, mut first)), (_, mut second))| {
            product.with_block(place, |mut gradient| {
                for row in 0..gradient.rows() {
                    let (m, v) = (first.row(row), second.row(row));
                    update_block(rates, weights.row(row), m, v, gradient.row(row));
                }
            })
        },
    );
    moved.into_iter().collect()
}

/// The same from candle's own operations, for devices other than the CPU. All parameters as one vector:
/// on a GPU an operation on few values takes as long as one on many.
fn update_candle(rates: &CorrectedRates, moved: &[(&ParamState, Tensor)]) -> Result<()> {
    if moved.is_empty() {
        return Ok(());
    }
    let joined = |part: fn(&(&ParamState, Tensor)) -> Result<Tensor>| {
        Tensor::cat(&moved.iter().map(part).collect::<Result<Vec<_>>>()?, 0)
    };
    let gradient = (joined(|(_, gradient)| gradient.flatten_all())? * rates.gradient_scale)?;
    let first = joined(|(state, _)| state.first_moment.flatten_all())?;
    let first = ((first * rates.beta1)? + (&gradient * (1.0 - rates.beta1))?)?;
    let second = joined(|(state, _)| state.second_moment.flatten_all())?;
    let second = ((second * rates.beta2)? + gradient.sqr()? * (1.0 - rates.beta2))?;
    let root = ((&second / rates.second_correction)?.sqrt()? + rates.epsilon)?;
    let weights = joined(|(state, _)| state.parameter.flatten_all())?;
    let weights = ((weights * rates.keep)? - (&first * rates.step_size)?.div(&root)?)?;
    let mut at = 0;
    for (state, _) in moved {
        let len = state.parameter.elem_count();
        let parts = [
            (state.parameter.as_tensor(), &weights),
            (&state.first_moment, &first),
            (&state.second_moment, &second),
        ];
        for (to, from) in parts {
            let from = from.narrow(0, at, len)?.reshape(to.shape())?;
            to.slice_set(&from, 0, 0)?;
        }
        at += len;
    }
    Ok(())
}

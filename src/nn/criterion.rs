//! What outputs are compared with their targets by.

use super::backend::Backend;
use crate::kernels::activation::Activation;
use crate::kernels::cross_entropy::{cross_entropy, cross_entropy_gradient};
use crate::kernels::elementwise::BLOCK;
use crate::kernels::squared_error::{squared_error, squared_error_gradient};
use crate::parallel::for_each;
use candle_core::{D, Result, Tensor};

/// What a sequence's outputs are compared with their targets by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// The sum of (output - target)²: (images).
    SquaredError,
    /// Outputs are logits of probabilities. The cross entropy, which is -log p(target) of a Bernoulli distribution for
    /// each value, summed, in nats; beside it the sum of (probability - target)²: (images, 2).
    CrossEntropy,
}

/// The probabilities that logits stand for: 1 / (1 + exp(-logit)).
pub fn probabilities(logits: &Tensor, backend: Backend) -> Result<Tensor> {
    match backend {
        Backend::Fused => {
            let mut values = logits.flatten_all()?.to_vec1()?;
            for_each(values.chunks_mut(BLOCK), |values| {
                Activation::Sigmoid.apply(values, &[0.0], None);
            });
            Tensor::from_vec(values, logits.shape(), logits.device())
        }
        Backend::Candle => candle_nn::ops::sigmoid(logits),
    }
}

impl Criterion {
    /// The errors of images of `values` values each.
    pub(super) fn errors(self, outputs: &[f32], targets: &[f32], values: usize) -> Vec<f32> {
        match self {
            Self::SquaredError => squared_error(outputs, targets, values),
            Self::CrossEntropy => cross_entropy(outputs, targets, values),
        }
    }

    /// The shape of the errors of so many images.
    pub(super) fn shape(self, images: usize) -> Vec<usize> {
        match self {
            Self::SquaredError => vec![images],
            Self::CrossEntropy => vec![images, 2],
        }
    }

    /// The gradient of the outputs, from `gradient`, that of the errors.
    pub(super) fn gradient(
        self,
        outputs: &[f32],
        targets: &[f32],
        gradient: &[f32],
        to: &mut [f32],
    ) {
        match self {
            Self::SquaredError => squared_error_gradient(outputs, targets, gradient, to),
            Self::CrossEntropy => cross_entropy_gradient(outputs, targets, gradient, to),
        }
    }

    /// The errors from candle's own operations; outputs and targets: (images, values of an output).
    pub(super) fn errors_candle(self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        match self {
            Self::SquaredError => (outputs - targets)?.sqr()?.sum(D::Minus1),
            Self::CrossEntropy => {
                let linear = (outputs.relu()? - (outputs * targets)?)?;
                let entropies = (linear + (outputs.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
                let probabilities = candle_nn::ops::sigmoid(outputs)?;
                let squares = (probabilities - targets)?.sqr()?;
                Tensor::stack(&[entropies.sum(D::Minus1)?, squares.sum(D::Minus1)?], 1)
            }
        }
    }
}

//! The functions between the layers.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// A function applied to each value that a layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// The value itself.
    #[default]
    None,
    /// The value where it is positive, else 0.
    Relu,
    /// The value where it is positive, else a fraction of it: the slope, between 0 and 1.
    LeakyRelu(f32),
    /// 1 / (1 + exp(-value)): between 0 and 1.
    Sigmoid,
}

impl Activation {
    /// Adds `bias` to each row of `values`, and replaces each value by the function of it.
    pub(super) fn apply(self, values: &mut [f32], bias: &[f32]) {
        apply(self, values, bias);
    }

    /// Turns gradients of the function's outputs into gradients of its inputs. Each of the functions
    /// can tell its slope from its output alone, so the inputs need not be kept.
    ///
    /// `outputs` are the function's outputs times `scale`.
    pub(super) fn backward(self, outputs: &[f32], scale: f32, gradients: &mut [f32]) {
        backward(self, outputs, scale, gradients);
    }

    /// The same function from candle's own operations.
    pub(super) fn with_candle(self, values: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::None => Ok(values.clone()),
            Self::Relu => values.relu(),
            Self::LeakyRelu(slope) => candle_nn::ops::leaky_relu(values, f64::from(slope)),
            Self::Sigmoid => candle_nn::ops::sigmoid(values),
        }
    }
}

vectorized! {
    fn apply(activation: Activation, values: &mut [f32], bias: &[f32]) {
        match activation {
            Activation::None => with_bias(values, bias, |v| v),
            Activation::Relu => with_bias(values, bias, |v| v.max(0.0)),
            Activation::LeakyRelu(slope) => {
                with_bias(values, bias, |v| if v > 0.0 { v } else { slope * v });
            }
            Activation::Sigmoid => with_bias(values, bias, |v| 1.0 / (1.0 + (-v).exp())),
        }
    }
}

vectorized! {
    fn backward(activation: Activation, outputs: &[f32], scale: f32, gradients: &mut [f32]) {
        let pairs = gradients.iter_mut().zip(outputs);
        match activation {
            Activation::None => {}
            Activation::Relu => pairs.for_each(|(g, y)| *g = if *y > 0.0 { *g } else { 0.0 }),
            Activation::LeakyRelu(slope) => {
                pairs.for_each(|(g, y)| *g = if *y > 0.0 { *g } else { slope * *g });
            }
            Activation::Sigmoid => pairs.for_each(|(g, y)| {
                let y = y / scale;
                *g *= y * (1.0 - y);
            }),
        }
    }
}

#[inline(always)]
fn with_bias(values: &mut [f32], bias: &[f32], function: impl Fn(f32) -> f32) {
    // One channel is a special case only in speed: its bias is the same everywhere.
    if let [bias] = bias {
        for value in values {
            *value = function(*value + bias);
        }
    } else {
        for row in values.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value = function(*value + bias);
            }
        }
    }
}

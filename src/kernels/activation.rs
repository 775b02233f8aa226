//! The functions between the layers.

use super::exponential::exp;
use super::vectorized::vectorized;
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
    /// The hyperbolic tangent: between -1 and 1.
    Tanh,
    /// The value where it is positive, else exp(value) - 1: above -1 (Clevert et al., 2016, with an alpha of 1).
    Elu,
}

impl Activation {
    /// Adds `bias` to each row of `values`, and replaces each value by the function of it.
    pub fn apply(self, values: &mut [f32], bias: &[f32]) {
        apply(self, values, bias);
    }

    /// Turns gradients of the function's outputs into gradients of its inputs, and adds each column of those,
    /// of which there are as many as `sums`, to its sum: the gradient of the biases. Each of the functions can
    /// tell its slope from its output alone, so the inputs need not be kept.
    ///
    /// `outputs` are the function's outputs times `scale`.
    pub fn backward(self, outputs: &[f32], scale: f32, gradients: &mut [f32], sums: &mut [f32]) {
        backward(self, outputs, scale, gradients, sums);
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
            Activation::Sigmoid => with_bias(values, bias, |v| 1.0 / (1.0 + exp(-v))),
            Activation::Tanh => with_bias(values, bias, |v| 1.0 - 2.0 / (exp(2.0 * v) + 1.0)),
            Activation::Elu => {
                with_bias(values, bias, |v| if v > 0.0 { v } else { exp(v) - 1.0 });
            }
        }
    }
}

vectorized! {
    fn backward(
        activation: Activation,
        outputs: &[f32],
        scale: f32,
        gradients: &mut [f32],
        sums: &mut [f32],
    ) {
        match activation {
            Activation::None => with_sums(gradients, outputs, sums, |g, _| g),
            Activation::Relu => {
                with_sums(gradients, outputs, sums, |g, y| if y > 0.0 { g } else { 0.0 });
            }
            Activation::LeakyRelu(slope) => {
                with_sums(gradients, outputs, sums, |g, y| if y > 0.0 { g } else { slope * g });
            }
            Activation::Sigmoid => with_sums(gradients, outputs, sums, |g, y| {
                let y = y / scale;
                g * y * (1.0 - y)
            }),
            Activation::Tanh => with_sums(gradients, outputs, sums, |g, y| {
                let y = y / scale;
                g * (1.0 - y * y)
            }),
            Activation::Elu => with_sums(gradients, outputs, sums, |g, y| {
                if y > 0.0 { g } else { g * (y / scale + 1.0) }
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

#[inline(always)]
fn with_sums(
    gradients: &mut [f32],
    outputs: &[f32],
    sums: &mut [f32],
    slope: impl Fn(f32, f32) -> f32,
) {
    let rows = |gradients: &mut [f32], outputs: &[f32], sums: &mut [f32]| {
        let gradients = gradients.chunks_exact_mut(sums.len());
        for (gradients, outputs) in gradients.zip(outputs.chunks_exact(sums.len())) {
            for ((sum, gradient), output) in sums.iter_mut().zip(gradients).zip(outputs) {
                *gradient = slope(*gradient, *output);
                *sum += *gradient;
            }
        }
    };
    // Likewise: what has one sum is added to several in turn, which are added up in the end.
    if let [sum] = sums {
        const SUMS: usize = 16;
        let mut parts = [0.0; SUMS];
        let whole = gradients.len() / SUMS * SUMS;
        let (gradients, rest) = gradients.split_at_mut(whole);
        rows(gradients, &outputs[..whole], &mut parts);
        *sum += parts.iter().sum::<f32>();
        rows(rest, &outputs[whole..], std::slice::from_mut(sum));
    } else {
        rows(gradients, outputs, sums);
    }
}

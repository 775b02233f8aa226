//! The functions between the layers.

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

/// e to the power of `x`, within 2 units in the last place; `x` is taken for -87 or 88 where it is beyond those.
///
/// It has neither branches nor calls, for the compiler to make vectors of it: x = n ln 2 + r, and e^r is a
/// polynomial (`expf` of the Cephes library).
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Added and taken away again, it leaves the nearest whole number, which is then in its last bits, too.
    const ROUND: f32 = 12_582_912.0;
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const POLYNOMIAL: [f32; 6] = [
        1.987_569_2e-4,
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let mut sum = 0.0;
    for coefficient in POLYNOMIAL {
        sum = sum * r + coefficient;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    (sum * r * r + r + 1.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_two_units_in_the_last_place() {
        for i in -87_000..=88_000 {
            let x = i as f32 / 1e3;
            let exact = f64::from(x).exp();
            let unit = f64::from(f32::EPSILON) * 2f64.powf(exact.log2().floor());
            let off = (f64::from(exp(x)) - exact).abs() / unit;
            assert!(off <= 2.0, "e^{x} is off by {off} units");
        }
        assert_eq!(exp(-1e9), exp(-87.0));
        assert_eq!(exp(f32::INFINITY), exp(88.0));
        assert!(exp(f32::NAN).is_nan());
    }
}

//! The functions between the layers.

use super::exponential::exp;
use super::vectorized::vectorized;
use pulp::Simd;
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
    /// The value times its [`Activation::Sigmoid`] (Elfwing et al., 2017; Ramachandran et al., 2017, call it swish).
    Silu,
    /// The value times the probability that a standard normal number is below it (Hendrycks and Gimpel, 2016).
    Gelu,
}

impl Activation {
    /// Whether [`Activation::backward`] needs the function's slopes. Of the others each can tell its slope from its
    /// output; these have the same output at two places.
    pub fn keeps_slopes(self) -> bool {
        matches!(self, Self::Silu | Self::Gelu)
    }

    /// Adds `bias` to each row of `values`, and replaces each value by the function of it; with `slopes`, of which there
    /// are as many, each of those by the function's slope there, if it is one that [keeps](Self::keeps_slopes) them.
    pub fn apply(self, values: &mut [f32], bias: &[f32], slopes: Option<&mut [f32]>) {
        match slopes.filter(|_| self.keeps_slopes()) {
            Some(slopes) => apply_with_slopes(self, values, bias, slopes),
            None => apply(self, values, bias),
        }
    }

    /// Turns gradients of the function's outputs into gradients of its inputs, and adds each column of those,
    /// of which there are as many as `sums`, to its sum: the gradient of the biases.
    ///
    /// `kept` are the function's outputs times `scale`, or its slopes where it [keeps](Self::keeps_slopes) them.
    pub fn backward(self, kept: &[f32], scale: f32, gradients: &mut [f32], sums: &mut [f32]) {
        backward(self, kept, scale, gradients, sums);
    }
}

/// The value and the slope of [`Activation::Silu`].
#[inline(always)]
fn silu<S: Simd>(v: f32) -> (f32, f32) {
    let sigmoid = 1.0 / (1.0 + exp::<S>(-v));
    (v * sigmoid, sigmoid * (1.0 + v * (1.0 - sigmoid)))
}

/// The value and the slope of [`Activation::Gelu`], within 5e-7.
///
/// The normal distribution beyond |v| is a polynomial times its density (Abramowitz and Stegun, 1964, 7.1.26).
#[inline(always)]
fn gelu<S: Simd>(v: f32) -> (f32, f32) {
    const POLYNOMIAL: [f32; 5] = [
        1.061_405_4,
        -1.453_152,
        1.421_413_7,
        -0.284_496_74,
        0.254_829_6,
    ];
    /// 0.3275911 / sqrt(2).
    const SCALE: f32 = 0.231_641_89;
    /// 1 / sqrt(2 pi).
    const DENSITY: f32 = 0.398_942_3;
    let t = 1.0 / (1.0 + SCALE * v.abs());
    let power = exp::<S>(-0.5 * v * v);
    let mut sum = 0.0;
    for coefficient in POLYNOMIAL {
        sum = (sum + coefficient) * t;
    }
    let beyond = 0.5 * sum * power;
    let below = if v > 0.0 { 1.0 - beyond } else { beyond };
    (v * below, below + v * DENSITY * power)
}

vectorized! {
    fn apply<S: Simd>(activation: Activation, values: &mut [f32], bias: &[f32]) {
        match activation {
            Activation::None => with_bias(values, bias, |v| v),
            Activation::Relu => with_bias(values, bias, |v| v.max(0.0)),
            Activation::LeakyRelu(slope) => {
                with_bias(values, bias, |v| if v > 0.0 { v } else { slope * v });
            }
            Activation::Sigmoid => with_bias(values, bias, |v| 1.0 / (1.0 + exp::<S>(-v))),
            Activation::Tanh => with_bias(values, bias, |v| 1.0 - 2.0 / (exp::<S>(2.0 * v) + 1.0)),
            Activation::Elu => {
                with_bias(values, bias, |v| if v > 0.0 { v } else { exp::<S>(v) - 1.0 });
            }
            Activation::Silu => with_bias(values, bias, |v| silu::<S>(v).0),
            Activation::Gelu => with_bias(values, bias, |v| gelu::<S>(v).0),
        }
    }
}

vectorized! {
    fn apply_with_slopes<S: Simd>(
        activation: Activation,
        values: &mut [f32],
        bias: &[f32],
        slopes: &mut [f32],
    ) {
        match activation {
            Activation::Silu => with_slopes(values, bias, slopes, silu::<S>),
            _ => with_slopes(values, bias, slopes, gelu::<S>),
        }
    }
}

vectorized! {
    fn backward(
        activation: Activation,
        kept: &[f32],
        scale: f32,
        gradients: &mut [f32],
        sums: &mut [f32],
    ) {
        let inverse = 1.0 / scale;
        match activation {
            Activation::None => with_sums(gradients, kept, sums, |g, _| g),
            Activation::Relu => {
                with_sums(gradients, kept, sums, |g, y| if y > 0.0 { g } else { 0.0 });
            }
            Activation::LeakyRelu(slope) => {
                with_sums(gradients, kept, sums, |g, y| if y > 0.0 { g } else { slope * g });
            }
            Activation::Sigmoid => with_sums(gradients, kept, sums, |g, y| {
                let y = y * inverse;
                g * y * (1.0 - y)
            }),
            Activation::Tanh => with_sums(gradients, kept, sums, |g, y| {
                let y = y * inverse;
                g * (1.0 - y * y)
            }),
            Activation::Elu => with_sums(gradients, kept, sums, |g, y| {
                if y > 0.0 { g } else { g * (y * inverse + 1.0) }
            }),
            Activation::Silu | Activation::Gelu => {
                with_sums(gradients, kept, sums, |g, slope| g * slope);
            }
        }
    }
}

/// Values of a vector.
const VECTOR: usize = 16;
/// Rows that are no shorter than a vector are handled several at a time, as many as have no more values than this: the end
/// of a row takes time, too.
const AT_A_TIME: usize = 64;
/// Rows of so many values together are handled at a time at most.
const MOST_AT_A_TIME: usize = VECTOR * VECTOR;

/// Rows of `channels` values that are handled at a time. One that is shorter than a vector would leave most of it empty: of
/// those there are as many as make whole vectors.
#[inline(always)]
fn rows_at_a_time(channels: usize) -> usize {
    match channels {
        ..VECTOR => VECTOR,
        _ => (AT_A_TIME / channels).max(1),
    }
}

/// `bias` as often as there are rows that are handled at a time.
#[inline(always)]
fn repeated<'a>(bias: &'a [f32], rows: &'a mut [f32; MOST_AT_A_TIME]) -> &'a [f32] {
    let count = rows_at_a_time(bias.len());
    if count == 1 {
        return bias;
    }
    let rows = &mut rows[..count * bias.len()];
    for row in rows.chunks_exact_mut(bias.len()) {
        row.copy_from_slice(bias);
    }
    rows
}

#[inline(always)]
fn with_bias(values: &mut [f32], bias: &[f32], function: impl Fn(f32) -> f32) {
    let mut rows = [0.0; MOST_AT_A_TIME];
    let bias = repeated(bias, &mut rows);
    for values in values.chunks_mut(bias.len()) {
        for (value, bias) in values.iter_mut().zip(bias) {
            *value = function(*value + bias);
        }
    }
}

#[inline(always)]
fn with_slopes(
    values: &mut [f32],
    bias: &[f32],
    slopes: &mut [f32],
    function: impl Fn(f32) -> (f32, f32),
) {
    let mut rows = [0.0; MOST_AT_A_TIME];
    let bias = repeated(bias, &mut rows);
    let slopes = slopes.chunks_mut(bias.len());
    for (values, slopes) in values.chunks_mut(bias.len()).zip(slopes) {
        for ((value, slope), bias) in values.iter_mut().zip(slopes).zip(bias) {
            (*value, *slope) = function(*value + bias);
        }
    }
}

#[inline(always)]
fn with_sums(
    gradients: &mut [f32],
    kept: &[f32],
    sums: &mut [f32],
    function: impl Fn(f32, f32) -> f32,
) {
    let add_rows = |gradients: &mut [f32], kept: &[f32], sums: &mut [f32]| {
        let gradients = gradients.chunks_exact_mut(sums.len());
        for (gradients, kept) in gradients.zip(kept.chunks_exact(sums.len())) {
            for ((sum, gradient), kept) in sums.iter_mut().zip(gradients).zip(kept) {
                *gradient = function(*gradient, *kept);
                *sum += *gradient;
            }
        }
    };
    let channels = sums.len();
    let count = rows_at_a_time(channels);
    if count == 1 {
        return add_rows(gradients, kept, sums);
    }
    // Each of the rows that are handled at a time has sums of its own, which are added up in the end.
    let mut rows = [0.0; MOST_AT_A_TIME];
    let rows = &mut rows[..count * channels];
    let whole = gradients.len() / rows.len() * rows.len();
    let (gradients, rest) = gradients.split_at_mut(whole);
    add_rows(gradients, &kept[..whole], rows);
    for (channel, sum) in sums.iter_mut().enumerate() {
        *sum += rows.iter().skip(channel).step_by(channels).sum::<f32>();
    }
    add_rows(rest, &kept[whole..], sums);
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::Scalar;

    #[test]
    fn gelu_is_the_value_times_the_normal_distribution() {
        for i in -120_000..=120_000 {
            let v = f64::from(i as f32 / 1e4);
            let below = 0.5 * libm::erfc(-v / std::f64::consts::SQRT_2);
            let density = (-0.5 * v * v).exp() / std::f64::consts::TAU.sqrt();
            let (value, slope) = gelu::<Scalar>(v as f32);
            let off = (f64::from(value) - v * below).abs() / v.abs().max(1.0);
            assert!(off < 5e-7, "gelu({v}) is off by {off}");
            let off = (f64::from(slope) - below - v * density).abs();
            assert!(off < 5e-7, "the slope of gelu at {v} is off by {off}");
        }
    }
}

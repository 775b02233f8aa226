//! Exponentials and logarithms without branches or calls, for the compiler to make vectors of them.

use super::vectorized::mul_add;
use pulp::Simd;

/// e to the power of `x`, within 2 units in the last place; `x` is taken for -87 or 88 where it is beyond those.
///
/// x = n ln 2 + r, and e^r is a polynomial (`expf` of the Cephes library).
#[inline(always)]
pub fn exp<S: Simd>(x: f32) -> f32 {
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
    let shifted = mul_add::<S>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = mul_add::<S>(n, -LN_2[1], mul_add::<S>(n, -LN_2[0], x));
    let [mut sum, coefficients @ ..] = POLYNOMIAL;
    for coefficient in coefficients {
        sum = mul_add::<S>(sum, r, coefficient);
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    (mul_add::<S>(sum * r, r, r) + 1.0) * power
}

/// The same of a double, and of an `x` of -708 or 709 where it is beyond those.
///
/// The polynomial is the beginning of the exponential series, of which the rest is less than a unit in the last place.
#[inline(always)]
pub fn exp_f64(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN_2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];
    const INVERSE_FACTORIALS: [f64; 14] = {
        let mut inverse = [1.0; 14];
        let mut n = 1;
        while n < inverse.len() {
            inverse[n] = inverse[n - 1] / n as f64;
            n += 1;
        }
        inverse
    };
    let x = x.clamp(-708.0, 709.0);
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let mut sum = 0.0;
    for coefficient in INVERSE_FACTORIALS.into_iter().rev() {
        sum = sum * r + coefficient;
    }
    sum * f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52)
}

/// The logarithm of 1 + `x`, for an `x` from 0 to 1, within 2 units in the last place.
///
/// It is 2 artanh(x / (2 + x)), whose series ends soon where its argument is at most a third.
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let square = s * s;
    let mut sum = 1.0 / 15.0;
    for denominator in [13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        sum = sum * square + 1.0 / denominator;
    }
    2.0 * s + 2.0 * s * square * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::vectorized::vectorized;
    use pulp::Scalar;

    vectorized! {
        /// With the widest instructions that there are.
        fn exp_each<S: Simd>(values: &mut [f32]) {
            values.iter_mut().for_each(|value| *value = exp::<S>(*value));
        }
    }

    fn off(found: f32, exact: f64) -> f64 {
        let unit = f64::from(f32::EPSILON) * 2f64.powf(exact.log2().floor());
        (f64::from(found) - exact).abs() / unit
    }

    #[test]
    fn exp_is_exact_to_two_units_in_the_last_place() {
        let widest = |x| {
            let mut values = [x];
            exp_each(&mut values);
            values[0]
        };
        for exp in [widest, exp::<Scalar>] {
            for i in -87_000..=88_000 {
                let x = i as f32 / 1e3;
                let off = off(exp(x), f64::from(x).exp());
                assert!(off <= 2.0, "e^{x} is off by {off} units");
            }
            assert_eq!(exp(-1e9), exp(-87.0));
            assert_eq!(exp(f32::INFINITY), exp(88.0));
            assert!(exp(f32::NAN).is_nan());
        }
    }

    #[test]
    fn exp_of_doubles_is_exact_to_two_units_in_the_last_place() {
        for i in -708_000..=709_000 {
            let x = f64::from(i) / 1e3;
            let (found, exact) = (exp_f64(x), x.exp());
            let off = (found / exact - 1.0).abs() / f64::EPSILON;
            assert!(off <= 2.0, "e^{x} is off by {off} units");
        }
        assert_eq!(exp_f64(-1e9), exp_f64(-708.0));
        assert_eq!(exp_f64(f64::INFINITY), exp_f64(709.0));
        assert!(exp_f64(f64::NAN).is_nan());
    }

    #[test]
    fn ln_1p_is_exact_to_two_units_in_the_last_place() {
        for i in 1..=100_000 {
            for x in [i as f32 / 1e5, exp::<Scalar>(-(i as f32) / 1e3 * 0.8)] {
                let off = off(ln_1p(x), f64::from(x).ln_1p());
                assert!(off <= 2.0, "the logarithm of 1 + {x} is off by {off} units");
            }
        }
        assert_eq!(ln_1p(0.0), 0.0);
    }
}

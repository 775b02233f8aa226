//! How much of a mixture of normal distributions of one dimension lies beyond a point, and how dense it is there.

use crate::kernels::exponential::exp_f64;
use crate::kernels::vectorized::vectorized;
use std::f64::consts::TAU;

/// Normal distributions of one dimension, with weights.
#[derive(Debug)]
pub struct Normals {
    pub weights: Vec<f64>,
    pub means: Vec<f64>,
    pub deviations: Vec<f64>,
}

impl Normals {
    /// None, with room for so many.
    pub fn with_capacity(count: usize) -> Self {
        Self {
            weights: Vec::with_capacity(count),
            means: Vec::with_capacity(count),
            deviations: Vec::with_capacity(count),
        }
    }

    /// Adds one.
    pub fn push(&mut self, weight: f64, mean: f64, deviation: f64) {
        self.weights.push(weight);
        self.means.push(mean);
        self.deviations.push(deviation);
    }
}

/// What there is of a mixture at and beyond a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beyond {
    /// The weight beyond the point.
    pub tail: f64,
    /// The density there.
    pub density: f64,
    /// The derivative of the density.
    pub slope: f64,
}

/// What lies beyond `z`: above it if `side` is 1, and below it if it is -1. At `y` deviations from a component, its part
/// is exact to some (1 + y²) units in the last place, as far as 36 deviations; further out it is less than 1e-280, but
/// how much less is not told. `scratch` is used for it, and keeps its room.
pub fn beyond(normals: &Normals, z: f64, side: f64, scratch: &mut Vec<f64>) -> Beyond {
    let count = normals.weights.len();
    scratch.resize(3 * count, 0.0);
    let (tails, others) = scratch.split_at_mut(count);
    let (densities, slopes) = others.split_at_mut(count);
    of_each(normals, z, side, tails, densities, slopes);
    let (mut tail, mut density, mut slope) = (0.0, 0.0, 0.0);
    for component in 0..count {
        tail += tails[component];
        density += densities[component];
        slope += slopes[component];
    }
    let scale = 1.0 / TAU.sqrt();
    Beyond {
        tail,
        density: scale * density,
        slope: scale * slope,
    }
}

vectorized! {
    /// The terms of the sums in [`beyond`]: those of density and slope times the root of τ.
    fn of_each(
        normals: &Normals,
        z: f64,
        side: f64,
        tails: &mut [f64],
        densities: &mut [f64],
        slopes: &mut [f64],
    ) {
        let count = tails.len();
        let [weights, means, deviations] =
            [&normals.weights, &normals.means, &normals.deviations].map(|values| &values[..count]);
        let (densities, slopes) = (&mut densities[..count], &mut slopes[..count]);
        for component in 0..count {
            let y = side * ((z - means[component]) / deviations[component]);
            let exponential = exp_f64(-0.5 * y * y);
            let outer = exponential * mills_ratio(y.abs());
            let tail = if y > 0.0 { outer } else { 1.0 - outer };
            let density = weights[component] * exponential / deviations[component];
            tails[component] = weights[component] * tail;
            densities[component] = density;
            slopes[component] = -side * density * y / deviations[component];
        }
    }
}

/// Mills' ratio of the unit normal distribution, over the root of τ: what lies beyond `y` over exp(-y² / 2), for a `y` of
/// at least 0. It is exact to 4 units in the last place up to 36, and what it is at 36 beyond that.
///
/// It is near 4 / (4 + y). What it is over that is a polynomial in that, here the one of degree 20 that goes through it
/// at the nodes of Chebyshev.
#[inline(always)]
fn mills_ratio(y: f64) -> f64 {
    const POLYNOMIAL: [f64; 21] = [
        2.258_081_537_136_2e-10,
        7.617_489_948_350_506e-11,
        -2.661_001_147_260_082_3e-9,
        1.024_721_828_723_482_7e-9,
        1.824_818_765_587_294e-8,
        -2.427_089_138_608_486_8e-8,
        -1.002_703_106_970_403_4e-7,
        2.644_494_940_442_145e-7,
        5.246_712_261_864_359e-7,
        -2.355_729_082_978_133e-6,
        -3.355_341_528_773_153e-6,
        2.038_044_490_463_365e-5,
        3.602_808_882_984_662_4e-5,
        -1.724_645_624_844_922_7e-4,
        -6.064_695_332_357_311e-4,
        7.558_655_595_155_603e-4,
        1.043_016_274_673_548_6e-2,
        3.852_023_226_178_042_5e-2,
        9.047_448_840_578_608e-2,
        1.555_121_056_912_477e-1,
        2.050_347_004_741_227_6e-1,
    ];
    let near = 4.0 / (4.0 + y.min(36.0));
    let place = (near - 0.55) / 0.45;
    let mut sum = 0.0;
    for coefficient in POLYNOMIAL {
        sum = sum * place + coefficient;
    }
    near * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use libm::erfc;
    use std::f64::consts::FRAC_1_SQRT_2;

    #[test]
    fn tails_are_those_of_the_definition_far_out_too() {
        let mut unit = Normals::with_capacity(9);
        unit.push(1.0, 0.0, 1.0);
        for i in -3600..=3600 {
            let z = f64::from(i) / 100.0;
            for side in [1.0, -1.0] {
                let found = beyond(&unit, z, side, &mut Vec::new());
                let expected = 0.5 * erfc(side * z * FRAC_1_SQRT_2);
                let off = (found.tail / expected - 1.0).abs();
                // The argument of the exponential is rounded, too.
                assert!(
                    off < 2e-15 * (1.0 + z * z),
                    "{z} {side}: {found:?} {expected}"
                );
            }
        }
    }

    #[test]
    fn density_and_slope_are_the_derivatives_of_the_tail() {
        let mut normals = Normals::with_capacity(9);
        for i in 0..9 {
            let i = f64::from(i);
            normals.push(1.0 / 9.0, i - 2.0, 0.3 + 0.2 * i);
        }
        let at = |z: f64| beyond(&normals, z, 1.0, &mut Vec::new());
        for z in [-3.0, -0.7, 0.1, 2.2, 6.0] {
            let step = 1e-5;
            let [before, after] = [at(z - step), at(z + step)];
            let here = at(z);
            let density = (before.tail - after.tail) / (2.0 * step);
            let slope = (after.density - before.density) / (2.0 * step);
            assert!((density - here.density).abs() < 1e-9, "{density} {here:?}");
            assert!((slope - here.slope).abs() < 1e-8, "{slope} {here:?}");
        }
    }
}

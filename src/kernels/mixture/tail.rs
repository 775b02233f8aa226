//! How much of a mixture of normal distributions of one dimension lies beyond a point, and how dense it is there.

use crate::kernels::exponential::exp_f64;
use crate::kernels::vectorized::vectorized;
use std::array::from_fn;
use std::f64::consts::TAU;

/// Values that are handled together: the longest vector that a processor has.
pub const LANES: usize = 8;

/// Of as many normal distributions the weights, means and deviations.
pub type Vectors<'a> = [&'a [f64; LANES]; 3];

/// Normal distributions of one dimension, with weights. The last may be there again without weight, so that they are whole
/// vectors.
#[derive(Debug, Default)]
pub struct Normals {
    weights: Vec<f64>,
    means: Vec<f64>,
    deviations: Vec<f64>,
    /// One over each deviation: quotients would take longer than all else.
    inverses: Vec<f64>,
    /// Scratch.
    chosen: Vec<usize>,
}

impl Normals {
    /// Becomes those that have a part, of some that are given by weights, means, deviations, and one over each deviation.
    pub fn choose(&mut self, from: [&[f64]; 4], has_part: impl Fn(usize) -> bool) {
        // Each is written, and stays if it has a part: a branch would be foreseen wrongly half of the time.
        let given = from[0].len();
        self.chosen.resize(given, 0);
        let mut count = 0;
        for component in 0..given {
            self.chosen[count] = component;
            count += usize::from(has_part(component));
        }
        let chosen = &self.chosen[..count];
        let whole = count.next_multiple_of(LANES);
        let columns = [
            &mut self.weights,
            &mut self.means,
            &mut self.deviations,
            &mut self.inverses,
        ];
        for (to, from) in columns.into_iter().zip(from) {
            to.clear();
            to.extend(chosen.iter().map(|&component| from[component]));
            to.resize(whole, to.last().copied().unwrap_or_default());
        }
        self.weights[count..].fill(0.0);
    }

    /// All of them.
    #[inline(always)]
    pub fn vectors(&self) -> impl Iterator<Item = Vectors<'_>> {
        let [weights, means, deviations] =
            [&self.weights, &self.means, &self.deviations].map(|values| values.as_chunks().0);
        let each = weights.iter().zip(means).zip(deviations);
        each.map(|((weights, means), deviations)| [weights, means, deviations])
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
    let sum = |terms: &[f64]| -> f64 {
        let vectors = terms.as_chunks::<LANES>().0.iter();
        let lanes = vectors.fold([0.0; LANES], |sums, terms| {
            from_fn(|lane| sums[lane] + terms[lane])
        });
        lanes.iter().sum()
    };
    let scale = 1.0 / TAU.sqrt();
    Beyond {
        tail: sum(tails),
        density: scale * sum(densities),
        slope: scale * sum(slopes),
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
        let [weights, means, inverses] =
            [&normals.weights, &normals.means, &normals.inverses].map(|values| &values[..count]);
        let (densities, slopes) = (&mut densities[..count], &mut slopes[..count]);
        for component in 0..count {
            let y = side * ((z - means[component]) * inverses[component]);
            let exponential = exp_f64(-0.5 * y * y);
            let outer = exponential * mills_ratio(y.abs());
            let tail = if y > 0.0 { outer } else { 1.0 - outer };
            let density = weights[component] * exponential * inverses[component];
            tails[component] = weights[component] * tail;
            densities[component] = density;
            slopes[component] = -side * density * y * inverses[component];
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
    let place = (near - 0.55) * (1.0 / 0.45);
    // Even and odd powers apart: each sum waits for half as many.
    const { assert!(POLYNOMIAL.len() % 2 == 1) };
    let square = place * place;
    let (mut even, mut odd) = (POLYNOMIAL[0], 0.0);
    for [of_odd, of_even] in POLYNOMIAL[1..].as_chunks().0 {
        odd = odd * square + of_odd;
        even = even * square + of_even;
    }
    near * (odd * place + even)
}

#[cfg(test)]
mod tests {
    use super::*;
    use libm::erfc;
    use std::f64::consts::FRAC_1_SQRT_2;

    fn normals(weights: &[f64], means: &[f64], deviations: &[f64]) -> Normals {
        let inverses: Vec<f64> = deviations.iter().map(|deviation| 1.0 / deviation).collect();
        let mut normals = Normals::default();
        normals.choose([weights, means, deviations, &inverses], |_| true);
        normals
    }

    #[test]
    fn those_that_have_no_part_are_left_out() {
        let all: Vec<f64> = (1..=20).map(f64::from).collect();
        let mut some = normals(&all, &all, &all);
        assert_eq!(some.means[..20], all);
        for chosen in [vec![], vec![3.0], vec![1.0, 2.0, 20.0], all[4..].to_vec()] {
            let has_part = |component: usize| chosen.contains(&all[component]);
            some.choose([&all; 4], has_part);
            let (weights, others) = some.weights.split_at(chosen.len());
            assert_eq!(weights, chosen);
            assert!(others.len() < LANES && some.weights.len().is_multiple_of(LANES));
            assert!(others.iter().all(|&weight| weight == 0.0));
            let last = chosen.last();
            assert!(
                some.deviations[chosen.len()..]
                    .iter()
                    .all(|d| Some(d) == last)
            );
        }
    }

    #[test]
    fn tails_are_those_of_the_definition_far_out_too() {
        let unit = normals(&[1.0], &[0.0], &[1.0]);
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
        let of_each =
            |value: fn(f64) -> f64| (0..9).map(|i| value(f64::from(i))).collect::<Vec<_>>();
        let (means, deviations) = (of_each(|i| i - 2.0), of_each(|i| 0.3 + 0.2 * i));
        let normals = normals(&[1.0 / 9.0; 9], &means, &deviations);
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

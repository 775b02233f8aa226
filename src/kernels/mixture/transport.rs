//! From the unit normal distribution onto a mixture.

use super::density::Mixture;
use super::tail::{Beyond, Normals, beyond};
use crate::kernels::exponential::exp_f64;
use crate::kernels::vectorized::vectorized;
use libm::erfc;
use std::f64::consts::FRAC_1_SQRT_2;

/// Components that are this much less likely than the likeliest have no part in a coordinate, in nats.
const NEGLIGIBLE: f64 = 40.0;
/// Steps to a quantile at most, and the length of the last, in itself and over the least deviation: then the next one,
/// which is of the order of its cube, is lost in rounding.
const MOST_STEPS: usize = 100;
const PRECISION: f64 = 1e-14;
const LAST_STEP: f64 = 1e-6;

/// The map of the unit normal distribution onto a mixture: coordinate by coordinate, each the quantile of its
/// distribution given those before it (Rosenblatt, 1952, "Remarks on a multivariate transformation"). Near points stay
/// near.
#[derive(Debug)]
pub struct Transport<'a> {
    mixture: &'a Mixture,
    /// The logarithms of the weights of components, and of each one's deviations: (components, dimensions).
    log_weights: Vec<f64>,
    log_deviations: Vec<f64>,
}

impl<'a> Transport<'a> {
    /// The map onto a mixture.
    pub fn onto(mixture: &'a Mixture) -> Self {
        let components = mixture.components.iter();
        let deviations = components.flat_map(|c| c.cholesky.iter().step_by(mixture.dimensions + 1));
        Self {
            mixture,
            log_weights: mixture.components.iter().map(|c| c.weight.ln()).collect(),
            log_deviations: deviations.map(|deviation| deviation.ln()).collect(),
        }
    }

    /// The point of the mixture that takes the place of a point of the unit normal distribution.
    ///
    /// # Shapes
    ///
    /// - normal, output: (dimensions)
    pub fn of(&self, normal: &[f64]) -> Vec<f64> {
        let (dimensions, components) = (self.mixture.dimensions, &self.mixture.components);
        let mut point = Vec::with_capacity(dimensions);
        // Of each component: the logarithm of its likelihood given the coordinates so far, and what the unit normal
        // distribution would have in their place.
        let mut logs = self.log_weights.clone();
        let mut whites = vec![0.0; components.len() * dimensions];
        let mut conditionals = Vec::with_capacity(components.len());
        for (row, &u) in normal.iter().enumerate() {
            let each = components.iter().zip(whites.chunks_exact(dimensions));
            conditionals.clear();
            conditionals.extend(each.map(|(component, white)| {
                let factors = &component.cholesky[row * dimensions..][..=row];
                let known = factors.iter().zip(&white[..row]).map(|(l, y)| l * y);
                Conditional {
                    mean: component.mean[row] + known.sum::<f64>(),
                    deviation: factors[row],
                }
            }));
            let z = quantile(&conditionals, &logs, u);
            let each = logs.iter_mut().zip(whites.chunks_exact_mut(dimensions));
            let log_deviations = self.log_deviations.iter().skip(row).step_by(dimensions);
            for (((log, white), c), log_deviation) in each.zip(&conditionals).zip(log_deviations) {
                let y = (z - c.mean) / c.deviation;
                *log -= 0.5 * y * y + log_deviation;
                white[row] = y;
            }
            point.push(z);
        }
        point
    }
}

/// A coordinate's distribution in one component, given the coordinates before it.
struct Conditional {
    mean: f64,
    deviation: f64,
}

/// Where a mixture of normal distributions of one dimension has as much to its left as the unit normal one has to
/// the left of `u`. The weights are given by their logarithms, up to a constant.
fn quantile(conditionals: &[Conditional], logs: &[f64], u: f64) -> f64 {
    let normals = likely(conditionals, logs);
    let total: f64 = normals.weights.iter().sum();
    // The smaller tail, which keeps its precision far out.
    let side = if u > 0.0 { 1.0 } else { -1.0 };
    let wanted = total * 0.5 * erfc(u.abs() * FRAC_1_SQRT_2);
    // Each component's own quantile; that of the mixture lies between them.
    let each = || normals.means.iter().zip(&normals.deviations);
    let own = each().map(|(mean, deviation)| mean + deviation * u);
    let (mut low, mut high) = own.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), z| {
        (low.min(z), high.max(z))
    });
    let least = each().fold(f64::INFINITY, |least, (_, deviation)| least.min(*deviation));
    // Halley's steps from the quantile of the normal distribution with the same moments, and a half of what is left where
    // one leads out of that or does not come closer.
    let mut z = normal_quantile(&normals, total, u).max(low).min(high);
    let mut step = high - low;
    let mut scratch = Vec::new();
    for _ in 0..MOST_STEPS {
        let Beyond {
            tail,
            density,
            slope,
        } = beyond(&normals, z, side, &mut scratch);
        let missing = side * (tail - wanted);
        if missing > 0.0 {
            low = z;
        } else {
            high = z;
        }
        let newton = missing / density;
        // Bounded: in a gap between components it is anything, and must not end the steps.
        let bend = (0.5 * newton * slope / density).clamp(-0.5, 1.0);
        let halley = newton / (1.0 + bend);
        let closer = (low..=high).contains(&(z + halley)) && halley.abs() <= 0.5 * step;
        let next = if closer {
            z + halley
        } else {
            0.5 * (low + high)
        };
        step = (next - z).abs();
        z = next;
        if step <= PRECISION * (1.0 + z.abs()) || closer && step <= LAST_STEP * least {
            break;
        }
    }
    z
}

/// The components that have a part, with weights of which the highest is 1.
fn likely(conditionals: &[Conditional], logs: &[f64]) -> Normals {
    let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut weights = vec![0.0; logs.len()];
    exp_each(logs, highest, &mut weights);
    let mut normals = Normals::with_capacity(conditionals.len());
    for ((log, weight), c) in logs.iter().zip(weights).zip(conditionals) {
        if *log >= highest - NEGLIGIBLE {
            normals.push(weight, c.mean, c.deviation);
        }
    }
    normals
}

vectorized! {
    /// Numbers from their logarithms, over the one of which the logarithm is `highest`.
    fn exp_each(logs: &[f64], highest: f64, to: &mut [f64]) {
        for (to, log) in to.iter_mut().zip(logs) {
            *to = exp_f64(log - highest);
        }
    }
}

/// The quantile of the normal distribution that has the mean and the variance of a mixture whose weights sum up to
/// `total`.
fn normal_quantile(normals: &Normals, total: f64, u: f64) -> f64 {
    let Normals {
        weights,
        means,
        deviations,
    } = normals;
    let (mut mean, mut square) = (0.0, 0.0);
    for ((weight, center), deviation) in weights.iter().zip(means).zip(deviations) {
        mean += weight * center;
        square += weight * (center * center + deviation * deviation);
    }
    let (mean, square) = (mean / total, square / total);
    mean + (square - mean * mean).max(0.0).sqrt() * u
}

#[cfg(test)]
mod tests {
    use super::super::density::Component;
    use super::*;
    use crate::rng::{Purpose, normal};

    fn mixture() -> Mixture {
        let component = |weight, mean: [f64; 2], cholesky: [f64; 4]| Component {
            weight,
            mean: mean.into(),
            cholesky: cholesky.into(),
        };
        Mixture {
            dimensions: 2,
            components: vec![
                component(0.2, [-3.0, 1.0], [0.5, 0.0, 0.2, 0.1]),
                component(0.5, [0.5, 0.5], [1.0, 0.0, -0.5, 0.7]),
                component(0.3, [4.0, -2.0], [0.3, 0.0, 0.0, 2.0]),
            ],
        }
    }

    #[test]
    fn one_component_is_an_affine_map() {
        let mut mixture = mixture();
        mixture.components.truncate(1);
        let Component { mean, cholesky, .. } = &mixture.components[0];
        for u in [[0.0, 0.0], [1.5, -2.0], [-7.0, 7.0]] {
            let z = Transport::onto(&mixture).of(&u);
            let expected = [
                mean[0] + cholesky[0] * u[0],
                mean[1] + cholesky[2] * u[0] + cholesky[3] * u[1],
            ];
            for (z, expected) in z.iter().zip(expected) {
                assert!((z - expected).abs() < 1e-9, "{z} {expected}");
            }
        }
    }

    #[test]
    fn where_hardly_anything_is_the_quantile_is_found_yet() {
        let quantile_of = |components: &[(f64, f64, f64)], u: f64| {
            let components = components.iter();
            let components = components.map(|&(weight, mean, deviation)| Component {
                weight,
                mean: vec![mean],
                cholesky: vec![deviation],
            });
            let mixture = Mixture {
                dimensions: 1,
                components: components.collect(),
            };
            Transport::onto(&mixture).of(&[u])[0]
        };
        // Between narrow components; the half of what lies left of 0.1 has to be in the middle one.
        let narrow = [
            (1.0 / 2.3, -2.0, 0.01),
            (0.3 / 2.3, 0.0, 0.01),
            (1.0 / 2.3, 2.0, 0.01),
        ];
        let z = quantile_of(&narrow, 0.1);
        let tail = |y: f64| 0.5 * erfc(y * FRAC_1_SQRT_2);
        let beyond: f64 = narrow.iter().map(|(w, m, d)| w * tail((z - m) / d)).sum();
        assert!((beyond - tail(0.1)).abs() < 1e-12, "{z}");
        let narrow = [
            (1.0 / 1.396, -1.370, 0.002_26),
            (0.396 / 1.396, 0.5275, 0.0024),
        ];
        let z = quantile_of(&narrow, 0.07);
        assert!((-1.37..-1.36).contains(&z), "{z}");
        // So far apart, or so far out, that no double holds what is there.
        for u in [0.0, 0.3, 40.0, -3000.0] {
            let apart = [(0.5, -1e38, 1e-45), (0.5, 1e38, 1e-45)];
            assert!(quantile_of(&apart, u).abs() <= 1e38 * (1.0 + 1e-9));
            let z = quantile_of(&[(0.5, -1.0, 0.5), (0.5, 1.0, 2.0)], u);
            assert!((z - 1.0).abs() <= 2.0 * u.abs() + 2.0, "{u} {z}");
        }
    }

    #[test]
    fn its_volume_changes_as_the_densities_say() {
        // log density of the mixture at z(u) + log |dz/du| = log density of the unit normal distribution at u.
        let mixture = mixture();
        let step = 1e-5;
        for u in [[0.0, 0.0], [0.3, -0.8], [-1.2, 0.4], [2.0, 1.5]] {
            let moved = |axis: usize, by: f64| {
                let mut u = u;
                u[axis] += by;
                Transport::onto(&mixture).of(&u)
            };
            let slope =
                |axis: usize| (moved(axis, step)[axis] - moved(axis, -step)[axis]) / (2.0 * step);
            let volume = slope(0).ln() + slope(1).ln();
            let unit = -0.5 * (u[0] * u[0] + u[1] * u[1]) - std::f64::consts::TAU.ln();
            let there = mixture.log_density(&Transport::onto(&mixture).of(&u)) + volume;
            assert!((there - unit).abs() < 1e-5, "{u:?}: {there} {unit}");
        }
    }

    #[test]
    fn points_have_the_moments_of_the_mixture() {
        let mixture = mixture();
        let transport = Transport::onto(&mixture);
        let normals = normal(1, Purpose::Prior, 0, 40_000);
        let points: Vec<Vec<f64>> = normals
            .chunks(2)
            .map(|u| transport.of(&[u[0].into(), u[1].into()]))
            .collect();
        for axis in 0..2 {
            let of = |f: &dyn Fn(&Component) -> f64| -> f64 {
                mixture.components.iter().map(|c| c.weight * f(c)).sum()
            };
            let mean = of(&|c| c.mean[axis]);
            let square = of(&|c| {
                let row = &c.cholesky[axis * 2..][..2];
                c.mean[axis].powi(2) + row[0].powi(2) + row[1].powi(2)
            });
            let count = points.len() as f64;
            let found = points.iter().map(|z| z[axis]).sum::<f64>() / count;
            let found_square = points.iter().map(|z| z[axis].powi(2)).sum::<f64>() / count;
            assert!((found - mean).abs() < 0.06, "{found} {mean}");
            assert!(
                (found_square / square - 1.0).abs() < 0.03,
                "{found_square} {square}"
            );
        }
    }
}

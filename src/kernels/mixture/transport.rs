//! From the unit normal distribution onto a mixture.

use super::density::{Component, Mixture};
use super::tail::{Beyond, LANES, Normals, beyond};
use crate::kernels::exponential::exp_f64;
use crate::kernels::vectorized::vectorized;
use libm::erfc;
use std::array::from_fn;
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
///
/// What is of each component lies together, so that a processor's vectors go through the components.
#[derive(Debug)]
pub struct Transport {
    /// The logarithms of the weights: (components).
    log_weights: Vec<f64>,
    coordinates: Vec<Coordinate>,
}

/// What is known of a coordinate before those before it are.
#[derive(Debug)]
struct Coordinate {
    /// Its mean: (components).
    mean: Vec<f64>,
    /// Its row of the Cholesky factor: for each coordinate before it (components).
    factors: Vec<Vec<f64>>,
    /// Its deviation, which is on the diagonal, one over it, and its logarithm: (components).
    deviation: Vec<f64>,
    inverse: Vec<f64>,
    log_deviation: Vec<f64>,
}

impl Transport {
    /// The map onto a mixture.
    pub fn onto(mixture: &Mixture) -> Self {
        let Mixture {
            dimensions,
            components,
        } = mixture;
        let of_each = |value: &dyn Fn(&Component) -> f64| components.iter().map(value).collect();
        let coordinates = (0..*dimensions).map(|row| {
            let factor = |column: usize| move |c: &Component| c.cholesky[row * dimensions + column];
            Coordinate {
                mean: of_each(&|component| component.mean[row]),
                factors: (0..row).map(|column| of_each(&factor(column))).collect(),
                deviation: of_each(&factor(row)),
                inverse: of_each(&|component| 1.0 / factor(row)(component)),
                log_deviation: of_each(&|component| factor(row)(component).ln()),
            }
        });
        Self {
            log_weights: of_each(&|component| component.weight.ln()),
            coordinates: coordinates.collect(),
        }
    }

    /// The point of the mixture that takes the place of a point of the unit normal distribution.
    ///
    /// # Shapes
    ///
    /// - normal, output: (dimensions)
    pub fn of(&self, normal: &[f64]) -> Vec<f64> {
        debug_assert_eq!(normal.len(), self.coordinates.len());
        let components = self.log_weights.len();
        let mut point = Vec::with_capacity(normal.len());
        // Of each component: the logarithm of its likelihood given the coordinates so far, and what the unit normal
        // distribution would have in the place of each of them.
        let mut logs = self.log_weights.clone();
        let mut whites: Vec<Vec<f64>> = Vec::with_capacity(normal.len());
        let mut mean = vec![0.0; components];
        let mut weights = vec![0.0; components];
        let mut normals = Normals::default();
        let mut terms = Vec::new();
        for (coordinate, &u) in self.coordinates.iter().zip(normal) {
            conditional_mean(coordinate, &whites, &mut mean);
            let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            exp_each(&logs, highest, &mut weights);
            let Coordinate {
                deviation, inverse, ..
            } = coordinate;
            normals.choose([&weights, &mean, deviation, inverse], |component| {
                logs[component] >= highest - NEGLIGIBLE
            });
            let z = quantile(&normals, u, &mut terms);
            let mut white = vec![0.0; components];
            condition(coordinate, &mean, z, &mut logs, &mut white);
            whites.push(white);
            point.push(z);
        }
        point
    }
}

vectorized! {
    /// The mean of a coordinate in each component, given the coordinates before it.
    fn conditional_mean(coordinate: &Coordinate, whites: &[Vec<f64>], mean: &mut [f64]) {
        mean.fill(0.0);
        for (factors, white) in coordinate.factors.iter().zip(whites) {
            for ((mean, factor), y) in mean.iter_mut().zip(factors).zip(white) {
                *mean += factor * y;
            }
        }
        for (known, mean) in mean.iter_mut().zip(&coordinate.mean) {
            *known += mean;
        }
    }
}

vectorized! {
    /// Takes into account that a coordinate is `z`, where it has such a `mean`.
    fn condition(
        coordinate: &Coordinate,
        mean: &[f64],
        z: f64,
        logs: &mut [f64],
        white: &mut [f64],
    ) {
        let Coordinate { inverse, log_deviation, .. } = coordinate;
        let each = logs.iter_mut().zip(white).zip(mean).zip(inverse).zip(log_deviation);
        for ((((log, white), mean), inverse), log_deviation) in each {
            let y = (z - mean) * inverse;
            *log -= 0.5 * y * y + log_deviation;
            *white = y;
        }
    }
}

/// Where a mixture of normal distributions of one dimension has as much to its left as the unit normal one has to
/// the left of `u`. `terms` is scratch.
fn quantile(normals: &Normals, u: f64, terms: &mut Vec<f64>) -> f64 {
    let mut outline = Outline::default();
    look_over(normals, u, &mut outline);
    let Outline {
        total,
        mut low,
        mut high,
        least,
        ..
    } = outline;
    // The smaller tail, which keeps its precision far out.
    let side = if u > 0.0 { 1.0 } else { -1.0 };
    let wanted = total * 0.5 * erfc(u.abs() * FRAC_1_SQRT_2);
    // Halley's steps from the quantile of the normal distribution with the same moments, and a half of what is left where
    // one leads out of that or does not come closer.
    let mut z = outline.normal_quantile(u).max(low).min(high);
    let mut step = high - low;
    for _ in 0..MOST_STEPS {
        let Beyond {
            tail,
            density,
            slope,
        } = beyond(normals, z, side, terms);
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

vectorized! {
    /// Numbers from their logarithms, over the one of which the logarithm is `highest`.
    fn exp_each(logs: &[f64], highest: f64, to: &mut [f64]) {
        for (to, log) in to.iter_mut().zip(logs) {
            *to = exp_f64(log - highest);
        }
    }
}

/// Of a mixture of normal distributions of one dimension, what its quantile is looked for by.
#[derive(Default)]
struct Outline {
    /// The sum of the weights, and that of the first and second moments with them.
    total: f64,
    first: f64,
    second: f64,
    /// The least and the greatest of the components' own quantiles, between which that of the mixture lies.
    low: f64,
    high: f64,
    /// The least deviation.
    least: f64,
}

impl Outline {
    /// The quantile of the normal distribution that has the mixture's mean and variance.
    fn normal_quantile(&self, u: f64) -> f64 {
        let (mean, square) = (self.first / self.total, self.second / self.total);
        mean + (square - mean * mean).max(0.0).sqrt() * u
    }
}

vectorized! {
    /// Finds the [`Outline`] of a mixture for its quantile at `u`.
    fn look_over(normals: &Normals, u: f64, to: &mut Outline) {
        let [mut total, mut first, mut second] = [[0.0; LANES]; 3];
        let [mut low, mut least] = [[f64::INFINITY; LANES]; 2];
        let mut high = [f64::NEG_INFINITY; LANES];
        for [weight, mean, deviation] in normals.vectors() {
            let own: [f64; LANES] = from_fn(|lane| mean[lane] + deviation[lane] * u);
            let square: [f64; LANES] =
                from_fn(|lane| mean[lane] * mean[lane] + deviation[lane] * deviation[lane]);
            total = from_fn(|lane| total[lane] + weight[lane]);
            first = from_fn(|lane| first[lane] + weight[lane] * mean[lane]);
            second = from_fn(|lane| second[lane] + weight[lane] * square[lane]);
            low = from_fn(|lane| own[lane].min(low[lane]));
            high = from_fn(|lane| own[lane].max(high[lane]));
            least = from_fn(|lane| deviation[lane].min(least[lane]));
        }
        *to = Outline {
            total: total.iter().sum(),
            first: first.iter().sum(),
            second: second.iter().sum(),
            low: low.into_iter().fold(f64::INFINITY, f64::min),
            high: high.into_iter().fold(f64::NEG_INFINITY, f64::max),
            least: least.into_iter().fold(f64::INFINITY, f64::min),
        };
    }
}

#[cfg(test)]
mod tests {
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

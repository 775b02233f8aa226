//! From the unit normal distribution onto a mixture.

use super::density::Mixture;
use libm::erfc;
use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Components that are this much less likely than the likeliest have no part in a coordinate.
const NEGLIGIBLE: f64 = 40.0;
/// Steps to a quantile at most, and the length of the last.
const MOST_STEPS: usize = 100;
const PRECISION: f64 = 1e-14;

/// The point of a mixture that takes the place of a point of the unit normal distribution: coordinate by
/// coordinate, each the quantile of its distribution given those before it (Rosenblatt, 1952, "Remarks on a
/// multivariate transformation"). Standard normal points in, points of the mixture out; near points stay near.
///
/// # Shapes
///
/// - normal, output: (dimensions)
pub fn transport(mixture: &Mixture, normal: &[f64]) -> Vec<f64> {
    let dimensions = mixture.dimensions;
    let mut point = Vec::with_capacity(dimensions);
    // Of each component: the logarithm of its likelihood given the coordinates so far, and what the unit normal
    // distribution would have in their place.
    let mut logs: Vec<f64> = mixture.components.iter().map(|c| c.weight.ln()).collect();
    let mut whites = vec![Vec::with_capacity(dimensions); mixture.components.len()];
    for (row, &u) in normal.iter().enumerate() {
        let conditionals: Vec<Conditional> = mixture
            .components
            .iter()
            .zip(&whites)
            .map(|(component, white)| {
                let factors = &component.cholesky[row * dimensions..][..=row];
                let known = factors.iter().zip(white).map(|(l, y)| l * y);
                Conditional {
                    mean: component.mean[row] + known.sum::<f64>(),
                    deviation: factors[row],
                }
            })
            .collect();
        let z = quantile(&conditionals, &logs, u);
        for ((log, white), conditional) in logs.iter_mut().zip(&mut whites).zip(&conditionals) {
            let y = (z - conditional.mean) / conditional.deviation;
            *log -= 0.5 * y * y + conditional.deviation.ln();
            white.push(y);
        }
        point.push(z);
    }
    point
}

/// A coordinate's distribution in one component, given the coordinates before it.
struct Conditional {
    mean: f64,
    deviation: f64,
}

/// Where a mixture of normal distributions of one dimension has as much to its left as the unit normal one has to
/// the left of `u`. The weights are given by their logarithms, up to a constant.
fn quantile(conditionals: &[Conditional], logs: &[f64], u: f64) -> f64 {
    let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let of_weight = logs.iter().zip(conditionals);
    let of_weight = of_weight.filter(|(log, _)| **log > highest - NEGLIGIBLE);
    let weighted: Vec<_> = of_weight
        .map(|(log, c)| ((log - highest).exp(), c))
        .collect();
    let total: f64 = weighted.iter().map(|(weight, _)| weight).sum();
    // The smaller tail, which keeps its precision far out.
    let side = if u > 0.0 { -1.0 } else { 1.0 };
    let tail = |y: f64| 0.5 * erfc(-side * y * FRAC_1_SQRT_2);
    let wanted = tail(u) * total;
    // Each component's own quantile; that of the mixture lies between them.
    let own = weighted.iter().map(|(_, c)| c.mean + c.deviation * u);
    let (mut low, mut high) = own.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), z| {
        (low.min(z), high.max(z))
    });
    // Newton's steps, and a half of what is left where one leads out of that or does not come closer.
    let mut z = 0.5 * (low + high);
    let mut step = high - low;
    for _ in 0..MOST_STEPS {
        let (mut found, mut slope) = (0.0, 0.0);
        for (weight, c) in &weighted {
            let y = (z - c.mean) / c.deviation;
            found += weight * tail(y);
            slope += weight * (-0.5 * y * y).exp() / c.deviation;
        }
        let missing = side * (wanted - found);
        if missing > 0.0 {
            low = z;
        } else {
            high = z;
        }
        let newton = z + missing / (slope / TAU.sqrt());
        let closer = (low..=high).contains(&newton) && (newton - z).abs() <= 0.5 * step;
        let next = if closer { newton } else { 0.5 * (low + high) };
        step = (next - z).abs();
        z = next;
        if step <= PRECISION * (1.0 + z.abs()) {
            break;
        }
    }
    z
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
            let z = transport(&mixture, &u);
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
    fn its_volume_changes_as_the_densities_say() {
        // log density of the mixture at z(u) + log |dz/du| = log density of the unit normal distribution at u.
        let mixture = mixture();
        let step = 1e-5;
        for u in [[0.0, 0.0], [0.3, -0.8], [-1.2, 0.4], [2.0, 1.5]] {
            let moved = |axis: usize, by: f64| {
                let mut u = u;
                u[axis] += by;
                transport(&mixture, &u)
            };
            let slope =
                |axis: usize| (moved(axis, step)[axis] - moved(axis, -step)[axis]) / (2.0 * step);
            let volume = slope(0).ln() + slope(1).ln();
            let unit = -0.5 * (u[0] * u[0] + u[1] * u[1]) - std::f64::consts::TAU.ln();
            let there = mixture.log_density(&transport(&mixture, &u)) + volume;
            assert!((there - unit).abs() < 1e-5, "{u:?}: {there} {unit}");
        }
    }

    #[test]
    fn points_have_the_moments_of_the_mixture() {
        let mixture = mixture();
        let normals = normal(1, Purpose::Prior, 0, 40_000);
        let points: Vec<Vec<f64>> = normals
            .chunks(2)
            .map(|u| transport(&mixture, &[u[0].into(), u[1].into()]))
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

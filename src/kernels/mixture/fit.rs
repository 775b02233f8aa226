//! The fit of a mixture to points, by expectation maximisation.

use super::density::{Component, Mixture, log_sum_exp};
use crate::kernels::cholesky::cholesky;
use crate::parallel::map;
use crate::rng::{Purpose, stream};
use rand::Rng;

/// Rounds of expectation and maximisation.
pub const ROUNDS: usize = 20;
/// Points whose sums one thread makes; the sums of blocks are added in order.
const BLOCK: usize = 512;
/// A component's part in a point is taken for none below a ten-thousandth: the logarithm of that.
const NEGLIGIBLE: f64 = -9.2;
/// The least variance: of dimensions in which all points are the same.
const LEAST_VARIANCE: f64 = 1e-6;

/// A mixture of `count` components for points, by expectation maximisation (Dempster et al., 1977) from centres that
/// lie apart (Arthur and Vassilvitskii, 2007, "k-means++"). Covariances are drawn a little to round ones, which
/// keeps those of a few points from being flat. The outcome does not depend on the number of threads. `on_round` is called
/// after each of [`ROUNDS`] rounds, with its number.
///
/// # Shapes
///
/// - points: (points, dimensions), at least as many points as components
pub fn fit(
    points: &[f32],
    dimensions: usize,
    count: usize,
    seed: u64,
    mut on_round: impl FnMut(usize),
) -> Mixture {
    let points: Vec<f64> = points.iter().map(|&value| value.into()).collect();
    let round = round_variance(&points, dimensions, count);
    let mut mixture = spread(&points, dimensions, count, round, seed);
    for number in 1..=ROUNDS {
        let sums = expectation(&mixture, &points);
        mixture = maximisation(mixture, &sums, round);
        on_round(number);
    }
    mixture
}

/// The variance of round components that fill the points' space together.
fn round_variance(points: &[f64], dimensions: usize, count: usize) -> f64 {
    let number = (points.len() / dimensions) as f64;
    let variance = |axis: usize| {
        let values = || points.iter().skip(axis).step_by(dimensions);
        let mean = values().sum::<f64>() / number;
        values().map(|value| (value - mean).powi(2)).sum::<f64>() / number
    };
    let variance = (0..dimensions).map(variance).sum::<f64>() / dimensions as f64;
    variance * (count as f64).powf(-2.0 / dimensions as f64) + LEAST_VARIANCE
}

/// Round components around points that are far from each other: each is drawn with a probability that grows as the
/// square of its distance to those before.
fn spread(points: &[f64], dimensions: usize, count: usize, variance: f64, seed: u64) -> Mixture {
    let mut rng = stream(seed, Purpose::Mixture, 0);
    let number = points.len() / dimensions;
    let mut distances = vec![1.0; number];
    let mut components = Vec::with_capacity(count);
    for position in 0..count {
        let mut left = rng.random_range(0.0..1.0) * distances.iter().sum::<f64>();
        let drawn = distances.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        let drawn = drawn.unwrap_or(number - 1);
        let mean = points[drawn * dimensions..][..dimensions].to_vec();
        for (distance, point) in distances.iter_mut().zip(points.chunks_exact(dimensions)) {
            let square = point.iter().zip(&mean).map(|(a, b)| (a - b).powi(2));
            let square = square.sum::<f64>();
            *distance = if position == 0 {
                square
            } else {
                distance.min(square)
            };
        }
        let mut cholesky = vec![0.0; dimensions * dimensions];
        for diagonal in cholesky.iter_mut().step_by(dimensions + 1) {
            *diagonal = variance.sqrt();
        }
        let weight = 1.0 / count as f64;
        components.push(Component {
            weight,
            mean,
            cholesky,
        });
    }
    Mixture {
        dimensions,
        components,
    }
}

/// What of the points falls to one component: how much, their sum, and the sum of their products, lower triangle.
#[derive(Clone)]
struct Sums {
    weight: f64,
    sum: Vec<f64>,
    products: Vec<f64>,
}

impl Sums {
    fn nothing(dimensions: usize) -> Self {
        Self {
            weight: 0.0,
            sum: vec![0.0; dimensions],
            products: vec![0.0; dimensions * dimensions],
        }
    }

    fn add(&mut self, weight: f64, point: &[f64]) {
        self.weight += weight;
        for (row, &a) in point.iter().enumerate() {
            self.sum[row] += weight * a;
            let products = &mut self.products[row * point.len()..][..=row];
            for (product, b) in products.iter_mut().zip(point) {
                *product += weight * a * b;
            }
        }
    }

    fn add_sums(&mut self, other: &Self) {
        self.weight += other.weight;
        let values = other.sum.iter().chain(&other.products);
        for (to, value) in self.sum.iter_mut().chain(&mut self.products).zip(values) {
            *to += value;
        }
    }
}

/// What of the points falls to each component.
fn expectation(mixture: &Mixture, points: &[f64]) -> Vec<Sums> {
    let Mixture {
        dimensions,
        components,
    } = mixture;
    let scales: Vec<f64> = components.iter().map(Component::log_scale).collect();
    let nothing = vec![Sums::nothing(*dimensions); components.len()];
    let blocks = map(points.chunks(BLOCK * dimensions), |block| {
        let mut sums = nothing.clone();
        let mut white = vec![0.0; *dimensions];
        for point in block.chunks_exact(*dimensions) {
            let mut highest = f64::NEG_INFINITY;
            let logs = components.iter().zip(&scales).map(|(component, scale)| {
                let least = highest + NEGLIGIBLE - scale;
                let log = scale + component.log_form(point, &mut white, least);
                highest = highest.max(log);
                log
            });
            let logs: Vec<f64> = logs.collect();
            let log_density = log_sum_exp(&logs);
            for (sums, log) in sums.iter_mut().zip(logs) {
                if log > log_density + NEGLIGIBLE {
                    sums.add((log - log_density).exp(), point);
                }
            }
        }
        sums
    });
    blocks.into_iter().fold(nothing, |mut all, block| {
        for (all, block) in all.iter_mut().zip(&block) {
            all.add_sums(block);
        }
        all
    })
}

/// The components that the sums say; as before where nothing falls to one. Each covariance counts the round one
/// as if so many points had it as there are dimensions.
fn maximisation(mixture: Mixture, sums: &[Sums], round: f64) -> Mixture {
    let dimensions = mixture.dimensions;
    let total: f64 = sums.iter().map(|sums| sums.weight).sum();
    let components = mixture.components.into_iter().zip(sums);
    let components = components.map(|(before, sums)| {
        let Sums {
            weight,
            sum,
            products,
        } = sums;
        if *weight < 1.0 {
            return Component {
                weight: 1e-9,
                ..before
            };
        }
        let mean: Vec<f64> = sum.iter().map(|value| value / weight).collect();
        let mut covariance = vec![0.0; dimensions * dimensions];
        for row in 0..dimensions {
            for column in 0..=row {
                let place = row * dimensions + column;
                let spread = products[place] - weight * mean[row] * mean[column];
                let rounder = if row == column {
                    dimensions as f64 * round
                } else {
                    0.0
                };
                covariance[place] = (spread + rounder) / (weight + dimensions as f64);
            }
        }
        let weight = weight / total;
        let cholesky = cholesky(&covariance, dimensions, LEAST_VARIANCE);
        Component {
            weight,
            mean,
            cholesky,
        }
    });
    let components = components.collect();
    Mixture {
        dimensions,
        components,
    }
}

#[cfg(test)]
mod tests {
    use super::super::transport::Transport;
    use super::*;
    use crate::rng::normal;

    /// Three clouds in two dimensions.
    fn clouds() -> Mixture {
        let component = |weight, mean: [f64; 2], cholesky: [f64; 4]| Component {
            weight,
            mean: mean.into(),
            cholesky: cholesky.into(),
        };
        Mixture {
            dimensions: 2,
            components: vec![
                component(0.2, [-6.0, 1.0], [0.5, 0.0, 0.2, 0.3]),
                component(0.5, [0.5, 0.5], [1.0, 0.0, -0.5, 0.7]),
                component(0.3, [6.0, -4.0], [0.6, 0.0, 0.0, 1.2]),
            ],
        }
    }

    fn points(mixture: &Mixture, count: usize) -> Vec<f32> {
        let transport = Transport::onto(mixture);
        let normals = normal(3, Purpose::Prior, 0, 2 * count);
        let points = normals
            .chunks(2)
            .flat_map(|u| transport.of(&[u[0].into(), u[1].into()]));
        points.map(|value| value as f32).collect()
    }

    #[test]
    fn clouds_are_found_again() {
        let truth = clouds();
        let mut found = fit(&points(&truth, 6_000), 2, 3, 7, |_| ());
        found
            .components
            .sort_by(|a, b| a.mean[0].total_cmp(&b.mean[0]));
        for (found, truth) in found.components.iter().zip(&truth.components) {
            let close = |found: &[f64], truth: &[f64], by: f64| {
                found.iter().zip(truth).all(|(a, b)| (a - b).abs() < by)
            };
            assert!((found.weight - truth.weight).abs() < 0.02, "{found:?}");
            assert!(close(&found.mean, &truth.mean, 0.1), "{found:?}");
            assert!(close(&found.cholesky, &truth.cholesky, 0.1), "{found:?}");
        }
    }

    #[test]
    fn the_fit_does_not_depend_on_the_threads() {
        let points = points(&clouds(), 3_000);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool")
                .install(|| fit(&points, 2, 5, 1, |_| ()))
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn points_that_are_all_the_same_have_a_fit() {
        let mixture = fit(&[1.5; 40], 2, 4, 1, |_| ());
        let drawn = Transport::onto(&mixture).of(&[1.0, -1.0]);
        assert!(drawn.iter().all(|z| (z - 1.5).abs() < 0.01), "{drawn:?}");
    }
}

//! Where images lie, in two dimensions.

use super::eigen::symmetric_eigen;
use crate::Result;
use crate::data::{Corruption, Examples, Split};
use crate::model::{Mode, Vae};

/// Images that are encoded at a time.
const BATCH: usize = 250;

/// The posterior means of a split in two dimensions, and what those are: the latent dimensions, if there are two or one;
/// else the two principal components, with their share of the variance.
pub fn plane(
    vae: &Vae,
    split: &Split,
    corruption: Corruption,
) -> Result<(Vec<[f64; 2]>, [String; 2])> {
    let latent_dim = vae.latent_dim();
    let mut means = Vec::with_capacity(split.len() * latent_dim);
    let _prepared = vae.keep_encoder_prepared()?;
    for first in (0..split.len()).step_by(BATCH) {
        let last = (first + BATCH).min(split.len());
        let examples = Examples::of(split, first, last, corruption)?;
        let posterior = vae.encode(&examples.seen, &examples.labels, Mode::Inference)?;
        let values = posterior.mean()?.flatten_all()?.to_vec1::<f32>()?;
        means.extend(values.into_iter().map(f64::from));
    }
    Ok(match latent_dim {
        1 => {
            let points = means.iter().map(|&mean| [mean, 0.0]);
            (
                points.collect(),
                ["latent dimension 0".into(), String::new()],
            )
        }
        2 => {
            let points = means.chunks_exact(2).map(|mean| [mean[0], mean[1]]);
            let names = [0, 1].map(|dimension| format!("latent dimension {dimension}"));
            (points.collect(), names)
        }
        _ => principal(&means, latent_dim),
    })
}

/// The two principal components of points, and what they are called.
///
/// # Shapes
///
/// - points: (points, dimensions), 3 dimensions or more
fn principal(points: &[f64], dimensions: usize) -> (Vec<[f64; 2]>, [String; 2]) {
    let count = (points.len() / dimensions) as f64;
    let mut mean = vec![0.0; dimensions];
    for point in points.chunks_exact(dimensions) {
        for (mean, value) in mean.iter_mut().zip(point) {
            *mean += value / count;
        }
    }
    let mut covariance = vec![0.0; dimensions * dimensions];
    for point in points.chunks_exact(dimensions) {
        for row in 0..dimensions {
            for column in 0..dimensions {
                let product = (point[row] - mean[row]) * (point[column] - mean[column]);
                covariance[row * dimensions + column] += product / count;
            }
        }
    }
    let (values, vectors) = symmetric_eigen(&covariance, dimensions);
    let mut order: Vec<usize> = (0..dimensions).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let axes = [0, 1].map(|axis| &vectors[order[axis] * dimensions..][..dimensions]);
    let all: f64 = values.iter().sum();
    let names = [0, 1].map(|axis| {
        let share = 100.0 * values[order[axis]] / all.max(f64::MIN_POSITIVE);
        format!(
            "principal component {} ({share:.0} % of the variance)",
            axis + 1
        )
    });
    let along = |point: &[f64], axis: &[f64]| -> f64 {
        let products = point
            .iter()
            .zip(&mean)
            .zip(axis)
            .map(|((value, mean), axis)| (value - mean) * axis);
        products.sum()
    };
    let projected = points
        .chunks_exact(dimensions)
        .map(|point| axes.map(|axis| along(point, axis)));
    (projected.collect(), names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principal_components_are_where_points_differ_most() {
        // Along (0, 3, 4) / 5 five times as far as along the first axis, and nowhere else.
        let mut points = Vec::new();
        for (along, beside) in [(-5.0, -1.0), (5.0, -1.0), (-5.0, 1.0), (5.0, 1.0)] {
            points.extend([beside + 7.0, 0.6 * along, 0.8 * along - 2.0]);
        }
        let (found, names) = principal(&points, 3);
        for (point, [along, beside]) in found.iter().zip([[5.0, 1.0]; 4]) {
            assert!((point[0].abs() - along).abs() < 1e-9, "{found:?}");
            assert!((point[1].abs() - beside).abs() < 1e-9, "{found:?}");
        }
        assert_eq!(names[0], "principal component 1 (96 % of the variance)");
    }
}

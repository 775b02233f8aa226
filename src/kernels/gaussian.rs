//! Normal distributions without correlations: samples of them, and their divergence from the unit normal one.
//!
//! `parameters` has the shape (images, 2 * latent dimensions): the means of an image, then its log variances. `columns`
//! is how many that are.

use super::elementwise::for_each_row;
use super::squared_error::sum;

/// As many values take as long as one with an exponential.
const EXPONENTIAL: usize = 8;

/// Means and log variances of an image.
fn halves(parameters: &[f32], image: usize, columns: usize) -> [&[f32]; 2] {
    let (mean, log_variance) = parameters[image * columns..][..columns].split_at(columns / 2);
    [mean, log_variance]
}

/// Samples: mean + exp(log_variance / 2) * epsilon.
///
/// # Shapes
///
/// - epsilon, samples: (images, latent dimensions)
pub fn sample(parameters: &[f32], columns: usize, epsilon: &[f32], samples: &mut [f32]) {
    let latent_dim = columns / 2;
    let values = columns * EXPONENTIAL;
    for_each_row(samples, latent_dim, values, |image, samples| {
        let [means, log_variances] = halves(parameters, image, columns);
        let epsilons = &epsilon[image * latent_dim..];
        let normals = means.iter().zip(log_variances).zip(epsilons);
        for (sample, ((mean, l), epsilon)) in samples.iter_mut().zip(normals) {
            *sample = mean + (0.5 * l).exp() * epsilon;
        }
    });
}

/// The gradient of the parameters of samples, from `gradients`, that of the samples.
///
/// # Shapes
///
/// - epsilon, gradients: (images, latent dimensions)
/// - to: as `parameters`
pub fn sample_gradient(
    parameters: &[f32],
    columns: usize,
    epsilon: &[f32],
    gradients: &[f32],
    to: &mut [f32],
) {
    for_each_row(to, columns, columns * EXPONENTIAL, |image, to| {
        let [_, log_variances] = halves(parameters, image, columns);
        let (mean, to) = to.split_at_mut(columns / 2);
        let row = image * mean.len()..(image + 1) * mean.len();
        mean.copy_from_slice(&gradients[row.clone()]);
        let normals = log_variances.iter().zip(&gradients[row.clone()]);
        let normals = normals.zip(&epsilon[row]);
        for (to, ((l, g), epsilon)) in to.iter_mut().zip(normals) {
            *to = 0.5 * (0.5 * l).exp() * epsilon * g;
        }
    });
}

/// The divergence from the unit normal distribution, for each image, in nats: 1/2 of the sum over latent
/// dimensions of (mean² + variance - 1 - log variance). In double precision.
///
/// # Shapes
///
/// - kls: (images)
pub fn kl(parameters: &[f32], columns: usize, kls: &mut [f32]) {
    for_each_row(kls, 1, columns * EXPONENTIAL, |image, kl| {
        let halves = halves(parameters, image, columns);
        kl[0] = sum(halves, |mean, log_variance| {
            // exp_m1 keeps its precision where the posterior is close to the prior.
            0.5 * (mean * mean + log_variance.exp_m1() - log_variance)
        });
    });
}

/// The gradient of the parameters of divergences, from `gradients`, that of the divergences.
///
/// # Shapes
///
/// - gradients: (images)
/// - to: as `parameters`
pub fn kl_gradient(parameters: &[f32], columns: usize, gradients: &[f32], to: &mut [f32]) {
    for_each_row(to, columns, columns * EXPONENTIAL, |image, to| {
        let [means, log_variances] = halves(parameters, image, columns);
        let (mean, to) = to.split_at_mut(columns / 2);
        for (to, m) in mean.iter_mut().zip(means) {
            *to = m * gradients[image];
        }
        for (to, l) in to.iter_mut().zip(log_variances) {
            *to = 0.5 * l.exp_m1() * gradients[image];
        }
    });
}

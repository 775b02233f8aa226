//! All randomness of the program: (seed, purpose, step) to numbers.
//!
//! Every draw is a pure function of those three. No generator lives longer than one draw, so none
//! has to be saved, and a run that was interrupted continues with the numbers it would have had.

use crate::parallel::for_each;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// What a draw is for. Draws for different purposes are independent of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The first values of the weights; the step is the parameter's position in the model.
    Weights = 1,
    /// The order of the training images; the step is the epoch.
    Shuffle = 2,
    /// The posterior samples of a training step.
    Posterior = 3,
    /// The dropout masks of a part of a batch; the step is `part << 16 | sequence << 8 | stage`, with the part's number
    /// in the run: the training step's, where batches are in one part.
    Dropout = 4,
    /// The posterior samples of an evaluation; the step is the number of the test batch.
    Evaluation = 5,
    /// Latent vectors drawn from the prior.
    Prior = 6,
    /// The strokes of the synthetic digits; the step is the number of the image.
    Synthetic = 7,
    /// The first centres of a mixture.
    Mixture = 8,
    /// The posterior samples that a likelihood is estimated with; the step is the number of the image.
    Importance = 9,
    /// The first values of a classifier's weights; the step is the parameter's position.
    Classifier = 10,
    /// Pixels that are made black or white in training; the step is how many images were seen before.
    Binarize = 11,
    /// Pixels that are made black or white once; the step is the number of the image.
    BinarizeOnce = 12,
    /// Noise on images in training; the step is how many images were seen before.
    Noise = 13,
    /// Noise on images that is always the same; the step is the number of the image.
    NoiseOnce = 14,
    /// Posterior samples that hidden parts of images are drawn from; the step is `drawing << 48 | round << 32 | image`.
    Filling = 15,
    /// Posterior samples of images that are encoded; the step is the number of the image.
    Encoding = 16,
    /// How training images are changed; the step is how many images were seen before.
    Augment = 17,
}

/// The generator for one draw.
///
/// ChaCha with 8 rounds: the seed and the purpose are its key, the step is its stream.
pub fn stream(seed: u64, purpose: Purpose, step: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(step);
    rng
}

/// `count` numbers from the standard normal distribution.
pub fn normal(seed: u64, purpose: Purpose, step: u64, count: usize) -> Vec<f32> {
    let rng = stream(seed, purpose, step);
    StandardNormal.sample_iter(rng).take(count).collect()
}

/// Fills `draws` with ones, with a probability of `probability` each, and zeros. All threads do so; the draws do not depend
/// on how many there are.
pub fn bernoulli(seed: u64, purpose: Purpose, step: u64, probability: f32, draws: &mut [u8]) {
    const BLOCK: usize = 16 * 1024;
    let threshold = (f64::from(probability) * 2f64.powi(32)) as u64;
    for_each(draws.chunks_mut(BLOCK).enumerate(), |(block, draws)| {
        let mut rng = stream(seed, purpose, step);
        rng.set_word_pos((block * BLOCK) as u128);
        draws.fill_with(|| (u64::from(rng.next_u32()) < threshold).into());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_seed_purpose_and_step_alone() {
        let draw = |seed, purpose, step| normal(seed, purpose, step, 8);
        assert_eq!(draw(1, Purpose::Prior, 2), draw(1, Purpose::Prior, 2));
        assert_ne!(draw(1, Purpose::Prior, 2), draw(2, Purpose::Prior, 2));
        assert_ne!(draw(1, Purpose::Prior, 2), draw(1, Purpose::Posterior, 2));
        assert_ne!(draw(1, Purpose::Prior, 2), draw(1, Purpose::Prior, 3));
        assert_eq!(
            draw(1, Purpose::Prior, 2)[..4],
            normal(1, Purpose::Prior, 2, 4)
        );
    }

    #[test]
    fn normal_draws_have_mean_0_and_variance_1() {
        let draws = normal(7, Purpose::Posterior, 0, 100_000);
        let mean = draws.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e5;
        let variance = draws.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn bernoulli_have_their_probability_and_do_not_depend_on_the_threads() {
        let draws = |probability| {
            let mut draws = vec![2; 100_001];
            bernoulli(3, Purpose::Dropout, 5, probability, &mut draws);
            draws
        };
        let draw = || draws(0.8);
        let ones = draw().into_iter().map(u32::from).sum::<u32>();
        assert!(draw().iter().all(|&draw| draw < 2));
        let share = f64::from(ones) / 100_001.0;
        assert!((share - 0.8).abs() < 0.01, "{share}");
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            assert_eq!(pool.expect("a pool").install(draw), draw());
        }
        assert!(draws(1.0).into_iter().all(|draw| draw == 1));
    }
}

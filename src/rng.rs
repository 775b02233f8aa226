//! All randomness of the program: (seed, purpose, step) to numbers.
//!
//! Every draw is a pure function of those three. No generator lives longer than one draw, so none
//! has to be saved, and a run that was interrupted continues with the numbers it would have had.

use rand::SeedableRng;
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
    /// The dropout masks of a training step; the step counts steps times layers.
    Dropout = 4,
    /// The posterior samples of an evaluation; the step is the number of the test batch.
    Evaluation = 5,
    /// Latent vectors drawn from the prior.
    Prior = 6,
    /// The strokes of the synthetic digits; the step is the number of the image.
    Synthetic = 7,
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

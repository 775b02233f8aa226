//! Noise on images that a model learns to take away.

use crate::parallel::for_each;
use crate::rng::{Purpose, normal, stream};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// What is done to an image before the encoder sees it. What is to be drawn stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// Nothing.
    #[default]
    None,
    /// Normal numbers of this standard deviation are added to its values, 0 to 10, which are then held to 0 to 1.
    Gaussian(f64),
    /// This share of its values, 0 to 1, becomes 0 or 1, each as often.
    SaltAndPepper(f64),
    /// This share of its values, 0 to 1, becomes 0 (Vincent et al., 2008).
    Masked(f64),
}

/// Noise, and the seed that decides it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Corruption {
    /// What is done.
    pub noise: Noise,
    /// What decides it, with the number of the image.
    pub seed: u64,
}

/// No noise.
pub const CLEAN: Corruption = Corruption {
    noise: Noise::None,
    seed: 0,
};

impl Noise {
    /// The number that it has, which `--noise` sets.
    pub fn amount(self) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Gaussian(amount) | Self::SaltAndPepper(amount) | Self::Masked(amount) => {
                Some(amount)
            }
        }
    }

    /// The same kind of noise with another number; Gaussian, if it is none.
    pub fn with_amount(self, amount: f64) -> Self {
        match self {
            Self::None | Self::Gaussian(_) => Self::Gaussian(amount),
            Self::SaltAndPepper(_) => Self::SaltAndPepper(amount),
            Self::Masked(_) => Self::Masked(amount),
        }
    }

    /// The most that the number may be; 0 is the least.
    pub fn most(self) -> f64 {
        match self {
            Self::None | Self::Gaussian(_) => 10.0,
            Self::SaltAndPepper(_) | Self::Masked(_) => 1.0,
        }
    }
}

impl Corruption {
    /// Corrupts images of `each` values, 0 to 1. What is drawn is a function of the seed, the purpose and the number of
    /// the image, which count from `first` on.
    pub fn apply(self, values: &mut [f32], each: usize, purpose: Purpose, first: u64) {
        let images = values.chunks_exact_mut(each).zip(first..);
        for_each(images, |(image, number)| self.image(image, purpose, number));
    }

    fn image(self, values: &mut [f32], purpose: Purpose, number: u64) {
        let mut rng = stream(self.seed, purpose, number);
        match self.noise {
            Noise::None => {}
            Noise::Gaussian(deviation) => {
                let draws = normal(self.seed, purpose, number, values.len());
                for (value, draw) in values.iter_mut().zip(draws) {
                    *value = (*value + deviation as f32 * draw).clamp(0.0, 1.0);
                }
            }
            Noise::SaltAndPepper(share) => {
                for value in values {
                    let (is_hit, is_salt) = (rng.random_bool(share), rng.random_bool(0.5));
                    if is_hit {
                        *value = if is_salt { 1.0 } else { 0.0 };
                    }
                }
            }
            Noise::Masked(share) => {
                for value in values {
                    if rng.random_bool(share) {
                        *value = 0.0;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: usize = 784;

    fn corrupted(noise: Noise, seed: u64) -> Vec<f32> {
        let mut values = vec![0.5; 100 * VALUES];
        Corruption { noise, seed }.apply(&mut values, VALUES, Purpose::Noise, 7);
        values
    }

    fn share(values: &[f32], of: f32) -> f64 {
        values.iter().filter(|&&value| value == of).count() as f64 / values.len() as f64
    }

    #[test]
    fn each_kind_does_what_it_says() {
        assert_eq!(corrupted(Noise::None, 1), vec![0.5; 100 * VALUES]);
        let gaussian = corrupted(Noise::Gaussian(0.1), 1);
        let squares = gaussian.iter().map(|&value| f64::from(value - 0.5).powi(2));
        let deviation = (squares.sum::<f64>() / gaussian.len() as f64).sqrt();
        assert!((deviation - 0.1).abs() < 0.002, "{deviation}");
        let strong = corrupted(Noise::Gaussian(2.0), 1);
        assert!(strong.iter().all(|value| (0.0..=1.0).contains(value)));
        let salted = corrupted(Noise::SaltAndPepper(0.4), 1);
        for (of, expected) in [(0.5, 0.6), (0.0, 0.2), (1.0, 0.2)] {
            assert!((share(&salted, of) - expected).abs() < 0.01, "{of}");
        }
        let masked = corrupted(Noise::Masked(0.3), 1);
        assert!((share(&masked, 0.0) - 0.3).abs() < 0.01);
        assert!((share(&masked, 0.5) - 0.7).abs() < 0.01);
    }

    #[test]
    fn noise_depends_on_the_seed_and_the_number_of_the_image() {
        let noise = Noise::Gaussian(0.1);
        let all = corrupted(noise, 1);
        assert_eq!(all, corrupted(noise, 1));
        assert_ne!(all, corrupted(noise, 2));
        let mut third = vec![0.5; VALUES];
        let corruption = Corruption { noise, seed: 1 };
        corruption.apply(&mut third, VALUES, Purpose::Noise, 9);
        assert_eq!(third, all[2 * VALUES..3 * VALUES]);
    }
}

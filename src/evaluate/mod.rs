//! How well a model does: likelihoods, its latent space, and how real its pictures are.

pub mod classifier;
pub mod eigen;
pub mod frechet;
pub mod latent_space;
pub mod likelihood;
pub mod neighbours;
pub mod plane;
pub mod realism;

pub use classifier::Classifier;
pub use latent_space::{AggregatedPosterior, Dimension, LatentSpace};
pub use likelihood::LogLikelihood;
pub use realism::{Likeness, Nearest, Realism, realism};

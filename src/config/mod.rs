//! Every hyperparameter: its name, its default, its range; layers as they are written.

pub mod hyperparameters;
pub mod image;
pub mod layers;
mod parse;
pub mod provenance;
mod ranges;
mod wording;

pub use hyperparameters::{BetaSchedule, Config, DEFAULT_JSON, Likelihood, Prior, Schedule};
pub use image::{ImageConfig, Size};
pub use layers::{ConvConfig, DenseConfig, LayerConfig, PaddingConfig};
pub use provenance::Provenance;
pub use ranges::MOST_COMPONENTS;

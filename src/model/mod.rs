//! From a configuration to layers with weights: encoder, decoder, posterior, and the terms of the loss.

pub mod architecture;
pub mod condition;
pub mod filling;
pub mod geometry;
pub mod likeliest;
mod nearest;
pub mod onnx;
mod other_images;
pub mod paths;
pub mod prior;
pub mod rounding;
pub mod sampling;
pub mod vae;
mod weights;

pub use crate::nn::dropout::Mode;
pub use crate::nn::posterior::Posterior;
pub use prior::FittedPrior;
pub use vae::{LossTerms, Vae};

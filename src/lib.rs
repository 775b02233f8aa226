//! Train and sample convolutional variational autoencoders.

#![deny(unsafe_code)]
#![warn(missing_docs)]
#![warn(clippy::unwrap_used, clippy::expect_used)]

pub mod cli;
pub mod config;
pub mod data;
mod error;
pub mod files;
pub mod kernels;
pub mod model;
pub mod nn;
mod parallel;
pub mod picture;
pub mod rng;
pub mod run;
pub mod train;

pub use error::{Error, ErrorKind, Result};

//! Train and sample convolutional variational autoencoders.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod data;
mod error;
pub mod rng;

pub use error::{Error, ErrorKind, Result};

//! Train and sample convolutional variational autoencoders.
//!
//! The crate is a house of floors. Each uses only those below it, and no files use each other in a circle
//! (`tests/house.rs` holds both):
//!
//! | floor | holds | knows |
//! | --- | --- | --- |
//! | [`cli`] | one file a subcommand; console | everything; the only floor that prints |
//! | [`run`] | directory and lock, checkpoint, metrics, weights file, report | training, models, files |
//! | [`picture`] | anyone's pictures, grids, plots, a page to play with | shapes, no model |
//! | [`evaluate`] | likelihoods, the latent space, how real samples are | models, data, files of its own |
//! | [`train`] | the loop, the schedule, what a step reports | models, data |
//! | [`model`] | from a configuration to layers; encoder, decoder, posterior; the terms of the loss; ONNX | layers |
//! | [`config`] | every hyperparameter with its range; layers as they are written | plain data |
//! | [`data`] | data sets with their shape as a value; where they come from; batches; latent vectors in files | files, tensors |
//! | [`nn`] | what candle differentiates: layers, a sequence as one operation, Adam | kernels, candle |
//! | [`kernels`] | arithmetic on slices: products, convolutions, Winograd, activations | slices, threads |
//! | ground | [`Error`], [`files`], [`checksum`], [`protobuf`], [`rng`], `parallel`, `patience` | |
//!
//! One batch's way, from its file to a line and a picture:
//!
//! 1. [`data::load()`] reads a data set; [`data::batches::Batches`] picks a step's images and makes a tensor of them.
//! 2. [`train::Trainer`] gives them, with noise from [`rng`], to a [`model::Vae`].
//! 3. Its encoder, an [`nn::sequential::Sequential`], makes a [`model::Posterior`] of each image: on the CPU as one
//!    operation that takes shards of the batch through [`kernels`].
//! 4. A sample of the posterior goes through the decoder, whose last act is the squared error. With the divergence from
//!    the prior these are the [`model::LossTerms`].
//! 5. candle's `backward` walks back through the same operations, which leave [`nn::gradient::Gradients`].
//! 6. [`nn::adam::Adam`] moves the weights.
//! 7. The trainer tells of it as [`train::Event`]s, and knows nothing of who listens:
//! 8. `cli`'s recorder, which has [`run`] write metrics, checkpoints and the report, and [`picture`] make PNGs of what the
//!    model draws.
//!
//! A latent vector's way is shorter: standard normal numbers, a [`model::FittedPrior`] that makes a latent vector of them,
//! the decoder ([`model::sampling::sample`]), [`picture::grid::png`], a file.

#![deny(unsafe_code)]
#![warn(missing_docs)]
#![warn(clippy::unwrap_used, clippy::expect_used)]

pub mod checksum;
pub mod cli;
pub mod config;
pub mod data;
mod error;
pub mod evaluate;
pub mod files;
pub mod kernels;
pub mod model;
pub mod nn;
mod parallel;
#[cfg(feature = "download")]
mod patience;
pub mod picture;
pub mod protobuf;
pub mod rng;
pub mod run;
pub mod train;

pub use error::{Error, ErrorKind, Result};

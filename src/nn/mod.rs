//! What candle's `backward` differentiates: layers, losses and the optimiser.
//!
//! From outside, a [`sequential::Sequential`] of layers takes a tensor and gives a tensor. On the CPU it does so
//! as one operation (`fused`) from [`crate::kernels`], forward and backward; on other devices with candle's own
//! operations (`candle_ops`), from the same weights. Grids of pixels have the shape (images, rows, columns, channels).
//!
//! | file | what |
//! | --- | --- |
//! | [`layer`], [`stage`], [`dropout`] | what a sequence is made of |
//! | [`backend`], [`tensor`] | whose operations compute, and the values of candle's tensors |
//! | [`sequential`] | a whole encoder or decoder |
//! | `fused` | the same as one operation; segments of stages, one after the other |
//! | `shards` | a segment that works image by image, on shards of the batch |
//! | `dense`, `tiled` | a segment that works on the whole batch |
//! | `primitive`, `prepared_dense` | stages with their weights in the order that their products want |
//! | `saved`, [`gradient`] | what is left for the backward pass, and what that leaves |
//! | [`posterior`], [`criterion`] | the bottleneck, and what comes out beside what should |
//! | [`adam`], [`average`] | the optimiser, and a moving average of what it moves |

pub mod adam;
pub mod average;
pub mod backend;
mod candle_ops;
pub mod criterion;
mod dense;
pub mod dropout;
mod fused;
pub mod gradient;
pub mod layer;
pub mod posterior;
mod prepared_dense;
mod primitive;
mod saved;
pub mod sequential;
mod shards;
pub mod stage;
pub mod tensor;
mod tiled;

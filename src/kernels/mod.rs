//! Arithmetic on slices: what layers, losses and Adam compute with on the CPU.
//!
//! A kernel knows slices of numbers and the threads of `crate::parallel`, and neither tensors nor layers, so that it
//! can be tested and timed as a plain function. Grids of pixels have their channels last: (images, rows, columns,
//! channels). The one file that passes over the compiler's checks of memory is [`matmul`].
//!
//! | to read first | then |
//! | --- | --- |
//! | [`buffers`], [`scratch`], [`matmul`], [`transpose`] | [`dense`] |
//! | [`geometry`], [`padding`], [`im2col`] | [`convolution`] |
//! | [`register_block`], [`streamed_matmul`] | [`direct_conv`], [`winograd`] |
//! | [`vectorized`], [`elementwise`], [`exponential`] | [`activation`], [`dropout`], [`squared_error`], [`cross_entropy`], [`gaussian`] |
//! | the same | [`adam`], [`average`], [`cholesky`], [`mixture`] |

pub mod activation;
pub mod adam;
pub mod average;
pub mod buffers;
pub mod cholesky;
pub mod convolution;
pub mod cross_entropy;
pub mod dense;
pub mod direct_conv;
pub mod dropout;
pub mod elementwise;
pub mod exponential;
pub mod gaussian;
pub mod geometry;
pub mod im2col;
pub mod matmul;
pub mod mixture;
pub mod padding;
pub mod register_block;
pub mod scratch;
pub mod squared_error;
pub mod streamed_matmul;
pub mod transpose;
pub mod vectorized;
pub mod winograd;

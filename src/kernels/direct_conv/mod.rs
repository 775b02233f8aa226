//! Direct convolutions, of large grids with few channels: those next to images, grey or in colour.
//!
//! Their patches are as short as they are many. The products of [`super::convolution`] are computed here straight
//! from the grid, without patches in between: a vector holds neighbouring channels of the small grid or
//! neighbouring values under the kernel, and some places share what is loaded for them.
//!
//! The channels of a pixel lie beside each other, so that a row of the kernel is a row of values: a tap is one of them.

mod backward_data;
mod backward_weights;
mod forward;
mod places;

pub use backward_data::backward_data;
pub use backward_weights::backward_weights;
pub use forward::forward;
pub use places::{has_blocks_of_taps, has_few_channels};

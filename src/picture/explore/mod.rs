//! A page that runs a model in a browser: one file, which loads nothing.

mod controls;
mod layers;
mod page;
mod tensors;

pub use layers::Layers;
pub use page::{About, page};
pub use tensors::Tensors;

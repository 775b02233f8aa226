//! MNIST: from a cache of our own, else from the hub, and always verified.

pub mod cache;
#[cfg(feature = "download")]
mod hub;
pub mod published;

pub use cache::load;
pub use published::{NAME, check};

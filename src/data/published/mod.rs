//! Data sets that are known by name: from a cache of our own, else from the hub, and always verified.

pub mod cache;
#[cfg(feature = "download")]
mod hub;
pub mod sets;

pub use cache::load;
pub use sets::{CIFAR_10, FASHION_MNIST, MNIST, Published, SETS};

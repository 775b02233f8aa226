//! Mixtures of normal distributions: their density, their fit to points, and a map onto them from the unit normal.

mod density;
mod fit;
mod tail;
mod transport;

pub use density::{Component, Mixture, log_sum_exp};
pub use fit::{ROUNDS, fit};
pub use transport::Transport;

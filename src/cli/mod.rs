//! The command line: flags in, messages out. Nothing else in the crate prints.

mod command;
mod completions;
mod console;
mod device;
mod evaluate;
mod interpolate;
mod interrupts;
mod latent;
mod manifold;
mod own;
mod paths;
mod point;
mod reconstruct;
mod recorder;
mod sample;
mod scatter;
mod table;
mod train;
mod traverse;

pub use command::{command, main};

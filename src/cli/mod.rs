//! The command line: flags in, messages out. Nothing else in the crate prints.

mod command;
mod completions;
mod console;
mod device;
mod evaluate;
mod interrupts;
mod paths;
mod reconstruct;
mod recorder;
mod sample;
mod train;

pub use command::{command, main};

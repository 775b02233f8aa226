//! The command line: flags in, messages out. Nothing else in the crate prints.

mod command;
mod completions;
mod console;
mod interrupts;
mod paths;
mod reconstruct;
mod recorder;
mod sample;
mod train;

use command::Cli;
pub use command::main;
use paths::{model_path, write_result};

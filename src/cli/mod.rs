//! The command line: flags in, messages out. Nothing else in the crate prints.

mod command;
mod completions;
mod console;
mod decode;
mod device;
mod encode;
mod evaluate;
mod explore;
mod export;
mod images;
mod interpolate;
mod interrupts;
mod labels;
mod latent;
mod manifold;
mod mixtures;
mod model;
mod paths;
mod pictures;
mod point;
mod reconstruct;
mod recorder;
mod report;
mod sample;
mod scatter;
mod screen;
mod show;
mod source;
mod table;
mod terminal;
mod train;
mod traverse;

pub use command::{command, main};

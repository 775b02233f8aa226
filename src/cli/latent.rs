//! `vae latent`: pictures of a latent space.

use super::console::Console;
use super::interpolate::Interpolate;
use super::manifold::Manifold;
use super::scatter::Scatter;
use super::traverse::Traverse;
use crate::Result;
use candle_core::Device;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Look at the latent space: ways through it, its dimensions, and where images lie in it.
#[derive(Debug, Args)]
pub struct Latent {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Interpolate(Interpolate),
    Traverse(Traverse),
    Manifold(Manifold),
    Scatter(Scatter),
}

impl Latent {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        match self.command {
            Command::Interpolate(command) => command.run(console, device),
            Command::Traverse(command) => command.run(console, device),
            Command::Manifold(command) => command.run(console, device),
            Command::Scatter(command) => command.run(console, device),
        }
    }
}

//! `vae completions`: what shells complete.

use super::Cli;
use crate::Result;
use crate::cli::console::print;
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use std::process::ExitCode;

/// Print a shell's completion script, e.g. `vae completions bash >> ~/.bash_completion`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell to complete for
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Result<ExitCode> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "vae", &mut script);
        print(String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}

//! `vae completions`: what shells complete.

use super::console::print;
use crate::{Error, Result};
use clap::Args;
use clap_complete::{Shell, generate};
use std::process::ExitCode;

/// Print a shell's completion script, e.g. `vae completions bash >> ~/.bash_completion`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell to complete for [default: the one that $SHELL names]
    shell: Option<Shell>,
}

impl Completions {
    /// `program` is what there is to complete.
    pub fn run(self, mut program: clap::Command) -> Result<ExitCode> {
        let shell = self.shell.or_else(Shell::from_env).ok_or_else(|| {
            Error::input("completions", "it is not known for which shell")
                .hint("name it, as in: vae completions bash")
        })?;
        let mut script = Vec::new();
        generate(shell, &mut program, "vae", &mut script);
        print(String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}

//! Which model a command uses.

use super::console::Console;
use crate::Result;
use crate::config::Config;
use crate::model::Vae;
use crate::run::{self, ModelName};
use candle_core::Device;
use clap::Args;
use std::path::Path;

/// The model that a command uses.
#[derive(Debug, Args)]
pub(super) struct ModelFlag {
    /// A run directory, a weights file, or `builtin`, the model that comes with the program [default: the newest run below
    /// runs/, else builtin]
    #[arg(long, value_name = "PATH")]
    model: Option<ModelName>,
}

impl ModelFlag {
    /// What is asked for; else the newest run below `runs/`; else, which is then said, the built-in model.
    pub fn name(&self, console: &Console) -> ModelName {
        let newest = || run::newest(Path::new(run::RUNS)).map(ModelName::Path);
        self.model.clone().or_else(newest).unwrap_or_else(|| {
            console.say("nothing has been trained below runs/ yet: this is the built-in model");
            ModelName::Builtin
        })
    }

    /// The model of that name.
    pub fn load(&self, console: &Console, device: &Device) -> Result<(ModelName, Config, Vae)> {
        let name = self.name(console);
        let (config, vae) = run::load_model(&name, device)?;
        Ok((name, config, vae))
    }
}

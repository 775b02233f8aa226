//! `vae export`: a model for other programs.

use super::console::Console;
use super::model::ModelFlag;
use super::paths::{deliver, kind};
use crate::model::onnx;
use crate::run::weights;
use crate::{Error, Result};
use candle_core::Device;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  vae export                           model-encoder.onnx and model-decoder.onnx, of the newest run
  vae export digits.onnx --model DIR   digits-encoder.onnx and digits-decoder.onnx, of that run

Encoder: `image` (batch, channels, rows, columns), 0 to 1, to `mean` and `log_variance` (batch, latent dimensions).
Decoder: `latent` (batch, latent dimensions) to `image`. If the model is told labels both want `label` (batch), int64.";

/// Write a model as ONNX, for onnxruntime and others: its encoder and its decoder, a file each.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Export {
    /// What the two files are named after
    #[arg(value_name = "OUT", default_value = "model.onnx")]
    out: PathBuf,

    #[command(flatten)]
    model: ModelFlag,
}

impl Export {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        if kind(&self.out, "").as_str() != "onnx" {
            return Err(
                Error::input(self.out.display(), "is not where ONNX files could go").hint(
                    "end it in .onnx: model.onnx makes model-encoder.onnx and model-decoder.onnx",
                ),
            );
        }
        let (_, config, vae) = self.model.load(console, device)?;
        let about = [
            ("version", env!("CARGO_PKG_VERSION").to_string()),
            ("config", weights::description(&config)?.to_string()),
            ("loss", config.loss_in_words()),
        ];
        let encoder = onnx::encoder(&config, &vae, &about)?;
        let decoder = onnx::decoder(&config, &vae, &about)?;
        deliver(console, &part(&self.out, "encoder"), &encoder)?;
        deliver(console, &part(&self.out, "decoder"), &decoder)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The name of the file of a part of a model.
fn part(out: &Path, name: &str) -> PathBuf {
    let mut file = out.file_stem().unwrap_or_default().to_os_string();
    file.push(format!("-{name}.onnx"));
    out.with_file_name(file)
}

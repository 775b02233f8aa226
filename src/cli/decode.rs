//! `vae decode`: latent vectors to pictures.

use super::console::Console;
use super::paths::{model_path, unconditional};
use super::pictures::Form;
use crate::data::latents::{self, Latents, Wanted};
use crate::model::Vae;
use crate::model::sampling::decode_all;
use crate::{Error, Result, files, run};
use candle_core::Device;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// The largest file of latent vectors, and the most of them.
const LARGEST_FILE: u64 = 512 << 20;
const MOST: usize = 100_000;

/// Make pictures of latent vectors.
#[derive(Debug, Args)]
pub struct Decode {
    /// Latent vectors: what `vae encode` writes, an array from NumPy of shape (n, latent dimensions) (.npy, .npz), or a
    /// table with a column a dimension (.csv, .jsonl); - is stdin
    #[arg(value_name = "FILE", default_value = "encoded.npz")]
    latent: PathBuf,

    /// Where to: a grid (.png; - is stdout), a float32 array (.npy) of shape (n, rows, columns), in colour (n, rows,
    /// columns, 3), or a directory (ends in /) with one PNG a picture
    #[arg(value_name = "OUT", default_value = "decoded.png")]
    out: PathBuf,

    /// What to draw, with a model that is told labels [default: what the file says]
    #[arg(long, value_name = "LABEL")]
    label: Option<u8>,

    /// Pictures in a row of the grid, 1 to 10000 [default: about a square]
    #[arg(long, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    columns: Option<usize>,

    /// A run directory or a weights file [default: the newest run below runs/]
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
}

impl Decode {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        let form = Form::of(&self.out)?;
        let model = model_path(self.model.as_deref())?;
        let (_, vae) = run::load_model(&model, device)?;
        if self.label.is_some() && vae.condition().is_none() {
            return Err(unconditional("--label"));
        }
        let name = files::name(&self.latent);
        let content = files::read(&self.latent, LARGEST_FILE)?;
        let wanted = Wanted {
            most: MOST,
            labels: vae.condition().is_some() && self.label.is_none(),
        };
        let latents = latents::read(&content, wanted, &name)?;
        let count = latents.values.len() / latents.latent_dim;
        let (found, expected) = (latents.latent_dim, vae.latent_dim());
        if found != expected {
            let why = format!("its vectors have {found} numbers; the model's have {expected}");
            return Err(Error::input(name, why));
        }
        let labels = self.labels(&name, &latents, count, &vae)?;
        let pictures = decode_all(&vae, &latents.values, &labels)?;
        if let Some(place) = pictures.iter().position(|value| !value.is_finite()) {
            let vector = place / vae.image_shape().values();
            let why = format!("vector {vector} (from 0 on) is too far out to be decoded");
            return Err(Error::input(name, why));
        }
        let (shape, bytes) = (vae.image_shape(), content.len());
        form.write(console, &self.out, &pictures, shape, self.columns)?;
        console.say(format_args!(
            "{count} latent vectors of {} numbers in {bytes} bytes are images of {} bytes, {} in all",
            latents.latent_dim,
            shape.values(),
            count * shape.values()
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// What each picture is to show, for a model that is told; others do not look at it.
    fn labels(&self, name: &str, latents: &Latents, count: usize, vae: &Vae) -> Result<Vec<u8>> {
        let Some(condition) = vae.condition() else {
            return Ok(vec![0; count]);
        };
        let labels = match (self.label, &latents.labels) {
            (Some(label), _) => vec![label; count],
            (None, Some(labels)) => labels.clone(),
            (None, None) => {
                let why = "does not say what to draw, and the model wants to be told";
                return Err(Error::input(name, why).hint("say it: --label N"));
            }
        };
        let known = |label: &u8| usize::from(*label) < condition.classes;
        match labels.iter().position(|label| !known(label)) {
            None => Ok(labels),
            Some(_) if self.label.is_some() => Err(condition.unknown(labels[0])),
            Some(vector) => {
                let error = condition.unknown(labels[vector]);
                let why = format!("vector {vector} (from 0 on): {} {}", error.what, error.why);
                Err(Error::input(name, why))
            }
        }
    }
}

//! `vae decode`: latent vectors to pictures.

use super::console::Console;
use super::labels::label_of;
use super::model::ModelFlag;
use super::pictures::Form;
use super::show::Show;
use crate::data::latents::{self, Latents, Wanted};
use crate::model::Vae;
use crate::model::sampling::decode_all;
use crate::{Error, Result, files};
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
    label: Option<String>,

    /// Pictures in a row of the grid, 1 to 10000 [default: about a square]
    #[arg(long, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    columns: Option<usize>,

    #[command(flatten)]
    model: ModelFlag,

    #[command(flatten)]
    show: Show,
}

impl Decode {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        let form = Form::of(&self.out)?;
        let showing = self.show.open(console)?;
        let (_, config, vae) = self.model.load(console, device)?;
        let label = label_of(self.label.as_deref(), (&config, &vae))?;
        let name = files::name(&self.latent);
        let content = files::read(&self.latent, LARGEST_FILE)?;
        let wanted = Wanted {
            most: MOST,
            labels: vae.condition().is_some() && label.is_none(),
        };
        let latents = latents::read(&content, wanted, &name)?;
        let count = latents.values.len() / latents.latent_dim;
        let (found, expected) = (latents.latent_dim, vae.latent_dim());
        if found != expected {
            let why = format!("its vectors have {found} numbers; the model's have {expected}");
            return Err(Error::input(name, why));
        }
        let labels = match label {
            Some(label) => vec![label; count],
            None => labels_of(&name, &latents, count, &vae)?,
        };
        let pictures = decode_all(&vae, &latents.values, &labels)?;
        if let Some(place) = pictures.iter().position(|value| !value.is_finite()) {
            let vector = place / vae.image_shape().values();
            let why = format!("vector {vector} (from 0 on) is too far out to be decoded");
            return Err(Error::input(name, why));
        }
        let (shape, bytes) = (vae.image_shape(), content.len());
        form.write(console, &self.out, &pictures, shape, self.columns)?;
        showing.pictures(&pictures, shape, self.columns)?;
        console.say(format_args!(
            "{count} latent vectors of {} numbers in {bytes} bytes are images of {} bytes, {} in all",
            latents.latent_dim,
            shape.values(),
            count * shape.values()
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// What each picture is to show, as the file of latent vectors says it to a model that is told; others do not look at it.
fn labels_of(name: &str, latents: &Latents, count: usize, vae: &Vae) -> Result<Vec<u8>> {
    let Some(condition) = vae.condition() else {
        return Ok(vec![0; count]);
    };
    let labels = latents.labels.clone().ok_or_else(|| {
        let why = "does not say what to draw, and the model wants to be told";
        Error::input(name, why).hint("say it: --label N")
    })?;
    let is_unknown = |label: &u8| usize::from(*label) >= condition.classes;
    match labels.iter().position(is_unknown) {
        None => Ok(labels),
        Some(vector) => {
            let error = condition.unknown(labels[vector]);
            let why = format!("vector {vector} (from 0 on): {} {}", error.what, error.why);
            Err(Error::input(name, why))
        }
    }
}

//! `vae decode`: latent vectors to pictures.

use super::console::Console;
use super::paths::{model_path, unconditional};
use super::pictures::Form;
use crate::data::latents::{self, Latents};
use crate::model::Vae;
use crate::model::sampling::decode_all;
use crate::{Error, Result, files, run};
use candle_core::Device;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// The largest file of latent vectors, and the most of them.
const LARGEST_FILE: u64 = 1 << 30;
const MOST: usize = 100_000;

/// Make pictures of latent vectors.
#[derive(Debug, Args)]
pub struct Decode {
    /// Latent vectors: what `vae encode` writes, an array from NumPy of shape (n, latent dimensions) (.npy, .npz), or a
    /// table with a column a dimension (.csv, .jsonl); - is stdin
    #[arg(value_name = "FILE", default_value = "encoded.npz")]
    latent: PathBuf,

    /// Where to: a grid (.png; - is stdout), a float32 array of shape (n, rows, columns) (.npy), or a directory (ends in /)
    /// with one PNG a picture
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
        let content = files::read(&self.latent, LARGEST_FILE)?;
        let latents = latents::read(&content, self.latent.display())?;
        let count = latents.values.len() / latents.latent_dim;
        self.check(&latents, count, &vae)?;
        let labels = self.labels(&latents, count, &vae)?;
        let pictures = decode_all(&vae, &latents.values, &labels)?;
        let (shape, bytes) = (vae.image_shape(), content.len());
        console.say(format_args!(
            "{count} latent vectors of {} numbers in {bytes} bytes are images of {} bytes, {} in all",
            latents.latent_dim,
            shape.values(),
            count * shape.values()
        ));
        form.write(console, &self.out, &pictures, shape, self.columns)?;
        Ok(ExitCode::SUCCESS)
    }

    fn check(&self, latents: &Latents, count: usize, vae: &Vae) -> Result<()> {
        let (found, expected) = (latents.latent_dim, vae.latent_dim());
        if found != expected {
            let why = format!("its vectors have {found} numbers; the model's have {expected}");
            return Err(Error::input(self.latent.display(), why));
        }
        if count > MOST {
            let why = format!("it holds {count} vectors; {MOST} are decoded at a time");
            return Err(Error::input(self.latent.display(), why).hint("take it apart"));
        }
        Ok(())
    }

    /// What each picture is to show, for a model that is told; others do not look at it.
    fn labels(&self, latents: &Latents, count: usize, vae: &Vae) -> Result<Vec<u8>> {
        match (vae.condition(), self.label, &latents.labels) {
            (None, Some(_), _) => Err(unconditional("--label")),
            (_, Some(label), _) => Ok(vec![label; count]),
            (_, None, Some(labels)) => Ok(labels.clone()),
            (None, None, None) => Ok(vec![0; count]),
            (Some(_), None, None) => {
                let why = "does not say what to draw, and the model wants to be told";
                Err(Error::input(self.latent.display(), why).hint("say it: --label N"))
            }
        }
    }
}

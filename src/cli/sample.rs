//! `vae sample`: pictures that nobody drew.

use super::console::Console;
use super::{model_path, write_result};
use crate::data::PIXELS;
use crate::model::{Mode, Vae};
use crate::rng::{Purpose, normal};
use crate::{Error, Result, files, grid, run};
use candle_core::{Device, Tensor};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Latent vectors decoded at a time.
const BATCH: usize = 64;

/// Draw pictures from the prior: latent vectors that no image was encoded to.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct Sample {
    /// Where to: a grid (.png), a float32 array of shape (n, 28, 28) (.npy), or a directory (ends in /)
    /// with one PNG a picture
    #[arg(value_name = "OUT", default_value = "samples.png")]
    out: PathBuf,

    /// How many pictures, 1 to 100000
    #[arg(long, default_value_t = 64, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    n: usize,

    /// Decides the pictures; the same seed draws the same ones [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// The standard deviation of the latent vectors; lower is more typical, higher more daring
    #[arg(long, default_value_t = 1.0, value_name = "F")]
    temperature: f64,

    /// Pictures in a row of the grid [default: about a square]
    #[arg(long, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    columns: Option<usize>,

    /// A run directory or a weights file [default: the newest run below runs/]
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
}

/// What the pictures are written as.
enum Form {
    Grid,
    Array,
    Directory,
}

impl Sample {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        if !(0.0..=100.0).contains(&self.temperature) {
            let why = format!("must be from 0 to 100, found {}", self.temperature);
            return Err(Error::input("--temperature", why));
        }
        let form = self.form()?;
        let model = model_path(self.model.as_deref())?;
        let (_, vae) = run::load_model(&model, device)?;
        let seed = self.seed.unwrap_or_else(rand::random);
        console.say(format_args!(
            "drawing {} pictures with {} and seed {seed}",
            self.n,
            model.display()
        ));
        let pictures = draw(&vae, self.n, seed, self.temperature)?;
        let columns = self.columns.unwrap_or_else(|| grid::square_columns(self.n));
        match form {
            Form::Grid => write_result(&self.out, &grid::png(&pictures, columns)?)?,
            Form::Array => write_result(&self.out, &grid::npy(&pictures))?,
            Form::Directory => write_directory(&self.out, &pictures)?,
        }
        console.result(&self.out)?;
        Ok(ExitCode::SUCCESS)
    }

    fn form(&self) -> Result<Form> {
        let text = self.out.to_string_lossy();
        let extension = self.out.extension().map(|e| e.to_ascii_lowercase());
        match extension.as_ref().and_then(|e| e.to_str()) {
            _ if text.ends_with(std::path::is_separator) || self.out.is_dir() => {
                Ok(Form::Directory)
            }
            Some("png") => Ok(Form::Grid),
            Some("npy") => Ok(Form::Array),
            _ => Err(Error::input(&text, "is of no kind that can be written")
                .hint("end it in .png (a grid), .npy (an array) or / (a directory of PNGs)")),
        }
    }
}

/// Decodes `count` latent vectors from the prior: 784 values a picture.
///
/// A picture depends on the seed and its own number, so a smaller count draws the first of them. Its
/// last bits depend on the size of its batch too, so the last batch is as large as all others.
pub(super) fn draw(vae: &Vae, count: usize, seed: u64, temperature: f64) -> Result<Vec<f32>> {
    let latent_dim = vae.latent_dim();
    let mut pictures = Vec::new();
    for first in (0..count).step_by(BATCH) {
        let numbers = (first..first + BATCH).flat_map(|number| {
            let vector = normal(seed, Purpose::Prior, number as u64, latent_dim);
            vector.into_iter().map(|z| z * temperature as f32)
        });
        let shape = (BATCH, latent_dim);
        let latent = Tensor::from_vec(numbers.collect(), shape, &Device::Cpu)?;
        let decoded = vae.decode(&latent, Mode::Inference)?;
        pictures.extend(decoded.flatten_all()?.to_vec1::<f32>()?);
    }
    pictures.truncate(count * PIXELS);
    Ok(pictures)
}

fn write_directory(path: &Path, pictures: &[f32]) -> Result<()> {
    files::create_folder(path)?;
    for (number, picture) in pictures.chunks_exact(PIXELS).enumerate() {
        let png = grid::single_png(picture)?;
        let file = path.join(format!("{number:06}.png"));
        std::fs::write(&file, png).map_err(|error| {
            Error::failed(file.display(), format!("cannot be written: {error}"))
        })?;
    }
    Ok(())
}

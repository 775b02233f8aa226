//! `vae sample`: pictures that nobody drew.

use super::console::Console;
use super::paths::{model_path, write_result};
use crate::data::ImageShape;
use crate::model::sampling::sample;
use crate::picture::{array, grid};
use crate::{Error, Result, files, run};
use candle_core::Device;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Draw pictures from the prior: latent vectors that no image was encoded to.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct Sample {
    /// Where to: a grid (.png), a float32 array of shape (n, rows, columns) (.npy), or a directory (ends
    /// in /) with one PNG a picture
    #[arg(value_name = "OUT", default_value = "samples.png")]
    out: PathBuf,

    /// How many pictures, 1 to 100000
    #[arg(long, default_value_t = 64, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    n: usize,

    /// Decides the pictures; the same seed draws the same ones [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// The standard deviation of the normal numbers that latent vectors are made of, 0 to 100; lower is more typical, higher
    /// more daring
    #[arg(long, default_value_t = 1.0, value_name = "F")]
    temperature: f64,

    /// Pictures in a row of the grid, 1 to 10000 [default: about a square]
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
        let pictures = sample(&vae, self.n, seed, self.temperature)?;
        let shape = vae.image_shape();
        let columns = self.columns.unwrap_or_else(|| grid::square_columns(self.n));
        match form {
            Form::Grid => write_result(&self.out, &grid::png(&pictures, shape, columns)?)?,
            Form::Array => write_result(&self.out, &array::npy(&pictures, shape))?,
            Form::Directory => write_directory(&self.out, &pictures, shape)?,
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

fn write_directory(path: &Path, pictures: &[f32], shape: ImageShape) -> Result<()> {
    files::create_folder(path)?;
    for (number, picture) in pictures.chunks_exact(shape.values()).enumerate() {
        let png = grid::single_png(picture, shape)?;
        let file = path.join(format!("{number:06}.png"));
        files::write_atomically(&file, &png)?;
    }
    Ok(())
}

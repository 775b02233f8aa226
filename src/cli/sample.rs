//! `vae sample`: pictures that nobody drew.

use super::console::Console;
use super::paths::{model_path, unconditional, write_result};
use crate::data::ImageShape;
use crate::model::Vae;
use crate::model::sampling::{Drawing, sample};
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

    /// What to draw, with a model that is told labels [default: each label in turn]
    #[arg(long, value_name = "LABEL")]
    label: Option<u8>,

    /// A row a label, with so many pictures, 1 to 1000: in each row of the same latent vectors [default: no such rows]
    #[arg(long, value_name = "N", conflicts_with_all = ["label", "n", "columns"],
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    each_label: Option<usize>,

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
        let drawings = self.drawings(&vae)?;
        console.say(format_args!(
            "drawing {} pictures with {} and seed {seed}",
            drawings.len(),
            model.display()
        ));
        let pictures = sample(&vae, &drawings, seed, self.temperature)?;
        let shape = vae.image_shape();
        let columns = self.each_label.or(self.columns);
        let columns = columns.unwrap_or_else(|| grid::square_columns(drawings.len()));
        match form {
            Form::Grid => write_result(&self.out, &grid::png(&pictures, shape, columns)?)?,
            Form::Array => write_result(&self.out, &array::npy(&pictures, shape))?,
            Form::Directory => write_directory(&self.out, &pictures, shape)?,
        }
        console.result(&self.out)?;
        Ok(ExitCode::SUCCESS)
    }

    /// What is asked for.
    fn drawings(&self, vae: &Vae) -> Result<Vec<Drawing>> {
        let of =
            |label, count: usize| (0..count as u64).map(move |number| Drawing { number, label });
        match (vae.condition(), self.label, self.each_label) {
            (_, None, None) => Ok(Drawing::of_each_label_in_turn(vae, self.n)),
            (None, Some(_), _) => Err(unconditional("--label")),
            (None, None, Some(_)) => Err(unconditional("--each-label")),
            (Some(condition), Some(label), _) => match usize::from(label) < condition.classes {
                true => Ok(of(label, self.n).collect()),
                false => Err(condition.unknown(label)),
            },
            (Some(condition), None, Some(count)) => {
                let labels = (0..condition.classes).map(|label| label as u8);
                Ok(labels.flat_map(|label| of(label, count)).collect())
            }
        }
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

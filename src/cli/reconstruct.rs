//! `vae reconstruct`: what the model keeps of an image.

use super::console::Console;
use super::images::{data_set, own_pictures};
use super::labels::label_of;
use super::model::ModelFlag;
use super::paths::{deliver, kind};
use super::show::Show;
use crate::config::Config;
use crate::data::tensor::slice_to_tensor;
use crate::data::{Corruption, Examples, Noise, Source, Split};
use crate::kernels::squared_error::squared_error;
use crate::model::Vae;
use crate::model::filling::fill_in;
use crate::model::sampling::{decode_all, encode_all};
use crate::picture::grid;
use crate::picture::mask::Mask;
use crate::picture::terminal::Sheet;
use crate::run::ModelName;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Originals in a row.
const COLUMNS: usize = 16;
/// The grey of what is hidden.
const HIDDEN: f32 = 0.35;

/// Encode images and decode them again: originals above what the model keeps of them.
#[derive(Debug, Args)]
pub struct Reconstruct {
    /// Your own pictures (PNG, JPEG and others), read as those that the model was trained on; for a model of ink they are
    /// made grey, fitted, and inverted where their background is light. Without any: test images
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// How many test images, 1 to 10000; no more than there are
    #[arg(long, default_value_t = 16, value_name = "N", conflicts_with = "images",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    n: usize,

    /// Where the test images come from [default: what the model was trained on]
    #[arg(long, value_name = "SOURCE", conflicts_with = "images")]
    data: Option<Source>,

    /// What your own pictures show, for a model that is told labels [default: what it finds likeliest]
    #[arg(long, value_name = "N", requires = "images")]
    label: Option<String>,

    /// Put so much noise on pictures first, of the kind that the model was trained with, else Gaussian; they are then
    /// shown with it between them and what is kept [default: as in training on test images, none on your own]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    noise: Option<f64>,

    /// Hide a part: left, right, top, bottom, box (the middle), or what is white in a picture (PNG, JPEG and others). What the
    /// model draws there is shown, several times: from a background, 50 rounds of a posterior sample and the hidden part
    /// that it decodes to (Gibbs steps) [default: nothing is hidden]
    #[arg(long, value_name = "MASK", conflicts_with = "noise")]
    mask: Option<Mask>,

    /// How often what is hidden is drawn, 1 to 100
    #[arg(long, default_value_t = 4, value_name = "N", requires = "mask",
          value_parser = clap::builder::RangedU64ValueParser::<u64>::new().range(1..=100))]
    drawings: u64,

    /// Where to put the grid (.png, - is stdout)
    #[arg(long, default_value = "reconstructions.png", value_name = "FILE")]
    out: PathBuf,

    #[command(flatten)]
    model: ModelFlag,

    #[command(flatten)]
    show: Show,
}

impl Reconstruct {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        if kind(&self.out, "png") != "png" {
            return Err(Error::input(self.out.display(), "must end in .png"));
        }
        let showing = self.show.open(console)?;
        let (model, config, vae) = self.model.load(console, device)?;
        let (names, pictures) = if self.images.is_empty() {
            self.test_images(&model, &config, &vae, console)?
        } else {
            self.own_pictures(&config, &vae)?
        };
        let sets = match &self.mask {
            Some(mask) => self.filled(mask, &vae, &config, &names, &pictures, console)?,
            None => self.kept(&vae, &config, &names, &pictures, console)?,
        };
        let sets: Vec<&[f32]> = sets.iter().map(Vec::as_slice).collect();
        let grid = grid::png_sets(&sets, vae.image_shape(), COLUMNS)?;
        deliver(console, &self.out, &grid)?;
        showing.sheet(&Sheet {
            sets,
            shape: vae.image_shape(),
            columns: None,
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// Pictures, with the noise on them if there is any, and what the model keeps of them.
    fn kept(
        &self,
        vae: &Vae,
        config: &Config,
        names: &[String],
        pictures: &Split,
        console: &Console,
    ) -> Result<Vec<Vec<f32>>> {
        let corruption = self.corruption(config)?;
        let examples = Examples::of(pictures, 0, pictures.len(), corruption)?;
        let posterior = encode_all(vae, &examples)?;
        let kls = posterior.kl(vae.backend())?.to_vec1::<f32>()?;
        let (originals, seen) = (flat(&examples.images)?, flat(&examples.seen)?);
        let reconstructions = decode_all(vae, &flat(&posterior.mean()?)?, &examples.labels)?;
        let errors = |of: &[f32]| squared_error(of, &originals, pictures.shape.values());
        let (found, noisy) = (errors(&reconstructions), errors(&seen));
        let is_noisy = corruption.noise != Noise::None;
        for (index, (name, kl)) in names.iter().zip(&kls).enumerate() {
            let before = match is_noisy {
                true => format!(", {:.2} with its noise", noisy[index]),
                false => String::new(),
            };
            let found = found[index];
            console.say(format_args!(
                "{name}: squared error {found:.2}{before}, KL {kl:.2}"
            ));
        }
        Ok(match is_noisy {
            true => vec![originals, seen, reconstructions],
            false => vec![originals, reconstructions],
        })
    }

    /// Pictures, the same with a part hidden, and what the model draws there, several times.
    fn filled(
        &self,
        mask: &Mask,
        vae: &Vae,
        config: &Config,
        names: &[String],
        pictures: &Split,
        console: &Console,
    ) -> Result<Vec<Vec<f32>>> {
        let hidden = mask.hidden(pictures.shape)?;
        if hidden.iter().all(|&hidden| !hidden) {
            return Err(
                Error::input("--mask", "hides nothing").hint("what is white in it is hidden")
            );
        }
        let clean = Examples::new(
            slice_to_tensor(pictures, 0, pictures.len())?,
            pictures.labels.clone(),
        );
        let originals = flat(&clean.images)?;
        let pixels = originals.iter().zip(hidden.iter().cycle());
        let seen = pixels.map(|(&value, &hidden)| if hidden { HIDDEN } else { value });
        let mut sets = vec![originals.clone(), seen.collect()];
        let mut errors = vec![Vec::new(); names.len()];
        for drawing in 0..self.drawings {
            let filled = fill_in(vae, &clean, &hidden, config.seed, drawing)?;
            let found = squared_error(&filled, &originals, pictures.shape.values());
            for (errors, found) in errors.iter_mut().zip(found) {
                errors.push(format!("{found:.2}"));
            }
            sets.push(filled);
        }
        for (name, errors) in names.iter().zip(errors) {
            console.say(format_args!("{name}: squared errors {}", errors.join(" ")));
        }
        Ok(sets)
    }

    /// The noise to put on pictures: what is asked for; else that of the model's training on test images, and none on one's
    /// own, which may have some already.
    fn corruption(&self, config: &Config) -> Result<Corruption> {
        let noise = match (self.noise, self.images.is_empty()) {
            (Some(amount), _) => config.noise.with_amount(amount),
            (None, true) => config.noise,
            (None, false) => Noise::None,
        };
        let most = noise.most();
        match noise
            .amount()
            .is_none_or(|amount| (0.0..=most).contains(&amount))
        {
            true => Ok(Corruption {
                noise,
                ..config.corruption()
            }),
            false => Err(Error::input("--noise", format!("must be from 0 to {most}"))),
        }
    }

    /// One's own pictures, and names for them, which say what the model takes them for if it was not told.
    fn own_pictures(&self, config: &Config, vae: &Vae) -> Result<(Vec<String>, Split)> {
        let label = label_of(self.label.as_deref(), (config, vae))?;
        let pictures = own_pictures(&self.images, label, (config, vae))?;
        let is_guessed = label.is_none() && vae.condition().is_some();
        let names = self.images.iter().zip(&pictures.labels);
        let names = names.map(|(path, &label)| match is_guessed {
            true => format!(
                "{} (taken for a {})",
                path.display(),
                config.label_name(label)
            ),
            false => path.display().to_string(),
        });
        Ok((names.collect(), pictures))
    }

    /// The first test images, as the model sees them, and names for them.
    fn test_images(
        &self,
        model: &ModelName,
        config: &Config,
        vae: &Vae,
        console: &Console,
    ) -> Result<(Vec<String>, Split)> {
        let dataset = data_set(self.data.as_ref(), model, (config, vae), console)?;
        let mut test = dataset.test.binarized(config.binarize, config.seed);
        test.truncate(self.n);
        let labels = test.labels.iter().enumerate();
        let names = labels.map(|(number, &label)| {
            format!("test image {number} (a {})", config.label_name(label))
        });
        Ok((names.collect(), test))
    }
}

fn flat(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}

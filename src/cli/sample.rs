//! `vae sample`: pictures that nobody drew.

use super::console::Console;
use super::images::data_set;
use super::labels::{label_of, unconditional};
use super::mixtures::fit_mixtures;
use super::model::ModelFlag;
use super::pictures::Form;
use super::show::Show;
use crate::data::Source;
use crate::model::Vae;
use crate::model::sampling::{Drawing, sample};
use crate::parallel::beside;
use crate::{Error, Result};
use candle_core::Device;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// Pictures that are drawn while as many are written: all may be more than there is memory for.
const AT_A_TIME: usize = 2048;

/// Draw pictures from the prior: latent vectors that no image was encoded to.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct Sample {
    /// Where to: a grid (.png; - is stdout), a float32 array (.npy) of shape (n, rows, columns), in colour (n, rows,
    /// columns, 3), or a directory (ends in /) with one PNG a picture
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
    label: Option<String>,

    /// A row a label, with so many pictures, 1 to 1000: in each row of the same latent vectors [default: no such rows]
    #[arg(long, value_name = "N", conflicts_with_all = ["label", "n", "columns"],
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    each_label: Option<usize>,

    /// What to draw latent vectors from
    #[arg(long, value_enum, default_value_t = Origin::Prior)]
    from: Origin,

    /// Which data the posteriors are of [default: what the model was trained on]
    #[arg(long, value_name = "SOURCE")]
    data: Option<Source>,

    /// The standard deviation of the normal numbers that latent vectors are made of, 0 to 100; lower is more typical, higher
    /// more daring
    #[arg(long, default_value_t = 1.0, value_name = "F")]
    temperature: f64,

    /// Pictures in a row of the grid, 1 to 10000 [default: about a square]
    #[arg(long, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    columns: Option<usize>,

    #[command(flatten)]
    model: ModelFlag,

    #[command(flatten)]
    show: Show,
}

/// Where latent vectors come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Origin {
    /// What the model has: the mixture that its training fitted, or the unit normal distribution.
    Prior,
    /// A mixture of 100 normal distributions with full covariances, fitted to the posterior means of all training images;
    /// with a model that is told labels, one of 20 a label. It is kept in the cache folder.
    Posterior,
}

impl Sample {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        if !(0.0..=100.0).contains(&self.temperature) {
            let why = format!("must be from 0 to 100, found {}", self.temperature);
            return Err(Error::input("--temperature", why));
        }
        let form = Form::of(&self.out)?;
        let showing = self.show.open(console)?;
        let (model, config, vae) = self.model.load(console, device)?;
        let seed = self.seed.unwrap_or_else(rand::random);
        let label = label_of(self.label.as_deref(), (&config, &vae))?;
        let drawings = self.drawings(label, &vae)?;
        let mixtures = match (self.from, &self.data) {
            (Origin::Prior, None) => vae.own_prior().to_vec(),
            (Origin::Prior, Some(_)) => {
                return Err(Error::input("--data", "is for --from posterior"));
            }
            (Origin::Posterior, source) => {
                let dataset = data_set(source.as_ref(), &model, (&config, &vae), console)?;
                fit_mixtures(&model, (&config, &vae), &dataset, console)?
            }
        };
        console.say(format_args!(
            "drawing {} pictures with {} and seed {seed}",
            drawings.len(),
            model
        ));
        let (shape, columns) = (vae.image_shape(), self.each_label.or(self.columns));
        let mut written = form.begin(&self.out, drawings.len(), shape)?;
        let (mut drawn, mut shown) = (Vec::new(), Vec::new());
        for drawings in drawings.chunks(AT_A_TIME) {
            let mut added = Ok(());
            // In place: what runs on a GPU must all come from this thread.
            let pictures = beside(
                || added = written.add(&drawn),
                || sample(&vae, &mixtures, drawings, seed, self.temperature),
            );
            added?;
            drawn = pictures?;
            if showing.is_on() {
                shown.extend_from_slice(&drawn);
            }
        }
        written.add(&drawn)?;
        written.finish(console, columns)?;
        showing.pictures(&shown, shape, columns)?;
        Ok(ExitCode::SUCCESS)
    }

    /// What is asked for.
    fn drawings(&self, label: Option<u8>, vae: &Vae) -> Result<Vec<Drawing>> {
        let of =
            |label, count: usize| (0..count as u64).map(move |number| Drawing { number, label });
        match (vae.condition(), label, self.each_label) {
            (_, None, None) => Ok(Drawing::of_each_label_in_turn(vae, self.n)),
            (None, None, Some(_)) => Err(unconditional("--each-label")),
            (_, Some(label), _) => Ok(of(label, self.n).collect()),
            (Some(condition), None, Some(count)) => {
                let labels = (0..condition.classes).map(|label| label as u8);
                Ok(labels.flat_map(|label| of(label, count)).collect())
            }
        }
    }
}

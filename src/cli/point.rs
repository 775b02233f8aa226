//! A point of the latent space, as a person names it.

use super::console::Console;
use super::own::own_pictures;
use super::paths::{model_path, unconditional};
use crate::config::Config;
use crate::data::{self, Dataset, Examples, Source, Split};
use crate::model::{Mode, Vae};
use crate::rng::{Purpose, normal};
use crate::{Error, Result, run};
use candle_core::Device;
use clap::Args;
use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

/// A point of the latent space.
#[derive(Debug, Clone)]
pub(super) enum Point {
    /// The posterior mean of a test image.
    TestImage(usize),
    /// That of anyone's picture.
    File(PathBuf),
    /// The first that `vae sample` draws with a seed.
    Seed(u64),
}

impl FromStr for Point {
    type Err = Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        let seed = text
            .strip_prefix("seed:")
            .and_then(|seed| seed.parse().ok());
        Ok(match (seed, text.parse()) {
            (Some(seed), _) => Self::Seed(seed),
            (None, Ok(number)) => Self::TestImage(number),
            (None, Err(_)) => Self::File(text.into()),
        })
    }
}

/// What all pictures of a latent space are told.
#[derive(Debug, Args)]
pub(super) struct Shown {
    /// What pictures are to show, with a model that is told labels [default: what the image shows that it begins with,
    /// else 0]
    #[arg(long, value_name = "LABEL")]
    label: Option<u8>,

    /// Where the test images come from [default: what the model was trained on]
    #[arg(long, value_name = "SOURCE")]
    data: Option<Source>,

    /// A run directory or a weights file [default: the newest run below runs/]
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
}

/// A model, and where its test images come from.
pub(super) struct Space<'a> {
    pub vae: Vae,
    pub config: Config,
    label: Option<u8>,
    source: Source,
    console: &'a Console,
    dataset: Option<Dataset>,
}

impl Shown {
    /// Loads the model.
    pub fn space<'a>(&self, console: &'a Console, device: &Device) -> Result<Space<'a>> {
        let model = model_path(self.model.as_deref())?;
        let (config, vae) = run::load_model(&model, device)?;
        match (self.label, vae.condition()) {
            (Some(_), None) => return Err(unconditional("--label")),
            (Some(label), Some(condition)) if usize::from(label) >= condition.classes => {
                return Err(condition.unknown(label));
            }
            _ => {}
        }
        let source = match &self.data {
            Some(source) => source.clone(),
            None => run::trained_on(&model)?,
        };
        Ok(Space {
            vae,
            config,
            label: self.label,
            source,
            console,
            dataset: None,
        })
    }
}

impl Space<'_> {
    /// The test images, as the model sees them.
    pub fn test(&mut self) -> Result<&Split> {
        let dataset = match self.dataset.take() {
            Some(dataset) => dataset,
            None => {
                let console = self.console;
                let mut notify = |notice| console.notice(notice);
                let (mut dataset, _) = data::load(&self.source, &mut notify)?;
                self.vae.refuse_other_images(&dataset)?;
                dataset.test = self.config.binarize.split(dataset.test, self.config.seed);
                dataset
            }
        };
        Ok(&self.dataset.insert(dataset).test)
    }

    /// What pictures show where no image says it.
    pub fn label(&self) -> u8 {
        self.label.unwrap_or_default()
    }

    /// The standard normal numbers that a seed draws first.
    pub fn normals(&self, seed: u64) -> Vec<f32> {
        normal(seed, Purpose::Prior, 0, self.vae.latent_dim())
    }

    /// A point, and what is shown there.
    pub fn find(&mut self, point: &Point) -> Result<(Vec<f32>, u8)> {
        let corruption = self.config.corruption();
        let (pictures, index) = match point {
            Point::Seed(seed) => {
                let latent = self.vae.from_prior(self.normals(*seed));
                return Ok((latent, self.label()));
            }
            Point::TestImage(index) => (self.test()?.clone(), *index),
            Point::File(path) => {
                let paths = std::slice::from_ref(path);
                (own_pictures(paths, self.label(), &self.config)?, 0)
            }
        };
        if index >= pictures.len() {
            let why = format!("there are only {} test images", pictures.len());
            return Err(Error::input(format!("test image {index}"), why));
        }
        let mut examples = Examples::of(&pictures, index, index + 1, corruption)?;
        if matches!(point, Point::File(_)) {
            examples.seen = examples.images.clone();
        }
        let posterior = self
            .vae
            .encode(&examples.seen, &examples.labels, Mode::Inference)?;
        let latent = posterior.mean()?.flatten_all()?.to_vec1()?;
        Ok((latent, self.label.unwrap_or(examples.labels[0])))
    }
}

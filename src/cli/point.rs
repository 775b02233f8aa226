//! A point of the latent space, as a person names it.

use super::console::Console;
use super::images::{data_set, own_pictures};
use super::labels::label_of;
use super::model::ModelFlag;
use super::show::Show;
use crate::config::Config;
use crate::data::{Examples, Source, Split};
use crate::model::{Mode, Vae};
use crate::rng::{Purpose, normal};
use crate::run::ModelName;
use crate::{Error, Result};
use candle_core::Device;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

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

impl From<OsString> for Point {
    fn from(name: OsString) -> Self {
        let text = name.to_str().unwrap_or_default();
        let seed = text
            .strip_prefix("seed:")
            .and_then(|seed| seed.parse().ok());
        match (seed, text.parse()) {
            (Some(seed), _) => Self::Seed(seed),
            (None, Ok(number)) => Self::TestImage(number),
            (None, Err(_)) => Self::File(name.into()),
        }
    }
}

/// What all pictures of a latent space are told.
#[derive(Debug, Args)]
pub(super) struct Shown {
    /// What pictures are to show, with a model that is told labels [default: what the image shows that it begins with,
    /// else 0]
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,

    /// Where the test images come from [default: what the model was trained on]
    #[arg(long, value_name = "SOURCE")]
    data: Option<Source>,

    #[command(flatten)]
    model: ModelFlag,

    #[command(flatten)]
    pub show: Show,
}

/// A model, and where its test images come from.
pub(super) struct Space<'a> {
    pub vae: Vae,
    pub config: Config,
    label: Option<u8>,
    source: Option<Source>,
    model: ModelName,
    console: &'a Console,
    test: Option<Split>,
}

impl Shown {
    /// Loads the model.
    pub fn space<'a>(&self, console: &'a Console, device: &Device) -> Result<Space<'a>> {
        let (model, config, vae) = self.model.load(console, device)?;
        let label = label_of(self.label.as_deref(), (&config, &vae))?;
        Ok(Space {
            vae,
            config,
            label,
            source: self.data.clone(),
            model,
            console,
            test: None,
        })
    }
}

impl Space<'_> {
    /// The test images, as the model sees them.
    pub fn test(&mut self) -> Result<&Split> {
        let test = match self.test.take() {
            Some(test) => test,
            None => {
                let source = self.source.as_ref();
                let dataset =
                    data_set(source, &self.model, (&self.config, &self.vae), self.console)?;
                dataset
                    .test
                    .binarized(self.config.binarize, self.config.seed)
            }
        };
        Ok(self.test.insert(test))
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
                let latent = self.vae.from_prior(&self.normals(*seed));
                return Ok((latent, self.label()));
            }
            Point::TestImage(index) => (self.test()?.clone(), *index),
            Point::File(path) => {
                let paths = std::slice::from_ref(path);
                let model = (&self.config, &self.vae);
                (own_pictures(paths, self.label, model)?, 0)
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

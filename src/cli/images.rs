//! Which images a command looks at.

use super::console::Console;
use crate::Result;
use crate::config::Config;
use crate::data::tensor::slice_to_tensor;
use crate::data::{self, Dataset, Reading, Source, Split};
use crate::model::Vae;
use crate::model::likeliest::likeliest_labels;
use crate::picture::photo;
use crate::run::{self, ModelName};
use clap::ValueEnum;
use serde::Serialize;
use std::path::PathBuf;

/// Half of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SplitName {
    /// What the model has not seen.
    Test,
    /// What it was trained on.
    Train,
}

impl SplitName {
    /// That half.
    pub fn of(self, dataset: Dataset) -> Split {
        match self {
            Self::Test => dataset.test,
            Self::Train => dataset.train,
        }
    }
}

/// The data set that was asked for, else that which the model was trained on.
///
/// # Errors
///
/// If it cannot be loaded, or has images or labels that the model does not know.
pub(super) fn data_set(
    source: Option<&Source>,
    model: &ModelName,
    (config, vae): (&Config, &Vae),
    console: &Console,
) -> Result<Dataset> {
    let source = match source {
        Some(source) => source.clone(),
        None => run::trained_on(model)?,
    };
    let shape = vae.image_shape();
    let reading = Reading {
        size: Some([shape.height, shape.width]),
        channels: Some(shape.channels),
        // What could not be read was told when the model was trained.
        bad_images: Some(usize::MAX),
        ..config.reading()
    };
    let loaded = data::load(&source, &reading, &mut |notice| console.notice(notice))?;
    let dataset = match config.labels.is_empty() {
        true => loaded.dataset,
        false => loaded.with_labels(&config.labels)?,
    };
    vae.refuse_other_images(&dataset)?;
    Ok(dataset)
}

/// One's own pictures, as a model sees them. They all show `label`; where a conditional model is not told, what it finds
/// likeliest.
///
/// # Errors
///
/// If one is no picture.
pub(super) fn own_pictures(
    paths: &[PathBuf],
    label: Option<u8>,
    (config, vae): (&Config, &Vae),
) -> Result<Split> {
    let shape = config.image_shape();
    let mut pixels = Vec::new();
    for path in paths {
        pixels.extend(match (config.fit, shape.channels) {
            (None, 1) => photo::read_ink(path, shape)?,
            (fit, _) => photo::read_fitted(path, shape, fit.unwrap_or_default())?,
        });
    }
    let pictures = Split {
        pixels: pixels.into(),
        labels: vec![label.unwrap_or_default(); paths.len()],
        shape,
    };
    let mut pictures = pictures.binarized(config.binarize, config.seed);
    if label.is_none() && vae.condition().is_some() {
        let images = slice_to_tensor(&pictures, 0, pictures.len())?;
        pictures.labels = likeliest_labels(vae, &images)?;
    }
    Ok(pictures)
}

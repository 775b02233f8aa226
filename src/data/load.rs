//! From a source to a data set.

use super::dataset::{Dataset, Split};
use super::hold_out::hold_out;
use super::pictures::folder::read_folder;
use super::pictures::{Fit, Reading};
use super::published::cache;
use super::published::sets::{MNIST, Published};
use super::source::{Notice, Source};
use super::{arrays, idx, parquet, synthetic};
use crate::{Error, Result};
use std::path::Path;

/// A data set, and what is known of it besides.
#[derive(Debug)]
pub struct Loaded {
    /// The images.
    pub dataset: Dataset,
    /// Where they come from in the end: never [`Source::Auto`].
    pub source: Source,
    /// What the labels stand for, where they stand for something else than their numbers.
    pub labels: Vec<String>,
    /// How pictures were fitted, if it was pictures that were read.
    pub fit: Option<Fit>,
    /// Whether the data have no test images, so that some were held out.
    pub held_out: bool,
    /// Whether rows and columns changed places, as IDX files alone are asked to.
    pub transposed: bool,
}

impl Loaded {
    /// A data set of which nothing else is known.
    fn of(dataset: Dataset, source: Source) -> Self {
        Self {
            dataset,
            source,
            labels: Vec::new(),
            fit: None,
            held_out: false,
            transposed: false,
        }
    }

    /// The data set with labels that stand for `names`; as it is where its labels have no names.
    ///
    /// # Errors
    ///
    /// If it has labels of other names.
    pub fn with_labels(self, names: &[String]) -> Result<Dataset> {
        let places = self.labels.iter().map(|label| {
            let place = names.iter().position(|name| name == label);
            place.map(|place| place as u8).ok_or_else(|| {
                let why = format!(
                    "has the label {label}; the model's are {}",
                    names.join(", ")
                );
                Error::input(&self.dataset.name, why)
            })
        });
        let places = places.collect::<Result<Vec<u8>>>()?;
        let mut dataset = self.dataset;
        for label in dataset
            .train
            .labels
            .iter_mut()
            .chain(&mut dataset.test.labels)
        {
            *label = places.get(usize::from(*label)).copied().unwrap_or(*label);
        }
        Ok(dataset)
    }
}

/// Loads a data set; pictures and what has no test images are read as `reading` says.
///
/// # Errors
///
/// If the data cannot be had; [`Source::Auto`] always finds some.
pub fn load(source: &Source, reading: &Reading, notify: &mut dyn FnMut(Notice)) -> Result<Loaded> {
    match source {
        Source::Auto => match load_published(&MNIST, notify) {
            Ok(loaded) => Ok(loaded),
            Err(error) => {
                notify(Notice::Warning(format!(
                    "using built-in digits, because MNIST cannot be had: {error}"
                )));
                Ok(Loaded::of(synthetic::dataset(), Source::Synthetic))
            }
        },
        Source::Published(set) => load_published(set, notify),
        Source::Synthetic => Ok(Loaded::of(synthetic::dataset(), Source::Synthetic)),
        Source::Folder(path) => {
            let loaded = load_own(path, reading, notify)?;
            warn_of_odd_pixels(&loaded.dataset.train, notify)?;
            Ok(loaded)
        }
    }
}

/// Loads a data set that is known by name.
fn load_published(set: &'static Published, notify: &mut dyn FnMut(Notice)) -> Result<Loaded> {
    let dataset = cache::load(set, notify)?;
    Ok(Loaded {
        labels: set.labels.iter().map(|&label| label.into()).collect(),
        ..Loaded::of(dataset, Source::Published(set))
    })
}

/// Loads what somebody has: a file of arrays, IDX files, or a folder of pictures.
fn load_own(path: &Path, reading: &Reading, notify: &mut dyn FnMut(Notice)) -> Result<Loaded> {
    let source = Source::Folder(path.into());
    if arrays::is_arrays(path) {
        let (dataset, held_out) = arrays::read(path, reading)?;
        refuse_one_sided(&dataset)?;
        return Ok(Loaded {
            held_out,
            ..Loaded::of(dataset, source)
        });
    }
    let is_idx = idx::is_in(path);
    let is_parquet = !is_idx && parquet::is_in(path);
    if is_parquet || path.is_dir() && !is_idx {
        let pictures = match is_parquet {
            true => parquet::read(path, reading, notify)?,
            false => read_folder(path, reading, notify)?,
        };
        return Ok(Loaded {
            labels: pictures.labels,
            fit: Some(reading.fit),
            held_out: pictures.held_out,
            ..Loaded::of(pictures.dataset, source)
        });
    }
    let mut dataset = idx::read_folder(path)?;
    if reading.transpose {
        dataset.train = dataset.train.transposed()?;
        dataset.test = dataset.test.transposed()?;
    }
    let held_out = dataset.test.is_empty();
    if held_out {
        (dataset.train, dataset.test) = hold_out(dataset.train, reading.test_share, reading.seed)?;
    }
    refuse_one_sided(&dataset)?;
    Ok(Loaded {
        held_out,
        transposed: reading.transpose,
        ..Loaded::of(dataset, source)
    })
}

/// Checks that there are images to learn from, and images to be tested on.
fn refuse_one_sided(dataset: &Dataset) -> Result<()> {
    match dataset.train.is_empty() || dataset.test.is_empty() {
        true => Err(Error::input(
            &dataset.name,
            "there is no image to learn from, or none to be tested on",
        )
        .hint("it takes two at least")),
        false => Ok(()),
    }
}

/// Tells of images from which there is nothing to learn.
fn warn_of_odd_pixels(split: &Split, notify: &mut dyn FnMut(Notice)) -> Result<()> {
    let all = |is: &dyn Fn(&[u8]) -> bool| -> Result<bool> {
        for index in 0..split.len() {
            if !is(&split.image(index)?) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    if all(&|image| image.iter().all(|&pixel| pixel <= 1))? {
        notify(Notice::Warning(
            "all pixels are 0 or 1 of 255, nearly black; values from 0 to 1 are to be fractions"
                .into(),
        ));
        return Ok(());
    }
    let first = split.image(0)?;
    if split.len() > 1 && all(&|image| *image == *first)? {
        notify(Notice::Warning("all training images are the same".into()));
    }
    Ok(())
}

//! Images to learn from: what a data set is, and where one comes from.

pub mod batches;
#[cfg(feature = "download")]
mod hub;
pub mod idx;
pub mod mnist;
pub mod synthetic;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Rows of an image, and columns: MNIST's own.
pub const SIDE: usize = 28;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;

/// Images and what they show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The images one after the other, row by row: 0 is background, 255 is ink.
    pub pixels: Vec<u8>,
    /// One label an image, 0 to 9 for digits.
    pub labels: Vec<u8>,
}

impl Split {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image at all.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of one image, [`PIXELS`] of them.
    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * PIXELS..(index + 1) * PIXELS]
    }
}

/// A data set that knows where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// The images to learn from.
    pub train: Split,
    /// The images to be tested on, never learnt from.
    pub test: Split,
    /// What it is and where it came from, for people: `MNIST, verified`, `synthetic digits`, a folder.
    pub name: String,
}

impl Dataset {
    /// The SHA-256 sum of the data, by which a run knows what it was trained on.
    ///
    /// It is that of the four raw IDX files one after the other, in the order of [`idx::FILES`]:
    /// the same whether the data were zipped, unzipped or downloaded, and `cat | sha256sum` can
    /// tell it too.
    pub fn digest(&self) -> String {
        let parts = idx::parts(self);
        let pieces: Vec<&[u8]> = parts
            .iter()
            .flat_map(|part| [part.header.as_slice(), part.body])
            .collect();
        sha256(&pieces)
    }
}

/// Where images come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// MNIST if it can be had, else the built-in digits.
    #[default]
    Auto,
    /// MNIST from the cache, else downloaded.
    Mnist,
    /// Digits that the program draws itself.
    Synthetic,
    /// A folder with the four IDX files.
    Folder(PathBuf),
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" => Err(Error::input("data source", "it is empty")
                .hint("give `auto`, `mnist`, `synthetic` or a folder")),
            "auto" => Ok(Self::Auto),
            "mnist" => Ok(Self::Mnist),
            "synthetic" => Ok(Self::Synthetic),
            folder => Ok(Self::Folder(folder.into())),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Mnist => f.write_str("mnist"),
            Self::Synthetic => f.write_str("synthetic"),
            Self::Folder(folder) => folder.display().fmt(f),
        }
    }
}

impl TryFrom<String> for Source {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

/// What loading has to say to the user while it works. The library prints nothing itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// What is being done, when it takes a while.
    Note(String),
    /// What was not as it should be, and what is done instead.
    Warning(String),
}

/// Loads a data set, and says which source it was in the end: never [`Source::Auto`].
///
/// # Errors
///
/// If the data cannot be had; [`Source::Auto`] always finds some.
pub fn load(source: &Source, notify: &mut dyn FnMut(Notice)) -> Result<(Dataset, Source)> {
    let dataset = match source {
        Source::Auto => match mnist::load(notify) {
            Ok(dataset) => return Ok((dataset, Source::Mnist)),
            Err(error) => {
                notify(Notice::Warning(format!(
                    "using built-in digits, because MNIST cannot be had: {error}"
                )));
                return Ok((synthetic::dataset(), Source::Synthetic));
            }
        },
        Source::Mnist => mnist::load(notify)?,
        Source::Synthetic => synthetic::dataset(),
        Source::Folder(folder) => {
            let mut dataset = idx::read_folder(folder)?;
            if mnist::check(&dataset).is_ok() {
                dataset.name = mnist::NAME.into();
            }
            dataset
        }
    };
    Ok((dataset, source.clone()))
}

/// The SHA-256 sum of some bytes, given in pieces, in hexadecimal.
fn sha256(pieces: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for piece in pieces {
        hasher.update(piece);
    }
    let sum = hasher.finalize();
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

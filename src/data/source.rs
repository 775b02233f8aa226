//! Where images come from, and what is told while they are fetched.

use super::published::sets::{Published, SETS};
use super::shape::ImageShape;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where images come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// MNIST if it can be had, else the built-in digits.
    #[default]
    Auto,
    /// A data set that is known by name, from the cache, else downloaded.
    Published(&'static Published),
    /// Digits that the program draws itself.
    Synthetic,
    /// A folder with IDX files or with pictures, a file of NumPy's arrays, a Parquet file of pictures or a folder with
    /// some, or the training images of some IDX files.
    Folder(PathBuf),
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let published = SETS.into_iter().find(|set| set.name == text);
        match (published, text) {
            (Some(set), _) => Ok(Self::Published(set)),
            (None, "") => Err(Error::input("data source", "it is empty").hint(
                "give `auto`, `mnist`, `fashion-mnist`, `cifar-10`, `synthetic`, a folder, or a file of arrays or pictures",
            )),
            (None, "auto") => Ok(Self::Auto),
            (None, "synthetic") => Ok(Self::Synthetic),
            (None, folder) => Ok(Self::Folder(folder.into())),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Published(set) => f.write_str(set.name),
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

impl Source {
    /// The shape of its images, where that is known before they are loaded.
    pub fn shape(&self) -> Option<ImageShape> {
        match self {
            Self::Auto | Self::Synthetic => Some(ImageShape::MNIST),
            Self::Published(set) => Some(set.shape),
            Self::Folder(_) => None,
        }
    }
}

/// What loading has to say to the user while it works. The library prints nothing itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// What is being done, when it takes a while.
    Note(String),
    /// What was not as it should be, and what is done instead.
    Warning(String),
    /// How much of something is done, of how much in all.
    Progress {
        /// What is done.
        what: &'static str,
        /// So much.
        done: u64,
        /// Of so much.
        all: u64,
    },
}

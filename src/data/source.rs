//! Where images come from, and what is told while they are fetched.

use super::percent;
use super::published::sets::{Published, SETS};
use super::shape::ImageShape;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where images come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
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
        OsString::from(text).try_into()
    }
}

impl TryFrom<OsString> for Source {
    type Error = Error;

    fn try_from(name: OsString) -> Result<Self> {
        let published = SETS.into_iter().find(|set| name == set.name);
        match (published, name.to_str()) {
            (Some(set), _) => Ok(Self::Published(set)),
            (None, Some("")) => Err(Error::input("data source", "it is empty").hint(
                "give `auto`, `mnist`, `fashion-mnist`, `cifar-10`, `synthetic`, a folder, or a file of arrays or pictures",
            )),
            (None, Some("auto")) => Ok(Self::Auto),
            (None, Some("synthetic")) => Ok(Self::Synthetic),
            (None, _) => Ok(Self::Folder(name.into())),
        }
    }
}

/// A source as configurations have it.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "`data` must be a string, or, for a path that is no UTF-8, {\"percent_encoded\": \"/data/caf%E9\"}"
)]
enum Written {
    Text(String),
    /// A path that is no text.
    Bytes {
        percent_encoded: String,
    },
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

impl TryFrom<Written> for Source {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        match written {
            Written::Text(text) => text.parse(),
            Written::Bytes { percent_encoded } => {
                let path = percent::decode(&percent_encoded).filter(|path| !path.is_empty());
                let path = path.ok_or_else(|| {
                    let why = format!("`{percent_encoded}` is no path that is percent-encoded");
                    Error::input("data source", why)
                })?;
                Ok(Self::Folder(path.into()))
            }
        }
    }
}

impl From<Source> for Written {
    fn from(source: Source) -> Self {
        match source {
            Source::Folder(path) if path.to_str().is_none() => Self::Bytes {
                percent_encoded: percent::encode(path.as_os_str()),
            },
            source => Self::Text(source.to_string()),
        }
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

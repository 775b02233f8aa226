//! Where images come from, and what is told while they are fetched.

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
    /// MNIST from the cache, else downloaded.
    Mnist,
    /// Digits that the program draws itself.
    Synthetic,
    /// A folder with IDX files or with pictures, or a file of NumPy's arrays.
    Folder(PathBuf),
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" => Err(Error::input("data source", "it is empty")
                .hint("give `auto`, `mnist`, `synthetic`, a folder or a file of arrays")),
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

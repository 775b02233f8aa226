//! What a run was made from and by.

use crate::data::{Dataset, Source};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a run was made from and by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The version of the program.
    pub version: String,
    /// The data set, for people.
    pub dataset: String,
    /// The SHA-256 sum of the data set's four raw IDX files, one after the other.
    pub dataset_sha256: String,
    /// What the loss is, in its terms and their units, for people: figures of two likelihoods do not compare.
    #[serde(default)]
    pub loss: String,
}

impl Provenance {
    /// That of a run which this version makes from a data set, whose loss is this one in words.
    ///
    /// # Errors
    ///
    /// If an image of it cannot be read any more.
    pub fn of(dataset: &Dataset, source: &Source, loss: String) -> Result<Self> {
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").into(),
            // Where a folder lies is in `data`; here it would leave a trace in the weights' file.
            dataset: match source {
                Source::Folder(_) => {
                    let kind = dataset.name.split(" in ").next();
                    kind.unwrap_or_default().into()
                }
                _ => dataset.name.clone(),
            },
            dataset_sha256: dataset.digest()?,
            loss,
        })
    }

    /// Checks that the data `now` are those that a run was trained on.
    ///
    /// # Errors
    ///
    /// If they are others; the error names both.
    pub fn refuse_other_data(&self, now: &Self) -> Result<()> {
        if self.dataset_sha256 == now.dataset_sha256 {
            return Ok(());
        }
        let why = format!(
            "the run was trained on {} (SHA-256 {:.8}), not on {} ({:.8})",
            self.dataset, self.dataset_sha256, now.dataset, now.dataset_sha256
        );
        Err(Error::input("data", why))
    }
}

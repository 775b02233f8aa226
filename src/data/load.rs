//! From a source to a data set.

use super::dataset::Dataset;
use super::mnist::{cache, published};
use super::source::{Notice, Source};
use super::{idx, synthetic};
use crate::Result;

/// Loads a data set, and says which source it was in the end: never [`Source::Auto`].
///
/// # Errors
///
/// If the data cannot be had; [`Source::Auto`] always finds some.
pub fn load(source: &Source, notify: &mut dyn FnMut(Notice)) -> Result<(Dataset, Source)> {
    let dataset = match source {
        Source::Auto => match cache::load(notify) {
            Ok(dataset) => return Ok((dataset, Source::Mnist)),
            Err(error) => {
                notify(Notice::Warning(format!(
                    "using built-in digits, because MNIST cannot be had: {error}"
                )));
                return Ok((synthetic::dataset(), Source::Synthetic));
            }
        },
        Source::Mnist => cache::load(notify)?,
        Source::Synthetic => synthetic::dataset(),
        Source::Folder(folder) => {
            let mut dataset = idx::read_folder(folder)?;
            if published::check(&dataset).is_ok() {
                dataset.name = published::NAME.into();
            }
            dataset
        }
    };
    Ok((dataset, source.clone()))
}

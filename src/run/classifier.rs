//! Classifiers, kept in the user's cache folder: each is trained once for a data set.

use super::weights;
use crate::data::{Dataset, Notice};
use crate::evaluate::classifier::{Classifier, RECIPE, classes};
use crate::{Error, Result, files};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What the header of a classifier's file says.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    dataset_sha256: String,
    recipe: u32,
}

/// The classifier of a data set: from the cache, else trained and kept there. One that is damaged is replaced, and a
/// cache that cannot be written done without; either is told to `notify`. `on_step` is called with the steps of its
/// training that are done, and their number.
///
/// # Errors
///
/// If the data set has fewer than two classes.
pub fn classifier(
    dataset: &Dataset,
    notify: &mut dyn FnMut(Notice),
    on_step: impl FnMut(u64, u64),
) -> Result<Classifier> {
    let description = Description {
        dataset_sha256: dataset.digest(),
        recipe: RECIPE,
    };
    let file = cache_file(&description);
    if let Some(file) = file.as_deref().filter(|file| files::is_taken(file)) {
        match read(file, &description, dataset) {
            Ok(classifier) => return Ok(classifier),
            Err(error) => notify(Notice::Warning(format!(
                "the cached classifier is damaged ({error}); training it again"
            ))),
        }
    }
    let classifier = Classifier::train(&dataset.train, on_step)?;
    if let Some(file) = &file
        && let Err(error) = write(file, &description, &classifier)
    {
        notify(Notice::Warning(format!(
            "the classifier cannot be cached ({error}); it will be trained anew each time"
        )));
    }
    Ok(classifier)
}

/// Where it is kept: in `vae/classifiers` in the user's cache folder, if there is such a thing.
fn cache_file(description: &Description) -> Option<PathBuf> {
    let folder = dirs::cache_dir()?.join("vae").join("classifiers");
    let Description {
        dataset_sha256,
        recipe,
    } = description;
    Some(folder.join(format!("{dataset_sha256:.16}-{recipe}.safetensors")))
}

fn read(file: &Path, expected: &Description, dataset: &Dataset) -> Result<Classifier> {
    let (tensors, found) = weights::read::<Description>(file)?;
    if found != *expected {
        return Err(Error::input(file.display(), "is of other data"));
    }
    Classifier::with_weights(dataset.shape(), classes(&dataset.train), tensors)
}

fn write(file: &Path, description: &Description, classifier: &Classifier) -> Result<()> {
    let named = classifier.parameters().iter();
    let named = named.map(|(name, var)| (name.clone(), var.as_tensor()));
    let bytes = weights::to_bytes(named, description)?;
    if let Some(folder) = file.parent() {
        files::create_folder(folder)?;
    }
    files::write_durably(file, &bytes)
}

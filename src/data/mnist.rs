//! MNIST: 60,000 + 10,000 handwritten digits, kept in a cache of our own.
//!
//! The first start downloads them and keeps them as four raw IDX files, by default in
//! `~/.cache/vae/mnist`. Every later start reads those, which takes milliseconds, and compares their
//! SHA-256 sums with the ones known for MNIST: whatever this module returns is MNIST to the last bit.

use std::path::{Path, PathBuf};

use super::{Dataset, Notice, idx};
#[cfg(not(feature = "download"))]
use crate::Error;
use crate::Result;

/// The name of a data set whose every byte is MNIST's.
pub const NAME: &str = "MNIST, verified";

/// The SHA-256 sums of the four files as published, unzipped, in the order of [`idx::FILES`].
const SUMS: [&str; 4] = [
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
];

/// MNIST from the cache, else from the hub.
///
/// A damaged cache is replaced, one that cannot be written is done without; either is told to
/// `notify`.
///
/// # Errors
///
/// If it is not in the cache and cannot be downloaded.
pub fn load(notify: &mut dyn FnMut(Notice)) -> Result<Dataset> {
    let cache = cache_folder();
    if let Some(folder) = &cache
        && idx::FILES.iter().any(|file| folder.join(file).exists())
    {
        match read_cache(folder) {
            Ok(dataset) => return Ok(dataset),
            Err(why) => notify(Notice::Warning(format!(
                "the cached copy of MNIST in {} is damaged ({why}); downloading it again",
                folder.display()
            ))),
        }
    }
    let dataset = download(notify)?;
    if let Some(folder) = &cache
        && let Err(error) = idx::write_folder(folder, &dataset)
    {
        notify(Notice::Warning(format!(
            "MNIST cannot be cached ({error}); this run does without"
        )));
    }
    Ok(dataset)
}

/// Whether a data set is MNIST to the last bit.
///
/// # Errors
///
/// If it is not: which of its files is the first to differ.
pub fn check(dataset: &Dataset) -> std::result::Result<(), String> {
    for (part, expected) in idx::parts(dataset).iter().zip(SUMS) {
        if super::sha256(&[&part.header, part.body]) != expected {
            return Err(format!("{} is not MNIST's", part.file));
        }
    }
    Ok(())
}

/// Where our copy is kept: `vae/mnist` in the user's cache folder, if there is such a thing.
fn cache_folder() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("vae").join("mnist"))
}

fn read_cache(folder: &Path) -> std::result::Result<Dataset, String> {
    let mut dataset = idx::read_folder(folder).map_err(|error| error.to_string())?;
    check(&dataset)?;
    dataset.name = NAME.into();
    Ok(dataset)
}

#[cfg(feature = "download")]
fn download(notify: &mut dyn FnMut(Notice)) -> Result<Dataset> {
    super::hub::fetch(notify)
}

#[cfg(not(feature = "download"))]
fn download(_: &mut dyn FnMut(Notice)) -> Result<Dataset> {
    Err(Error::failed(
        "MNIST",
        "this program was built without the means to download it",
    )
    .hint("build it with its default features, or give the four IDX files: --data FOLDER"))
}

//! MNIST: 60,000 + 10,000 handwritten digits, kept in a cache of our own.
//!
//! The first start downloads them and keeps them as four raw IDX files, by default in
//! `~/.cache/vae/mnist`. Every later start reads those, which takes milliseconds, and compares their
//! SHA-256 sums with the ones known for MNIST: whatever this module returns is MNIST to the last bit.

use super::published;
#[cfg(not(feature = "download"))]
use crate::Error;
use crate::Result;
use crate::data::dataset::Dataset;
use crate::data::idx;
use crate::data::source::Notice;
use std::path::{Path, PathBuf};

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

/// Where our copy is kept: `vae/mnist` in the user's cache folder, if there is such a thing.
fn cache_folder() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("vae").join("mnist"))
}

fn read_cache(folder: &Path) -> std::result::Result<Dataset, String> {
    let mut dataset = idx::read_folder(folder).map_err(|error| error.to_string())?;
    published::check(&dataset)?;
    dataset.name = published::NAME.into();
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

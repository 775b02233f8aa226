//! Published data sets in a cache of our own.
//!
//! The first start downloads one and keeps it as four raw IDX files, by default in `~/.cache/vae/mnist` and beside it.
//! Every later start reads those, which takes milliseconds, and compares their SHA-256 sums with the ones known for the
//! data set, or with those that were written beside them: whatever this module returns as MNIST is MNIST to the last bit.

use super::sets::Published;
#[cfg(not(feature = "download"))]
use crate::Error;
use crate::data::dataset::Dataset;
use crate::data::idx;
use crate::data::source::Notice;
use crate::{Result, files};
use std::path::{Path, PathBuf};

/// The checksums of files whose checksums are not known otherwise, as `sha256sum` writes and checks them.
const SUMS: &str = "SHA256SUMS";
/// Such a file is no larger.
const LARGEST_SUMS: u64 = 4096;

/// A data set from the cache, else from the hub.
///
/// A damaged cache is replaced, one that cannot be written is done without; either is told to
/// `notify`.
///
/// # Errors
///
/// If it is not in the cache and cannot be downloaded.
pub fn load(set: &'static Published, notify: &mut dyn FnMut(Notice)) -> Result<Dataset> {
    let cache = cache_folder(set);
    if let Some(folder) = &cache
        && idx::is_in(folder)
    {
        match read_cache(set, folder) {
            Ok(dataset) => return Ok(dataset),
            Err(why) => notify(Notice::Warning(format!(
                "the cached copy of {} in {} is damaged ({why}); downloading it again",
                set.title,
                folder.display()
            ))),
        }
    }
    let dataset = download(set, notify)?;
    if let Some(folder) = &cache
        && let Err(error) = write_cache(set, folder, &dataset)
    {
        notify(Notice::Warning(format!(
            "{} cannot be cached ({error}); this run does without",
            set.title
        )));
    }
    Ok(dataset)
}

/// Where our copy is kept: `vae/mnist`, or another name, in the user's cache folder, if there is such a thing.
fn cache_folder(set: &Published) -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("vae").join(set.name))
}

fn read_cache(set: &Published, folder: &Path) -> std::result::Result<Dataset, String> {
    let mut dataset = idx::read_folder(folder).map_err(|error| error.to_string())?;
    set.check(&dataset)?;
    if set.sums.is_none() {
        let sums = files::read_text(&folder.join(SUMS), LARGEST_SUMS);
        if sums
            .and_then(|sums| Ok(sums != sums_of(&dataset)?))
            .map_err(|error| error.to_string())?
        {
            return Err(format!("its files are not those of {SUMS}"));
        }
    }
    dataset.name = set.dataset_name();
    Ok(dataset)
}

fn write_cache(set: &Published, folder: &Path, dataset: &Dataset) -> Result<()> {
    idx::write_folder(folder, dataset)?;
    match set.sums {
        Some(_) => Ok(()),
        None => files::write_durably(&folder.join(SUMS), sums_of(dataset)?.as_bytes()),
    }
}

/// The checksums of the four files, a line each.
fn sums_of(dataset: &Dataset) -> Result<String> {
    let lines = idx::parts(dataset).map(|part| {
        let sum = idx::sum(std::slice::from_ref(&part))?;
        Ok(format!("{sum}  {}\n", part.file))
    });
    lines.into_iter().collect()
}

#[cfg(feature = "download")]
fn download(set: &'static Published, notify: &mut dyn FnMut(Notice)) -> Result<Dataset> {
    super::hub::fetch(set, notify)
}

#[cfg(not(feature = "download"))]
fn download(set: &'static Published, _: &mut dyn FnMut(Notice)) -> Result<Dataset> {
    Err(Error::failed(
        set.title,
        "this program was built without the means to download it",
    )
    .hint("build it with its default features, or give the four IDX files: --data FOLDER"))
}

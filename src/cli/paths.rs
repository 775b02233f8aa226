//! Where results go, and where models come from.

use crate::{Result, files, run};
use std::path::{Path, PathBuf};

/// Writes a result to where the user wants it, in a folder that is made if need be.
pub(super) fn write_result(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
    {
        files::create_folder(folder)?;
    }
    files::write_atomically(path, content)
}

/// The model that `--model` names, else the newest below `runs/`.
pub(super) fn model_path(given: Option<&Path>) -> Result<PathBuf> {
    match given {
        Some(path) => Ok(path.into()),
        None => run::newest(Path::new(run::RUNS)),
    }
}

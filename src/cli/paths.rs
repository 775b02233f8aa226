//! Where results go, and where models come from.

use crate::{Error, Result, files, run};
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

/// Says that a flag wants a model that is told labels.
pub(super) fn unconditional(flag: &str) -> Error {
    let why = "the model was not told labels as it was trained";
    Error::input(flag, why).hint("train one that is: \"conditional\": true in its configuration")
}

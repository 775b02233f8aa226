//! The models that runs left, for those who only use them.

use super::checkpoint::Checkpoint;
use super::dir::read_config;
use super::names::{CHECKPOINT, CONFIG, MODEL, run_of_file};
use super::weights::{self, LARGEST_FILE};
use crate::checksum::sha256;
use crate::config::Config;
use crate::data::Source;
use crate::model::Vae;
use crate::{Error, Result, files};
use candle_core::Device;
use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

/// The weights of the model that comes with the program: trained with `configs/builtin.json`, and made half as long by
/// `models/make.py`.
const BUILTIN: &[u8] = include_bytes!("../../models/builtin.safetensors");

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelName {
    /// The program itself.
    Builtin,
    /// A run directory or a weights file.
    Path(PathBuf),
}

impl From<OsString> for ModelName {
    fn from(name: OsString) -> Self {
        match name == "builtin" {
            true => Self::Builtin,
            false => Self::Path(name.into()),
        }
    }
}

impl Display for ModelName {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        match self {
            Self::Builtin => formatter.write_str("the built-in model"),
            Self::Path(path) => path.display().fmt(formatter),
        }
    }
}

impl ModelName {
    /// The content of its weights file.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn content(&self) -> Result<Vec<u8>> {
        match self {
            Self::Builtin => Ok(BUILTIN.to_vec()),
            Self::Path(path) => files::read(&file_of(path), LARGEST_FILE),
        }
    }

    /// The SHA-256 sum of its weights file, in hexadecimal digits.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn sha256(&self) -> Result<String> {
        Ok(sha256(&[&self.content()?]))
    }
}

/// A model and its configuration.
///
/// # Errors
///
/// If there is none of that name, or it is damaged.
pub fn load_model(name: &ModelName, device: &Device) -> Result<(Config, Vae)> {
    let file = match name {
        ModelName::Builtin => name.to_string(),
        ModelName::Path(path) => {
            refuse_no_model(path, &file_of(path))?;
            file_of(path).display().to_string()
        }
    };
    let read = weights::from_bytes::<Config>(name.content()?, &file);
    let (tensors, config) = read.map_err(|error| match name {
        // Weights can be cut in many ways; a whole checkpoint is only a wrong choice.
        ModelName::Path(path) if Checkpoint::read(&file_of(path)).is_ok() => {
            Error::input(&file, "is a checkpoint, not weights alone")
                .hint("give the model.safetensors of its run, or its run directory")
        }
        _ => error,
    })?;
    let of_file = |error: Error| Error {
        why: format!("{}: {}", error.what, error.why),
        what: file.clone(),
        ..error
    };
    config.validate().map_err(of_file)?;
    let vae = Vae::with_weights(&config, device, tensors).map_err(of_file)?;
    Ok((config, vae))
}

/// The weights file of a run directory; of another path it is that itself.
fn file_of(path: &Path) -> PathBuf {
    match path.is_dir() {
        true => path.join(MODEL),
        false => path.into(),
    }
}

/// Checks that `path` names weights: not nothing, nor another file of a run.
fn refuse_no_model(path: &Path, file: &Path) -> Result<()> {
    if let Some(run) = run_of_file(path)
        && path.file_name() != Some(MODEL.as_ref())
        && path.exists()
    {
        let why = match path.file_name() == Some(CHECKPOINT.as_ref()) {
            true => "is the checkpoint of a run, not its weights alone",
            false => "is a file of a run, but not its weights",
        };
        let hint = format!("give its directory: --model {run}");
        return Err(Error::input(path.display(), why).hint(hint));
    }
    if files::is_taken(file) {
        return Ok(());
    }
    if [CHECKPOINT, CONFIG].map(|name| path.join(name).is_file()) != [false; 2] {
        let hint = format!(
            "go on with its training: vae train --resume {}",
            files::quoted(path)
        );
        return Err(Error::input(path.display(), "training saved no model.safetensors").hint(hint));
    }
    Err(Error::input(file.display(), "does not exist").hint("train one: vae train"))
}

/// The run below `runs` whose model was written last; if there is no model, whose checkpoint was; `None` if there is no
/// run.
pub fn newest(runs: &Path) -> Option<PathBuf> {
    let newest_with = |name: &str| {
        let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
        let written = entries.filter_map(|entry| {
            let file = std::fs::metadata(entry.path().join(name)).ok()?;
            let written = file.modified().ok()?;
            file.is_file().then(|| (written, entry.path()))
        });
        Some(written.max()?.1)
    };
    newest_with(MODEL).or_else(|| newest_with(CHECKPOINT))
}

/// Where the data come from that the run of a model was trained on; of the built-in model, and of a weights file that is
/// not in its run directory, it is not known.
///
/// # Errors
///
/// If the configuration of the run cannot be read.
pub fn trained_on(name: &ModelName) -> Result<Source> {
    let ModelName::Path(model) = name else {
        return Ok(Source::default());
    };
    let config = if model.is_dir() {
        model.join(CONFIG)
    } else {
        model.with_file_name(CONFIG)
    };
    let in_run = model.is_dir() || model.file_name() == Some(MODEL.as_ref());
    match in_run && files::is_taken(&config) {
        true => Ok(read_config(&config)?.data),
        false => Ok(Source::default()),
    }
}

//! The models that runs left, for those who only use them.

use super::checkpoint::Checkpoint;
use super::dir::read_config;
use super::names::{CHECKPOINT, CONFIG, MODEL, run_of_file};
use super::weights;
use crate::config::Config;
use crate::data::Source;
use crate::model::Vae;
use crate::{Error, Result, files};
use candle_core::Device;
use std::path::{Path, PathBuf};

/// The model at `path`: a run directory or a weights file.
///
/// # Errors
///
/// If there is none, or it is damaged.
pub fn load_model(path: &Path, device: &Device) -> Result<(Config, Vae)> {
    let file = file_of(path);
    refuse_no_model(path, &file)?;
    let (tensors, config) = weights::read::<Config>(&file).map_err(|error| {
        // Weights can be cut in many ways; a whole checkpoint is only a wrong choice.
        match Checkpoint::read(&file) {
            Ok(_) => Error::input(file.display(), "is a checkpoint, not weights alone")
                .hint("give the model.safetensors of its run, or its run directory"),
            Err(_) => error,
        }
    })?;
    let of_file = |error: Error| Error {
        why: format!("{}: {}", error.what, error.why),
        what: file.display().to_string(),
        ..error
    };
    config.validate().map_err(of_file)?;
    let vae = Vae::with_weights(&config, device, tensors).map_err(of_file)?;
    Ok((config, vae))
}

/// The weights file of a run directory; of another path it is that itself.
pub(super) fn file_of(path: &Path) -> PathBuf {
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

/// The run below `runs` whose model was written last; if there is no model, whose checkpoint was.
///
/// # Errors
///
/// If there is none.
pub fn newest(runs: &Path) -> Result<PathBuf> {
    let newest_with = |name: &str| {
        let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
        let written = entries.filter_map(|entry| {
            let file = std::fs::metadata(entry.path().join(name)).ok()?;
            let written = file.modified().ok()?;
            file.is_file().then(|| (written, entry.path()))
        });
        Some(written.max()?.1)
    };
    let newest = newest_with(MODEL).or_else(|| newest_with(CHECKPOINT));
    newest.ok_or_else(|| {
        Error::input(
            "no model",
            format!("nothing has been trained below {}/", runs.display()),
        )
        .hint("train one first: vae train --steps 2000   (or point to one: --model PATH)")
    })
}

/// Where the data come from that the run of a model was trained on; of a weights file that is not in
/// its run directory it is not known.
///
/// # Errors
///
/// If the configuration of the run cannot be read.
pub fn trained_on(model: &Path) -> Result<Source> {
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

//! `evaluation.json`: what `vae evaluate` said of a run, and of which weights.

use super::model::ModelName;
use super::names::{CONFIG, EVALUATION, MODEL};
use crate::{Error, Result, files};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// No evaluation is larger: a hundred bytes for each latent dimension.
const LARGEST: u64 = 16 << 20;

/// The file's content.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept<E> {
    /// Of the weights' file.
    model_sha256: String,
    /// What `vae evaluate --json` printed.
    evaluation: E,
}

/// What is known of an evaluation of a run's weights.
#[derive(Debug, Default)]
pub struct Evaluated {
    /// What `vae evaluate --json` printed of them.
    pub evaluation: Option<Value>,
    /// Whether an evaluation is there that is of other weights.
    pub outdated: bool,
}

impl Evaluated {
    /// What a run directory holds. What cannot be read is as good as none: it can be made again.
    pub(super) fn read(run: &Path) -> Self {
        let kept = files::read(&run.join(EVALUATION), LARGEST).ok();
        let kept: Option<Kept<Value>> =
            kept.and_then(|content| serde_json::from_slice(&content).ok());
        let Some(kept) = kept else {
            return Self::default();
        };
        match ModelName::Path(run.into()).sha256() {
            Ok(digest) if digest == kept.model_sha256 => Self {
                evaluation: Some(kept.evaluation),
                outdated: false,
            },
            _ => Self {
                evaluation: None,
                outdated: true,
            },
        }
    }
}

/// Writes down what was said of the weights with this digest, in their run directory.
///
/// # Errors
///
/// If it cannot be written.
pub(super) fn write(run: &Path, model_sha256: &str, evaluation: &impl Serialize) -> Result<()> {
    let kept = Kept {
        model_sha256: model_sha256.into(),
        evaluation,
    };
    let path = run.join(EVALUATION);
    let text =
        serde_json::to_string(&kept).map_err(|error| Error::failed(path.display(), error))?;
    files::write_durably(&path, format!("{text}\n").as_bytes())
}

/// The run directory that a model is in.
pub(super) fn run_of(name: &ModelName) -> Option<PathBuf> {
    let ModelName::Path(model) = name else {
        return None;
    };
    let run = match model.is_dir() {
        true => model,
        false if model.file_name() == Some(MODEL.as_ref()) => model.parent()?,
        false => return None,
    };
    run.join(CONFIG).is_file().then(|| run.into())
}

//! What the files of a run are called.

use crate::files;
use std::path::Path;

/// Where runs are put that were given no place.
pub const RUNS: &str = "runs";

/// The names of what a run writes into its directory.
pub(super) const CONFIG: &str = "config.json";
pub(super) const METRICS: &str = "metrics.jsonl";
pub(super) const MODEL: &str = "model.safetensors";
pub(super) const CHECKPOINT: &str = "checkpoint.safetensors";
pub(super) const LOSS_PLOT: &str = "loss.svg";
pub(super) const REPORT: &str = "report.html";
pub(super) const EVALUATION: &str = "evaluation.json";
pub(super) const RECONSTRUCTIONS: &str = "reconstructions";
pub(super) const SAMPLES: &str = "samples";
pub(super) const TENSORBOARD: &str = "tensorboard";
pub(super) const LOCK: &str = ".lock";

/// What a new run would write over, or mix its own with.
pub(super) const OCCUPIED: [&str; 10] = [
    CONFIG,
    CHECKPOINT,
    MODEL,
    METRICS,
    LOSS_PLOT,
    REPORT,
    EVALUATION,
    RECONSTRUCTIONS,
    SAMPLES,
    TENSORBOARD,
];

/// The directory of the run that a file, or a folder of files, is part of, as a shell takes it.
pub(super) fn run_of_file(path: &Path) -> Option<String> {
    let is_run = |folder: &&Path| {
        let names = OCCUPIED.iter().chain([&LOCK]);
        names.filter(|name| folder.join(name).is_file()).count() > 1
    };
    let run = path.ancestors().skip(1).take(3).find(is_run)?;
    let first = path.strip_prefix(run).ok()?.components().next()?;
    let of_run = OCCUPIED.iter().chain([&LOCK]);
    of_run
        .into_iter()
        .any(|name| first.as_os_str() == *name)
        .then(|| match run.as_os_str().is_empty() {
            true => ".".into(),
            false => files::quoted(run),
        })
}

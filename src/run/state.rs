//! What a run directory holds for a training that goes on, and whether that belongs together.

use super::checkpoint::Checkpoint;
use super::dir::{RunDir, cannot_go_on, read_config};
use super::metrics::Recorded;
use super::weights;
use crate::config::Config;
use crate::{Error, Result, files};
use serde_json::Value;

/// What a run directory holds for a training that goes on.
#[derive(Debug)]
pub struct State {
    /// The configuration of the run so far.
    pub config: Config,
    /// Whether `config.json` is there: without it, it is not known where the data are.
    pub has_config: bool,
    /// Where the training goes on. If there is none, nothing was saved, and it begins again.
    pub checkpoint: Option<Checkpoint>,
    /// The metrics of the steps that are done.
    pub recorded: Recorded,
}

impl State {
    /// Reads a run, and checks that its files belong together. Nothing is changed.
    ///
    /// # Errors
    ///
    /// If a file is damaged or of another run, or if the checkpoint is missing that once was there.
    pub fn read(run: &RunDir) -> Result<Self> {
        let checkpoint = files::is_taken(&run.checkpoint())
            .then(|| Checkpoint::read(&run.checkpoint()))
            .transpose()?;
        let file = files::is_taken(&run.config())
            .then(|| read_config(&run.config()))
            .transpose()?;
        let done = checkpoint.as_ref().map_or(0, Checkpoint::step);
        let recorded = Recorded::read(&run.metrics(), done)?;
        let has_config = file.is_some();
        let config = match (&checkpoint, file) {
            (Some(checkpoint), Some(file)) => {
                refuse_changed(run, &file, &checkpoint.config)?;
                // What decides the numbers is the checkpoint's; the file adds what that leaves out.
                Config {
                    data: file.data,
                    steps: file.steps,
                    image_every: file.image_every,
                    save_every: file.save_every,
                    eval_every: file.eval_every,
                    tensorboard: file.tensorboard,
                    ..checkpoint.config.clone()
                }
            }
            (Some(checkpoint), None) => checkpoint.config.clone(),
            (None, Some(file)) => {
                refuse_saved(run, &file, &recorded)?;
                file
            }
            (None, None) => return Err(cannot_go_on(run.path(), "it was there a moment ago")),
        };
        if let Some(checkpoint) = &checkpoint {
            refuse_other_model(run, &checkpoint.config)?;
        }
        Ok(Self {
            config,
            has_config,
            checkpoint,
            recorded,
        })
    }

    /// The number of steps that are done.
    pub fn done(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, Checkpoint::step)
    }
}

/// Checks that a run without a checkpoint is one that saved nothing yet: that it begins again loses
/// nothing, because all that is there will be made again.
fn refuse_saved(run: &RunDir, config: &Config, recorded: &Recorded) -> Result<()> {
    // A training that was cut off before it saved anything has not come further than this.
    let first_save = config.save_every.min(config.steps);
    let pictures = run.pictures().into_iter().map(|(step, _)| step).max();
    let found = if files::is_taken(&run.model()) {
        "it holds a model.safetensors".into()
    } else if recorded.last > first_save {
        format!("its metrics.jsonl tells of step {}", recorded.last)
    } else if let Some(step) = pictures.filter(|&step| step > first_save) {
        format!("it has a picture of step {step}")
    } else if recorded.last == 0 && files::is_taken(&run.loss_plot()) {
        "it has a loss.svg".into()
    } else if recorded.last == 0 && files::is_taken(&run.report()) {
        "it has a report.html".into()
    } else if files::is_taken(&run.evaluation()) {
        "it has an evaluation.json".into()
    } else if config.provenance.is_none() {
        let why = "was written by no run: it has no `provenance`";
        let path = run.config();
        let path = path.display();
        let hint = format!("start a run with it: vae train --config {path}");
        return Err(Error::input(path, why).hint(hint));
    } else {
        return Ok(());
    };
    Err(cannot_go_on(run.path(), &found))
}

/// Checks that `config.json` still says what the run was trained with.
fn refuse_changed(run: &RunDir, file: &Config, trained: &Config) -> Result<()> {
    match difference(file, trained)? {
        Some(difference) => {
            let path = run.config();
            let path = path.display();
            let hint = format!("change it back, or start a run with it: vae train --config {path}");
            Err(Error::input(path, difference).hint(hint))
        }
        None => Ok(()),
    }
}

/// Checks that the weights which the next save will replace are older ones of this run. That they are
/// missing or empty is what may be left by a kill or a copy; then nothing is lost.
fn refuse_other_model(run: &RunDir, trained: &Config) -> Result<()> {
    let path = run.model();
    let empty = |file: std::fs::Metadata| file.is_file() && file.len() == 0;
    if !files::is_taken(&path) || std::fs::metadata(&path).is_ok_and(empty) {
        return Ok(());
    }
    let hint = "move it away: it is written again from the checkpoint";
    let (_, config) = weights::read::<Config>(&path).map_err(|error| error.hint(hint))?;
    match difference(&config, trained)? {
        Some(difference) => {
            let why = format!("is of another run: {difference}");
            Err(Error::input(path.display(), why).hint(hint))
        }
        None => Ok(()),
    }
}

/// The first thing in which a configuration differs from the one that a run was trained with.
fn difference(found: &Config, trained: &Config) -> Result<Option<String>> {
    let trained = decisive(trained)?;
    for (key, found) in decisive(found)? {
        match trained.get(&key) {
            Some(trained) if *trained != found => {
                return Ok(Some(match (shown(&found), shown(trained)) {
                    (Some(found), Some(trained)) => {
                        format!("`{key}` is {found}, but the run was trained with {trained}")
                    }
                    _ => format!("`{key}` is not what the run was trained with"),
                }));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// What of a configuration may not change in a run.
fn decisive(config: &Config) -> Result<serde_json::Map<String, Value>> {
    let mut keys = match weights::description(config)? {
        Value::Object(keys) => keys,
        _ => serde_json::Map::new(),
    };
    keys.remove("steps");
    keys.remove("provenance");
    if let Some(provenance) = &config.provenance {
        let sum = provenance.dataset_sha256.as_str();
        keys.insert("provenance.dataset_sha256".into(), sum.into());
    }
    Ok(keys)
}

/// A value in an error; a list of layers would fill a screen.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        // As a person writes it: 9, not 9.0.
        Value::Number(number) => Some(match number.as_u64() {
            Some(whole) => whole.to_string(),
            None => number.as_f64()?.to_string(),
        }),
        _ => None,
    }
}

//! The run directory: what is where, and how it is written and read again.

use crate::config::Config;
use crate::files::{self, write_durably};
use crate::model::Vae;
use crate::train::{Losses, Progress, Step, Trainer};
use crate::weights::{self, Tensors};
use crate::{Error, Result, plot};
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where runs are put that were given no place.
pub const RUNS: &str = "runs";

/// No metrics file is larger: a million lines.
const LARGEST_METRICS: u64 = 256 << 20;

/// What the names of the moments begin with in a checkpoint.
const FIRST_MOMENT: &str = "adam.first_moment.";
const SECOND_MOMENT: &str = "adam.second_moment.";

/// The names of the files that make a directory a run.
const CONFIG: &str = "config.json";
const METRICS: &str = "metrics.jsonl";
const MODEL: &str = "model.safetensors";
const CHECKPOINT: &str = "checkpoint.safetensors";

/// A directory with everything of one run, which no other training can have at the same time.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
    /// Open for as long as the run is used. The lock on it ends with its process, however that ends.
    _lock: Arc<File>,
}

impl RunDir {
    /// Makes the directory of a new run. What a process that was killed left half written is removed.
    ///
    /// # Errors
    ///
    /// If there is a run in it already, or it cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        files::create_folder(path)?;
        let run = Self::lock(path)?;
        Self::refuse_occupied(path)?;
        for folder in run.folders() {
            files::create_folder(&folder)?;
            files::remove_partial(&folder)?;
        }
        Ok(run)
    }

    /// Makes the directory of a new run below [`RUNS`], named after the local time and the source of the
    /// data.
    ///
    /// # Errors
    ///
    /// If it cannot be created.
    pub fn create_fresh(source: &str) -> Result<Self> {
        files::create_folder(Path::new(RUNS))?;
        let now = chrono::Local::now().format("%Y%m%d-%H%M%S");
        let name = format!("{now}-{source}");
        let mut path = Path::new(RUNS).join(&name);
        let mut number = 2;
        // Of two trainings that begin in the same second, one finds the other's directory.
        while !files::create_new_folder(&path)? {
            path = Path::new(RUNS).join(format!("{name}-{number}"));
            number += 1;
        }
        Self::create(&path)
    }

    /// Checks that there is no run at `path`, but could be one.
    ///
    /// # Errors
    ///
    /// If there is one, or a file is in the way.
    pub fn refuse_occupied(path: &Path) -> Result<()> {
        let names = [CONFIG, CHECKPOINT, MODEL, METRICS];
        if names.iter().any(|name| path.join(name).exists()) {
            let path = path.display();
            let hint = format!("choose another --out, or continue it: --resume {path}");
            return Err(Error::input(path, "holds a run already").hint(hint));
        }
        files::check_folder(path)
    }

    /// The directory of a run that is there. What a process that was killed left half written is removed.
    ///
    /// # Errors
    ///
    /// If there is no run in it, or another training has it.
    pub fn open(path: &Path) -> Result<Self> {
        let why = if !path.exists() {
            "does not exist"
        } else if !path.is_dir() {
            "is not a run directory"
        } else if !path.join(CONFIG).is_file() {
            "holds no config.json of a run"
        } else {
            let run = Self::lock(path)?;
            for folder in run.folders() {
                files::remove_partial(&folder)?;
            }
            return Ok(run);
        };
        Err(Error::input(path.display(), why).hint("start a new run: vae train"))
    }

    fn lock(path: &Path) -> Result<Self> {
        let name = path.join(".lock");
        let cannot = |error: std::io::Error| {
            Error::failed(name.display(), format!("cannot be locked: {error}"))
        };
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(&name);
        let file = file.map_err(cannot)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let why = "another training is writing into it";
                return Err(Error::input(path.display(), why).hint("wait for it, or stop it"));
            }
            // Some network file systems know no locks.
            Err(TryLockError::Error(error)) if error.kind() != ErrorKind::Unsupported => {
                return Err(cannot(error));
            }
            _ => {}
        }
        Ok(Self {
            path: path.into(),
            _lock: Arc::new(file),
        })
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// The metrics, one object a line.
    pub fn metrics(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// The weights alone.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// All that a training needs to continue.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join(CHECKPOINT)
    }

    /// The curves of the loss.
    pub fn loss_plot(&self) -> PathBuf {
        self.path.join("loss.svg")
    }

    /// The directory and those in it.
    fn folders(&self) -> [PathBuf; 3] {
        [self.path.clone(), self.reconstructions(), self.samples()]
    }

    fn reconstructions(&self) -> PathBuf {
        self.path.join("reconstructions")
    }

    fn samples(&self) -> PathBuf {
        self.path.join("samples")
    }

    /// The reconstructions of a step.
    pub fn reconstruction(&self, step: u64) -> PathBuf {
        self.reconstructions().join(format!("step-{step:06}.png"))
    }

    /// The samples of a step.
    pub fn sample(&self, step: u64) -> PathBuf {
        self.samples().join(format!("step-{step:06}.png"))
    }

    /// Writes the resolved configuration.
    pub fn write_config(&self, config: &Config) -> Result<()> {
        let text = serde_json::to_string_pretty(config)
            .map_err(|error| Error::failed(self.config().display(), error))?;
        write_durably(&self.config(), format!("{text}\n").as_bytes())
    }

    /// Reads the resolved configuration.
    pub fn read_config(&self) -> Result<Config> {
        Config::read(&self.config())
    }

    /// Reads the checkpoint, if there is one yet.
    pub fn read_checkpoint(&self) -> Result<Option<Checkpoint>> {
        let path = self.checkpoint();
        path.exists().then(|| Checkpoint::read(&path)).transpose()
    }

    /// Writes the weights alone, then the checkpoint: once that is there, nothing is missing.
    pub fn save(&self, trainer: &Trainer, config: &Config) -> Result<()> {
        let parameters = trainer.vae.parameters();
        let named = parameters
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor()));
        let moments = parameters.iter().zip(&trainer.adam.slots);
        let moments = moments.flat_map(|((name, _), slot)| {
            [
                (format!("{FIRST_MOMENT}{name}"), &slot.first_moment),
                (format!("{SECOND_MOMENT}{name}"), &slot.second_moment),
            ]
        });
        let description = weights::description(config)?;
        let state = Description {
            config: &description,
            progress: trainer.progress,
        };
        let checkpoint = weights::to_bytes(named.clone().chain(moments), &state)?;
        write_durably(&self.model(), &weights::to_bytes(named, &description)?)?;
        write_durably(&self.checkpoint(), &checkpoint)
    }
}

/// What a checkpoint's header says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description<C> {
    config: C,
    progress: Progress,
}

/// A checkpoint as it was read.
#[derive(Debug)]
pub struct Checkpoint {
    /// What the model was trained with, but for paths and how often it was saved.
    pub config: Config,
    progress: Progress,
    tensors: Tensors,
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is not whole.
    pub fn read(path: &Path) -> Result<Self> {
        let (tensors, description) = weights::read::<Description<Config>>(path)?;
        Ok(Self {
            config: description.config,
            progress: description.progress,
            tensors,
        })
    }

    /// The number of steps it has seen.
    pub fn step(&self) -> u64 {
        self.progress.step
    }

    /// Takes the weights out of it, as a model.
    pub fn take_model(&mut self, device: &Device) -> Result<Vae> {
        let weights = self
            .tensors
            .extract_if(|name, _| !name.starts_with("adam."));
        Vae::with_weights(&self.config, device, weights.collect())
    }

    /// Puts the moments and the progress into a trainer of the model.
    ///
    /// # Errors
    ///
    /// If a moment is missing or of another shape than its parameter.
    pub fn restore(mut self, trainer: &mut Trainer) -> Result<()> {
        let parameters = trainer.vae.parameters().iter();
        for ((name, var), slot) in parameters.zip(&mut trainer.adam.slots) {
            let mut take = |prefix: &str| {
                let name = format!("{prefix}{name}");
                let moment = self
                    .tensors
                    .remove(&name)
                    .filter(|m| m.dims() == var.dims());
                let moment = moment.ok_or_else(|| {
                    Error::input("checkpoint", format!("`{name}` is missing or misshapen"))
                })?;
                Ok::<_, Error>(moment.to_device(var.device())?)
            };
            slot.first_moment = take(FIRST_MOMENT)?;
            slot.second_moment = take(SECOND_MOMENT)?;
        }
        trainer.progress = self.progress;
        Ok(())
    }
}

/// The model at `path`: a run directory or a weights file.
///
/// # Errors
///
/// If there is none, or it is damaged.
pub fn load_model(path: &Path, device: &Device) -> Result<(Config, Vae)> {
    let file = if path.is_dir() {
        path.join(MODEL)
    } else {
        path.into()
    };
    if !file.exists() {
        return Err(Error::input(file.display(), "does not exist").hint("train one: vae train"));
    }
    let (tensors, config) = weights::read::<Config>(&file)?;
    let of_file = |error: Error| Error {
        why: format!("{}: {}", error.what, error.why),
        what: file.display().to_string(),
        ..error
    };
    config.validate().map_err(of_file)?;
    let vae = Vae::with_weights(&config, device, tensors).map_err(of_file)?;
    Ok((config, vae))
}

/// The run below `runs` whose model was written last.
///
/// # Errors
///
/// If there is none.
pub fn newest(runs: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let written = entries.filter_map(|entry| {
        let model = std::fs::metadata(entry.path().join(MODEL)).ok()?;
        Some((model.modified().ok()?, entry.path()))
    });
    written.max().map(|(_, path)| path).ok_or_else(|| {
        Error::input(
            "no model",
            format!("nothing has been trained below {}/", runs.display()),
        )
        .hint("train one first: vae train --steps 2000   (or point to one: --model PATH)")
    })
}

/// A line of `metrics.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The number of steps done.
    pub step: u64,
    /// Which images it is of.
    pub split: SplitName,
    /// squared_error + beta * kl.
    pub loss: f64,
    /// Sum over pixels, averaged over images.
    pub squared_error: f64,
    /// Sum over latent dimensions, averaged over images, in nats.
    pub kl: f64,
    /// The learning rate of the step; of training only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// The speed of the steps since the last line; of training only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images_per_second: Option<f64>,
}

/// The images that a metric is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitName {
    /// Those of the steps since the last line, averaged.
    Train,
    /// All of the test images.
    Test,
}

impl Metric {
    /// The metric of training steps.
    pub fn train(interval: Step, beta: f64, images_per_second: f64) -> Self {
        Self {
            learning_rate: Some(interval.learning_rate),
            images_per_second: Some(images_per_second),
            ..Self::new(interval.step, SplitName::Train, interval.losses, beta)
        }
    }

    /// The metric of an evaluation.
    pub fn test(step: u64, losses: Losses, beta: f64) -> Self {
        Self::new(step, SplitName::Test, losses, beta)
    }

    fn new(step: u64, split: SplitName, losses: Losses, beta: f64) -> Self {
        Self {
            step,
            split,
            loss: losses.loss(beta),
            squared_error: losses.squared_error,
            kl: losses.kl,
            learning_rate: None,
            images_per_second: None,
        }
    }
}

/// `metrics.jsonl`, open at its end, and the plot made of it.
#[derive(Debug)]
pub struct MetricsLog {
    run: RunDir,
    file: File,
    metrics: Vec<Metric>,
    /// How many of them the plot shows.
    plotted: usize,
}

impl MetricsLog {
    /// Opens the log of a run that has done `step` steps. What a run that was cut off wrote after
    /// them is removed: those steps will be made again.
    ///
    /// # Errors
    ///
    /// If a line before the last is no metric, or the file cannot be written.
    pub fn open(run: &RunDir, step: u64) -> Result<Self> {
        let path = run.metrics();
        let text = if path.exists() {
            files::read_text(&path, LARGEST_METRICS)?
        } else {
            String::new()
        };
        let metrics = parse_metrics(&text, step, &path)?;
        let kept: Vec<u8> = metrics.iter().flat_map(line).collect();
        if kept != text.as_bytes() {
            write_durably(&path, &kept)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|error| cannot_append(&path, &error))?;
        Ok(Self {
            run: run.clone(),
            file,
            metrics,
            plotted: 0,
        })
    }

    /// Adds a line, and draws the plot anew where that shows: not at each of a hundred thousand lines.
    pub fn push(&mut self, metric: Metric) -> Result<()> {
        self.metrics.push(metric);
        self.file
            .write_all(&line(&metric))
            .map_err(|error| cannot_append(&self.run.metrics(), &error))?;
        match self.metrics.len() - self.plotted > self.plotted / 50 {
            true => self.plot(),
            false => Ok(()),
        }
    }

    /// Draws the plot.
    pub fn plot(&mut self) -> Result<()> {
        self.plotted = self.metrics.len();
        let svg = plot::losses(&self.metrics)?;
        write_durably(&self.run.loss_plot(), svg.as_bytes())
    }

    /// Makes all lines survive a power cut.
    pub fn sync(&self) -> Result<()> {
        let synced = self.file.sync_data();
        synced.map_err(|error| cannot_append(&self.run.metrics(), &error))
    }
}

/// The metrics of the first `step` steps, from the `text` of the file at `path`.
///
/// # Errors
///
/// If a line before the last is no metric.
pub fn parse_metrics(text: &str, step: u64, path: &Path) -> Result<Vec<Metric>> {
    let mut metrics = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        match serde_json::from_str::<Metric>(line) {
            Ok(metric) if metric.step <= step => metrics.push(metric),
            Ok(_) => {}
            // Only the last line can have been cut off while it was written.
            Err(_) if lines.peek().is_none() => {}
            Err(error) => {
                let what = format!("{} line {}", path.display(), number + 1);
                return Err(Error::input(what, format!("is no metric: {error}")));
            }
        }
    }
    Ok(metrics)
}

fn line(metric: &Metric) -> Vec<u8> {
    let mut line = serde_json::to_vec(metric).unwrap_or_default();
    line.push(b'\n');
    line
}

fn cannot_append(path: &Path, error: &std::io::Error) -> Error {
    Error::failed(path.display(), format!("cannot be written: {error}"))
}

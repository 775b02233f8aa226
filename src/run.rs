//! The run directory: what is where, and how it is written and read again.

use crate::config::Config;
use crate::files::{self, write_atomically};
use crate::model::Vae;
use crate::train::{Losses, Progress, Step, Trainer};
use crate::weights::{self, Tensors};
use crate::{Error, Result, plot};
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where runs are put that were given no place.
pub const RUNS: &str = "runs";

/// No metrics file is larger: a million lines.
const LARGEST_METRICS: u64 = 256 << 20;

/// What the names of the moments begin with in a checkpoint.
const FIRST_MOMENT: &str = "adam.first_moment.";
const SECOND_MOMENT: &str = "adam.second_moment.";

/// A directory with everything of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes the directory of a new run.
    ///
    /// # Errors
    ///
    /// If there is a run in it already, or it cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        Self::refuse_occupied(path)?;
        let run = Self { path: path.into() };
        files::create_folder(&run.reconstructions())?;
        files::create_folder(&run.samples())?;
        Ok(run)
    }

    /// Checks that there is no run at `path`, but could be one.
    ///
    /// # Errors
    ///
    /// If there is one, or a file is in the way.
    pub fn refuse_occupied(path: &Path) -> Result<()> {
        let run = Self { path: path.into() };
        let files = [run.config(), run.checkpoint(), run.model(), run.metrics()];
        if files.iter().any(|file| file.exists()) {
            let path = path.display();
            let hint = match run.checkpoint().exists() {
                true => format!("choose another --out, or continue it: --resume {path}"),
                false => "choose another --out; it has no checkpoint to continue from".into(),
            };
            return Err(Error::input(path, "holds a run already").hint(hint));
        }
        files::check_folder(path)
    }

    /// A fresh name below [`RUNS`]: the local time and the source of the data.
    pub fn fresh_path(source: &str) -> PathBuf {
        let now = jiff::ZonedDateTime::now().strftime("%Y%m%d-%H%M%S");
        let name = format!("{now}-{source}");
        let mut path = Path::new(RUNS).join(&name);
        for number in 2.. {
            if !path.exists() {
                break;
            }
            path = Path::new(RUNS).join(format!("{name}-{number}"));
        }
        path
    }

    /// The directory of a run that is there.
    ///
    /// # Errors
    ///
    /// If there is no checkpoint in it.
    pub fn open(path: &Path) -> Result<Self> {
        let run = Self { path: path.into() };
        if run.checkpoint().is_file() {
            return Ok(run);
        }
        let why = if !path.exists() {
            "does not exist"
        } else if path.is_dir() {
            "holds no checkpoint.safetensors"
        } else {
            "is not a run directory"
        };
        Err(Error::input(path.display(), why).hint("start a new run: vae train"))
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.json")
    }

    /// The metrics, one object a line.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The weights alone.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// All that a training needs to continue.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }

    /// The curves of the loss.
    pub fn loss_plot(&self) -> PathBuf {
        self.path.join("loss.svg")
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
        write_atomically(&self.config(), format!("{text}\n").as_bytes())
    }

    /// Reads the resolved configuration.
    pub fn read_config(&self) -> Result<Config> {
        Config::read(&self.config())
    }

    /// Writes the checkpoint, then the weights alone.
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
        write_atomically(&self.checkpoint(), &checkpoint)?;
        write_atomically(&self.model(), &weights::to_bytes(named, &description)?)
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
        path.join("model.safetensors")
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
        let model = std::fs::metadata(entry.path().join("model.safetensors")).ok()?;
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
        let mut metrics = Vec::new();
        for (number, line) in text.lines().enumerate() {
            match serde_json::from_str::<Metric>(line) {
                Ok(metric) if metric.step <= step => metrics.push(metric),
                Ok(_) => {}
                // Only the last line can have been cut off while it was written.
                Err(_) if number + 1 == text.lines().count() => {}
                Err(error) => {
                    let what = format!("{} line {}", path.display(), number + 1);
                    return Err(Error::input(what, format!("is no metric: {error}")));
                }
            }
        }
        let kept: Vec<u8> = metrics.iter().flat_map(line).collect();
        if kept != text.as_bytes() {
            write_atomically(&path, &kept)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|error| cannot_append(&path, &error))?;
        Ok(Self {
            run: run.clone(),
            file,
            metrics,
        })
    }

    /// Adds a line, and draws the plot anew.
    pub fn push(&mut self, metric: Metric) -> Result<()> {
        self.metrics.push(metric);
        self.file
            .write_all(&line(&metric))
            .map_err(|error| cannot_append(&self.run.metrics(), &error))?;
        write_atomically(
            &self.run.loss_plot(),
            plot::losses(&self.metrics)?.as_bytes(),
        )
    }
}

fn line(metric: &Metric) -> Vec<u8> {
    let mut line = serde_json::to_vec(metric).unwrap_or_default();
    line.push(b'\n');
    line
}

fn cannot_append(path: &Path, error: &std::io::Error) -> Error {
    Error::failed(path.display(), format!("cannot be written: {error}"))
}

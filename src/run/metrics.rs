//! `metrics.jsonl`: the losses of a run, a line at a time, and the plot made of them.

use super::dir::RunDir;
use crate::config::{BetaSchedule, Config, Likelihood};
use crate::files::{self, write_durably};
use crate::picture::plot::{self, Curve};
use crate::train::{Losses, Step};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// No metrics file is larger: a million lines.
const LARGEST_METRICS: u64 = 256 << 20;

/// What each line of metrics begins with.
const BEGINNING: &str = r#"{"step":"#;

/// A line of `metrics.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The number of steps done.
    pub step: u64,
    /// Which images it is of.
    pub split: SplitName,
    /// reconstruction + beta * kl, or the bound that the configuration asks for instead.
    pub loss: f64,
    /// The negative logarithm of an image's density for its latent vector, in nats; only where the likelihood is another
    /// than `squared_error`, for which it is the squared error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconstruction: Option<f64>,
    /// Sum over pixels, averaged over images.
    pub squared_error: f64,
    /// Sum over latent dimensions, averaged over images, in nats.
    pub kl: f64,
    /// What the KL divergence counted in the loss; of training only, where that changes from step to step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
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
    pub fn train(interval: Step, config: &Config, images_per_second: f64) -> Self {
        let changes = config.beta_schedule != BetaSchedule::Constant;
        Self {
            beta: changes.then_some(interval.beta),
            learning_rate: Some(interval.learning_rate),
            images_per_second: Some(images_per_second),
            ..Self::new(interval.step, SplitName::Train, interval.losses, config)
        }
    }

    /// The metric of an evaluation.
    pub fn test(step: u64, losses: Losses, config: &Config) -> Self {
        Self::new(step, SplitName::Test, losses, config)
    }

    /// What is in the loss for the reconstruction.
    pub(super) fn reconstruction_term(&self) -> f64 {
        self.reconstruction.unwrap_or(self.squared_error)
    }

    fn new(step: u64, split: SplitName, losses: Losses, config: &Config) -> Self {
        let differs = config.likelihood != Likelihood::SquaredError;
        Self {
            step,
            split,
            loss: losses.loss,
            reconstruction: differs.then_some(losses.reconstruction),
            squared_error: losses.squared_error,
            kl: losses.kl,
            beta: None,
            learning_rate: None,
            images_per_second: None,
        }
    }
}

/// The metrics of the first steps of a run, as they were read.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The metrics of those steps.
    pub(super) metrics: Vec<Metric>,
    /// Their lines.
    text: String,
    /// Whether the file holds more than these.
    more: bool,
    /// The latest step that the file tells of.
    pub(super) last: u64,
}

impl Recorded {
    /// Reads the metrics of a run that has done `step` steps.
    ///
    /// # Errors
    ///
    /// If a line is no metric, unless it is the last and was cut off.
    pub(super) fn read(path: &Path, step: u64) -> Result<Self> {
        match files::is_taken(path) {
            true => parse_metrics(&files::read_text(path, LARGEST_METRICS)?, step, path),
            false => Ok(Self::default()),
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
    /// Opens the log of a run after what was `recorded` of the steps that are done. What a run that was
    /// cut off wrote after them is removed: those steps will be made again.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn open(run: &RunDir, recorded: Recorded) -> Result<Self> {
        let path = run.metrics();
        if recorded.more {
            write_durably(&path, recorded.text.as_bytes())?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|error| cannot_append(&path, &error))?;
        Ok(Self {
            run: run.clone(),
            file,
            metrics: recorded.metrics,
            plotted: 0,
        })
    }

    /// The metrics that it holds, in their order.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
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

    /// Draws the plot, if there is anything to show: a plot without a line in the log would look like a log that was lost.
    pub fn plot(&mut self) -> Result<()> {
        if self.metrics.is_empty() {
            return Ok(());
        }
        // The plot is flushed to disk; the lines that it shows must not be lost where it is not.
        self.sync()?;
        self.plotted = self.metrics.len();
        let svg = plot::draw(&curves(&self.metrics), top(&self.metrics))?;
        write_durably(&self.run.loss_plot(), svg.as_bytes())
    }

    /// What the plot shows: the loss, what is in it for the reconstruction, and the KL.
    pub fn curves(&self) -> [Curve; 3] {
        curves(&self.metrics)
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
/// If a line is no metric, unless it is the last and was cut off.
pub fn parse_metrics(text: &str, step: u64, path: &Path) -> Result<Recorded> {
    let mut recorded = Recorded::default();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        match serde_json::from_str::<Metric>(line) {
            Ok(metric) => {
                recorded.last = recorded.last.max(metric.step);
                if metric.step <= step {
                    recorded.metrics.push(metric);
                    recorded.text += line.trim_end_matches('\n');
                    recorded.text.push('\n');
                }
            }
            Err(_) if was_cut_off(line) => {}
            Err(error) => {
                let what = format!("{} line {}", path.display(), number + 1);
                return Err(Error::input(what, format!("is no metric: {error}")));
            }
        }
    }
    recorded.more = recorded.text != text;
    Ok(recorded)
}

/// Whether a line is the beginning of one that was never written to its end; after a power cut, zeros
/// can stand for what was not.
fn was_cut_off(line: &str) -> bool {
    let written = line.trim_end_matches('\0');
    !line.ends_with('\n') && (written.starts_with(BEGINNING) || BEGINNING.starts_with(written))
}

fn line(metric: &Metric) -> Vec<u8> {
    let mut line = serde_json::to_vec(metric).unwrap_or_default();
    line.push(b'\n');
    line
}

fn cannot_append(path: &Path, error: &std::io::Error) -> Error {
    Error::failed(path.display(), format!("cannot be written: {error}"))
}

/// What the plot shows: the loss, what is in it for the reconstruction, and the KL.
fn curves(metrics: &[Metric]) -> [Curve; 3] {
    let curve = |name, colour, value: fn(&Metric) -> f64| {
        let points = |split| {
            let of_split = metrics.iter().filter(|metric| metric.split == split);
            of_split
                .map(|metric| (metric.step, value(metric)))
                .collect()
        };
        Curve {
            name,
            colour,
            line: points(SplitName::Train),
            dots: points(SplitName::Test),
        }
    };
    let name = match metrics.last().and_then(|metric| metric.reconstruction) {
        Some(_) => "reconstruction",
        None => "squared error",
    };
    [
        curve("loss", (0x33, 0x33, 0x33), |metric| metric.loss),
        curve(name, (0x1f, 0x77, 0xb4), Metric::reconstruction_term),
        curve("KL", (0xd6, 0x5f, 0x2a), |metric| metric.kl),
    ]
}

/// The top of the plot: twice the last loss, so that the first steps do not flatten the rest.
fn top(metrics: &[Metric]) -> f64 {
    let losses = || {
        metrics
            .iter()
            .map(|metric| metric.loss.max(metric.reconstruction_term()))
    };
    let highest = losses().fold(0.0, f64::max);
    let last = losses().next_back().unwrap_or(1.0);
    (1.05 * highest).min(2.0 * last).max(1e-3)
}

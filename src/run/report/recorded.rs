//! A run as its directory has it, for a report.

use super::curves::Curves;
use super::page::Page;
use super::pictures::over_the_steps;
use super::settings::{Setting, command, settings, title};
use crate::config::{Config, Likelihood};
use crate::run::dir::read_config;
use crate::run::evaluation::Evaluated;
use crate::run::metrics::Recorded;
use crate::run::names::{CONFIG, METRICS, run_of_file};
use crate::run::{Metric, SplitName};
use crate::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Points of a curve on the page of one run.
const MOST_POINTS: usize = 1000;

/// A run as its directory has it.
#[derive(Debug)]
pub struct RecordedRun {
    pub(super) path: PathBuf,
    pub(super) config: Config,
    pub(super) metrics: Vec<Metric>,
    pub(super) evaluated: Evaluated,
}

/// What the page of a run says.
#[derive(Serialize)]
struct Said<'a> {
    /// Whether the page will be written anew.
    live: bool,
    /// What the run is called, if it is known.
    name: Option<String>,
    /// What it is of.
    title: String,
    step: u64,
    steps: u64,
    /// What the reconstruction's term of the loss is called.
    term: &'static str,
    curves: Curves,
    settings: Vec<Setting>,
    about: Vec<String>,
    evaluation: Option<&'a Value>,
    /// Whether there is an evaluation that is of other weights.
    outdated: bool,
    command: String,
}

impl RecordedRun {
    /// Reads a run. Nothing is changed, and no training is kept from going on.
    ///
    /// # Errors
    ///
    /// If there is none, or its configuration or metrics are damaged.
    pub fn read(path: &Path) -> Result<Self> {
        if !is_run(path) {
            return Err(no_run(path));
        }
        Ok(Self {
            path: path.into(),
            config: read_config(&path.join(CONFIG))?,
            metrics: Recorded::read(&path.join(METRICS), u64::MAX)?.metrics,
            evaluated: Evaluated::read(path),
        })
    }

    /// The page of this run alone, which is called as its path is.
    ///
    /// # Errors
    ///
    /// If the configuration cannot be written as JSON.
    pub fn page(&self) -> Result<Page> {
        page(
            &self.path,
            Some(self.name()),
            (&self.config, &self.metrics),
            &self.evaluated,
            false,
        )
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The last metrics of the test images.
    pub(super) fn last_test(&self) -> Option<&Metric> {
        let mut metrics = self.metrics.iter();
        metrics.rfind(|metric| metric.split == SplitName::Test)
    }
}

/// The page of the run in a directory, of which a configuration and metrics are known.
pub(super) fn page(
    path: &Path,
    name: Option<String>,
    (config, metrics): (&Config, &[Metric]),
    evaluated: &Evaluated,
    live: bool,
) -> Result<Page> {
    let settings = settings(config)?;
    let step = last_step(metrics);
    let said = Said {
        live,
        name,
        title: title(config, &settings),
        step,
        steps: config.steps,
        term: term(config),
        curves: Curves::of(metrics, MOST_POINTS),
        about: about(config),
        settings,
        evaluation: evaluated.evaluation.as_ref(),
        outdated: evaluated.outdated,
        command: command(config)?,
    };
    Page::new(&said, over_the_steps(path, step))
}

/// The step that metrics have come to.
pub(super) fn last_step(metrics: &[Metric]) -> u64 {
    metrics.last().map_or(0, |metric| metric.step)
}

/// What the reconstruction's term of the loss is called.
pub(super) fn term(config: &Config) -> &'static str {
    match config.likelihood {
        Likelihood::SquaredError => "squared error",
        Likelihood::Gaussian | Likelihood::Bernoulli => "reconstruction",
    }
}

/// What a run was made from and by, a line each.
fn about(config: &Config) -> Vec<String> {
    let Some(provenance) = &config.provenance else {
        return Vec::new();
    };
    vec![
        format!("The loss: {}.", provenance.loss),
        format!(
            "Trained on {}, SHA-256 {:.16}…, by vae {}.",
            provenance.dataset, provenance.dataset_sha256, provenance.version
        ),
    ]
}

fn is_run(path: &Path) -> bool {
    path.join(CONFIG).is_file()
}

fn no_run(path: &Path) -> Error {
    let refused = |why: &str| Error::input(path.display(), why);
    match run_of_file(path) {
        Some(run) if path.exists() => {
            refused("is a file of a run").hint(format!("give its directory: vae report {run}"))
        }
        _ if !path.exists() => refused("does not exist"),
        _ if !path.is_dir() => refused("is neither a run directory nor an .html file to write"),
        _ => refused("holds no run").hint("a run directory has a config.json: vae train makes one"),
    }
}

/// The runs in directories: each is one, or has some in it, which come in the order of their names.
///
/// # Errors
///
/// If one is no run and has none in it, or a run is damaged.
pub fn find(paths: &[PathBuf]) -> Result<Vec<RecordedRun>> {
    let mut runs = Vec::new();
    for path in paths {
        if is_run(path) {
            runs.push(RecordedRun::read(path)?);
            continue;
        }
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut below: Vec<_> = entries.map(|entry| entry.path()).collect();
        below.retain(|path| is_run(path));
        below.sort();
        if below.is_empty() {
            return Err(no_run(path));
        }
        let below = below.iter().map(|path| RecordedRun::read(path));
        runs.extend(below.collect::<Result<Vec<_>>>()?);
    }
    let mut seen: Vec<PathBuf> = Vec::new();
    runs.retain(|run| {
        let path = run.path.canonicalize().unwrap_or(run.path.clone());
        let new = !seen.contains(&path);
        seen.push(path);
        new
    });
    Ok(runs)
}

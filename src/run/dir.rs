//! The directory of a run: what is where in it, and how it is begun and opened again.

use super::lock::{lock_there, new_lock};
use super::names::{
    CHECKPOINT, CONFIG, EVALUATION, LOSS_PLOT, METRICS, MODEL, OCCUPIED, RECONSTRUCTIONS, REPORT,
    RUNS, SAMPLES, TENSORBOARD, run_of_file,
};
use crate::config::Config;
use crate::files::{self, write_durably};
use crate::{Error, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory with everything of one run, which no other training can have at the same time.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
    /// Open for as long as the run is used. The lock on it ends with its process, however that ends.
    /// There is none yet where a lock would be the first thing to be written.
    lock: Option<Arc<File>>,
}

impl RunDir {
    /// Makes the directory of a new run. What a process that was killed left half written is removed.
    ///
    /// # Errors
    ///
    /// If there is anything in it that a run writes, or it cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        Self::refuse_occupied(path)?;
        files::create_folder(path)?;
        let lock = match lock_there(path)? {
            Some(lock) => lock,
            None => new_lock(path)?,
        };
        // Another training may have been there a moment ago.
        Self::refuse_occupied(path)?;
        let run = Self {
            path: path.into(),
            lock: Some(Arc::new(lock)),
        };
        run.tidy()?;
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

    /// Checks that a new run at `path` would write over nothing, and that there could be one.
    ///
    /// # Errors
    ///
    /// If there is anything that a run writes, or a file is in the way.
    pub fn refuse_occupied(path: &Path) -> Result<()> {
        if let Some(run) = run_of_file(path).filter(|_| path.is_file()) {
            let hint = format!("choose another --out, or continue it: --resume {run}");
            return Err(Error::input(path.display(), "is a file of a run").hint(hint));
        }
        if [CONFIG, CHECKPOINT].map(|name| files::is_taken(&path.join(name))) != [false; 2] {
            let run = files::quoted(path);
            let hint = format!("choose another --out, or continue it: --resume {run}");
            return Err(Error::input(path.display(), "holds a run already").hint(hint));
        }
        let mut names = OCCUPIED.iter();
        if let Some(name) = names.find(|name| files::is_occupied(&path.join(name))) {
            let why = format!("holds {name}, where a run would put its own");
            return Err(Error::input(path.display(), why).hint("choose another --out"));
        }
        files::check_folder(path)
    }

    /// The directory of a run that is there, to be read. [`Self::claim`] it before anything is written.
    ///
    /// # Errors
    ///
    /// If there is no run in it that could go on, or another training has it.
    pub fn open(path: &Path) -> Result<Self> {
        let refused = |why: &str| Error::input(path.display(), why);
        let is_there = |name: &str| files::is_taken(&path.join(name));
        let error = if !path.exists() {
            refused("does not exist")
        } else if let Some(run) = run_of_file(path) {
            let hint = format!("give its directory: --resume {run}");
            return Err(refused("is a file of a run").hint(hint));
        } else if !path.is_dir() {
            refused("is not a run directory")
        } else if is_there(CONFIG) || is_there(CHECKPOINT) {
            let lock = lock_there(path)?.map(Arc::new);
            let path = path.into();
            return Ok(Self { path, lock });
        } else if is_there(MODEL) {
            return Err(cannot_go_on(path, "it holds a model.safetensors"));
        } else {
            refused("holds no config.json of a run")
        };
        Err(error.hint("start a new run: vae train"))
    }

    /// Makes the directory this process's own, before the first write into it. What a process that was
    /// killed left half written is removed.
    ///
    /// # Errors
    ///
    /// If another training has it, or it cannot be written.
    pub fn claim(&mut self) -> Result<()> {
        if self.lock.is_none() {
            self.lock = Some(Arc::new(new_lock(&self.path)?));
        }
        self.tidy()
    }

    /// Makes what folders are missing, and removes what is half written.
    fn tidy(&self) -> Result<()> {
        for folder in self.folders() {
            files::create_folder(&folder)?;
            files::remove_abandoned(&folder)?;
        }
        Ok(())
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
        self.path.join(LOSS_PLOT)
    }

    /// The page that shows it all.
    pub fn report(&self) -> PathBuf {
        self.path.join(REPORT)
    }

    /// What `vae evaluate` said.
    pub fn evaluation(&self) -> PathBuf {
        self.path.join(EVALUATION)
    }

    /// The directory and those in it.
    fn folders(&self) -> [PathBuf; 3] {
        [self.path.clone(), self.reconstructions(), self.samples()]
    }

    fn reconstructions(&self) -> PathBuf {
        self.path.join(RECONSTRUCTIONS)
    }

    fn samples(&self) -> PathBuf {
        self.path.join(SAMPLES)
    }

    /// The reconstructions of a step.
    pub fn reconstruction(&self, step: u64) -> PathBuf {
        self.reconstructions().join(format!("step-{step:06}.png"))
    }

    /// The samples of a step.
    pub fn sample(&self, step: u64) -> PathBuf {
        self.samples().join(format!("step-{step:06}.png"))
    }

    /// The folder of the event files of a split.
    pub fn events(&self, split: &str) -> PathBuf {
        self.path.join(TENSORBOARD).join(split)
    }

    /// Writes the resolved configuration.
    pub fn write_config(&self, config: &Config) -> Result<()> {
        let text = serde_json::to_string_pretty(config)
            .map_err(|error| Error::failed(self.config().display(), error))?;
        write_durably(&self.config(), format!("{text}\n").as_bytes())
    }

    /// The pictures that are there, with their steps.
    pub(super) fn pictures(&self) -> Vec<(u64, PathBuf)> {
        let folders = [self.reconstructions(), self.samples()];
        folders
            .iter()
            .flat_map(|folder| pictures_in(folder))
            .collect()
    }

    /// Removes the pictures, the report and the plot of a training that saved nothing: it begins again. Its
    /// metrics are the last to go, so that a report or a plot without metrics is never what a kill leaves.
    ///
    /// # Errors
    ///
    /// If something cannot be removed.
    pub fn clear_pictures(&self) -> Result<()> {
        for (_, picture) in self.pictures() {
            files::remove(&picture)?;
        }
        files::remove(&self.report())?;
        files::remove(&self.loss_plot())
    }
}

/// The pictures in one of the folders of a run, with their steps.
pub(super) fn pictures_in(folder: &Path) -> impl Iterator<Item = (u64, PathBuf)> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name();
        let step = name.to_str()?.strip_prefix("step-")?.strip_suffix(".png")?;
        Some((step.parse().ok()?, entry.path()))
    })
}

/// Why there is nothing to go on from in a run directory: its checkpoint is missing, and a new
/// beginning would write over what `found` says.
pub(super) fn cannot_go_on(path: &Path, found: &str) -> Error {
    let why = format!("has no checkpoint.safetensors to go on from, but {found}");
    let mut hint = "start a new run elsewhere: vae train --out DIR".to_string();
    let model = std::fs::metadata(path.join(MODEL));
    if model.is_ok_and(|model| model.len() > 0) {
        let run = files::quoted(path);
        hint += &format!("   (its weights still draw: vae sample --model {run})");
    }
    Error::input(path.display(), why).hint(hint)
}

/// Reads the configuration of a run.
///
/// # Errors
///
/// If it cannot be read, or is no configuration.
pub(super) fn read_config(path: &Path) -> Result<Config> {
    if std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0) {
        let hint = "remove it: where there is a checkpoint.safetensors, that holds the configuration, \
                    but not where the data are (--data)";
        return Err(Error::input(path.display(), "is empty").hint(hint));
    }
    Config::read(path)
}

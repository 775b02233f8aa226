//! The run directory: what is where, and how it is written and read again.

use crate::config::Config;
use crate::data::Source;
use crate::files::{self, write_durably};
use crate::model::Vae;
use crate::train::{Losses, Progress, Step, Trainer};
use crate::weights::{self, Tensors};
use crate::{Error, Result, plot};
use candle_core::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Display, Path, PathBuf};
use std::sync::Arc;

/// Where runs are put that were given no place.
pub const RUNS: &str = "runs";

/// No metrics file is larger: a million lines.
const LARGEST_METRICS: u64 = 256 << 20;

/// What each line of metrics begins with.
const BEGINNING: &str = r#"{"step":"#;

/// What the names of the moments begin with in a checkpoint.
const FIRST_MOMENT: &str = "adam.first_moment.";
const SECOND_MOMENT: &str = "adam.second_moment.";

/// The names of what a run writes into its directory.
const CONFIG: &str = "config.json";
const METRICS: &str = "metrics.jsonl";
const MODEL: &str = "model.safetensors";
const CHECKPOINT: &str = "checkpoint.safetensors";
const LOSS_PLOT: &str = "loss.svg";
const RECONSTRUCTIONS: &str = "reconstructions";
const SAMPLES: &str = "samples";
const LOCK: &str = ".lock";

/// What a new run would write over, or mix its own with.
const OCCUPIED: [&str; 7] = [
    CONFIG,
    CHECKPOINT,
    MODEL,
    METRICS,
    LOSS_PLOT,
    RECONSTRUCTIONS,
    SAMPLES,
];

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
            let path = path.display();
            let hint = format!("choose another --out, or continue it: --resume {path}");
            return Err(Error::input(path, "holds a run already").hint(hint));
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
            files::remove_partial(&folder)?;
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

    /// Writes the resolved configuration.
    pub fn write_config(&self, config: &Config) -> Result<()> {
        let text = serde_json::to_string_pretty(config)
            .map_err(|error| Error::failed(self.config().display(), error))?;
        write_durably(&self.config(), format!("{text}\n").as_bytes())
    }

    /// The pictures that are there, with their steps.
    fn pictures(&self) -> Vec<(u64, PathBuf)> {
        let folders = [self.reconstructions(), self.samples()];
        let entries = folders
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok());
        let pictures = entries.flatten().flatten().filter_map(|entry| {
            let name = entry.file_name();
            let step = name.to_str()?.strip_prefix("step-")?.strip_suffix(".png")?;
            Some((step.parse().ok()?, entry.path()))
        });
        pictures.collect()
    }

    /// Removes the pictures and the plot of a training that saved nothing: it begins again. Its metrics
    /// are the last to go, so that a plot without metrics is never what a kill leaves.
    ///
    /// # Errors
    ///
    /// If something cannot be removed.
    pub fn clear_pictures(&self) -> Result<()> {
        for (_, picture) in self.pictures() {
            files::remove(&picture)?;
        }
        files::remove(&self.loss_plot())
    }

    /// Writes the checkpoint, then the weights alone: where there are weights, there is a checkpoint to
    /// go on from.
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
        let checkpoint = weights::to_bytes(named.chain(moments), &state)?;
        let model = model_bytes(&trainer.vae, config)?;
        write_durably(&self.checkpoint(), &checkpoint)?;
        write_durably(&self.model(), &model)
    }

    /// Writes the weights of a checkpoint alone, if a kill came between the two, or they were removed;
    /// tells whether it did.
    ///
    /// # Errors
    ///
    /// If the checkpoint's weights are not whole, or the file cannot be written.
    pub fn save_model_of(&mut self, mut checkpoint: Checkpoint) -> Result<bool> {
        let vae = checkpoint.take_model(&Device::Cpu)?;
        let model = model_bytes(&vae, &checkpoint.config)?;
        let found = files::read(&self.model(), weights::LARGEST_FILE);
        if found.is_ok_and(|found| found == model) {
            return Ok(false);
        }
        self.claim()?;
        write_durably(&self.model(), &model)?;
        Ok(true)
    }
}

/// What `model.safetensors` holds for a model.
fn model_bytes(vae: &Vae, config: &Config) -> Result<Vec<u8>> {
    let named = vae.parameters().iter();
    let named = named.map(|(name, var)| (name.clone(), var.as_tensor()));
    weights::to_bytes(named, &weights::description(config)?)
}

/// Why there is nothing to go on from in a run directory: its checkpoint is missing, and a new
/// beginning would write over what `found` says.
fn cannot_go_on(path: &Path, found: &str) -> Error {
    let why = format!("has no checkpoint.safetensors to go on from, but {found}");
    let mut hint = "start a new run elsewhere: vae train --out DIR".to_string();
    let model = std::fs::metadata(path.join(MODEL));
    if model.is_ok_and(|model| model.len() > 0) {
        let path = path.display();
        hint += &format!("   (its weights still draw: vae sample --model {path})");
    }
    Error::input(path.display(), why).hint(hint)
}

/// The directory of the run that a file, or a folder of pictures, is part of.
fn run_of_file(path: &Path) -> Option<Display<'_>> {
    let is_run = |folder: &&Path| {
        let names = OCCUPIED.iter().chain([&LOCK]);
        names.filter(|name| folder.join(name).is_file()).count() > 1
    };
    let run = path.ancestors().skip(1).take(2).find(is_run)?;
    let first = path.strip_prefix(run).ok()?.components().next()?;
    let of_run = OCCUPIED.iter().chain([&LOCK]);
    of_run
        .into_iter()
        .any(|name| first.as_os_str() == *name)
        .then(|| match run.as_os_str().is_empty() {
            true => Path::new(".").display(),
            false => run.display(),
        })
}

/// Takes the lock of a directory, if there is one.
fn lock_there(path: &Path) -> Result<Option<File>> {
    match OpenOptions::new().write(true).open(path.join(LOCK)) {
        Ok(file) => take_lock(path, file).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot_lock(path, &error)),
    }
}

/// Takes the lock of a directory that had none. Each training makes one before it writes anything, so
/// what was read before is as it was.
fn new_lock(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path.join(LOCK));
    match file {
        Ok(file) => take_lock(path, file),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(in_use(path)),
        Err(error) => Err(cannot_lock(path, &error)),
    }
}

fn take_lock(path: &Path, file: File) -> Result<File> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(in_use(path)),
        // Some network file systems know no locks.
        Err(TryLockError::Error(error)) if error.kind() != ErrorKind::Unsupported => {
            Err(cannot_lock(path, &error))
        }
        _ => Ok(file),
    }
}

fn in_use(path: &Path) -> Error {
    Error::input(path.display(), "another training is writing into it")
        .hint("wait for it, or stop it")
}

fn cannot_lock(path: &Path, error: &std::io::Error) -> Error {
    let name = path.join(LOCK);
    Error::failed(name.display(), format!("cannot be locked: {error}"))
}

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
        let recorded = Recorded::read(run, done)?;
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

/// Reads the configuration of a run.
///
/// # Errors
///
/// If it cannot be read, or is no configuration.
fn read_config(path: &Path) -> Result<Config> {
    if std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0) {
        let hint = "remove it: where there is a checkpoint.safetensors, that holds the configuration, \
                    but not where the data are (--data)";
        return Err(Error::input(path.display(), "is empty").hint(hint));
    }
    Config::read(path)
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
            path.display()
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

/// The metrics of the first steps of a run, as they were read.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The metrics of those steps.
    metrics: Vec<Metric>,
    /// Their lines.
    text: String,
    /// Whether the file holds more than these.
    more: bool,
    /// The latest step that the file tells of.
    last: u64,
}

impl Recorded {
    /// Reads the metrics of a run that has done `step` steps.
    ///
    /// # Errors
    ///
    /// If a line is no metric, unless it is the last and was cut off.
    fn read(run: &RunDir, step: u64) -> Result<Self> {
        let path = run.metrics();
        match files::is_taken(&path) {
            true => parse_metrics(&files::read_text(&path, LARGEST_METRICS)?, step, &path),
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
        // The plot is flushed to disk; the lines that it shows must not be lost where it is not.
        self.sync()?;
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

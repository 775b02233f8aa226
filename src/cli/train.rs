//! `vae train`: a run directory full of what a model learnt.

use super::console::{Console, duration};
use super::interrupts::Interrupts;
use super::recorder::Recorder;
use crate::config::{Config, Provenance};
use crate::data::{self, Dataset, Source};
use crate::model::Vae;
use crate::model::architecture::Architecture;
use crate::run::{self, MetricsLog, RUNS, Recorded, RunDir, State};
use crate::train::Trainer;
use crate::{Error, Result, files};
use candle_core::Device;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Train a model; its weights, pictures and metrics go into a run directory.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct Train {
    /// A JSON file of hyperparameters; it holds only what it changes [default: as configs/mnist.json]
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,

    /// auto, mnist, synthetic, or a folder with the four IDX files [default: auto]
    #[arg(long, value_name = "SOURCE")]
    data: Option<Source>,

    /// Steps of training; one step is one batch [default: 2000]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,

    /// Images a step [default: 64]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    batch_size: Option<usize>,

    /// The highest learning rate [default: 0.003]
    #[arg(long, value_name = "F", conflicts_with = "resume")]
    learning_rate: Option<f64>,

    /// Dimensions of the latent space [default: 10]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    latent_dim: Option<usize>,

    /// The weight of the KL divergence in the loss; at 1 the loss is a negative ELBO [default: 1]
    #[arg(long, value_name = "F", conflicts_with = "resume")]
    beta: Option<f64>,

    /// Decides every random number; the same seed gives the same weights [default: 42]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    seed: Option<u64>,

    /// Where to put the run [default: a new directory below runs/, named after the time]
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,

    /// Continue the run in this directory; with more --steps, beyond its end
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,

    /// Steps from one set of pictures and training metrics to the next [default: 200]
    #[arg(long, value_name = "N")]
    image_every: Option<u64>,

    /// Steps from one checkpoint to the next [default: 200]
    #[arg(long, value_name = "N")]
    save_every: Option<u64>,

    /// Steps from one evaluation on all test images to the next [default: 500]
    #[arg(long, value_name = "N")]
    eval_every: Option<u64>,
}

impl Train {
    pub fn run(mut self, console: &Console, device: &Device) -> Result<ExitCode> {
        match self.resume.take() {
            Some(dir) => self.resume(&dir, console, device),
            None => self.start(console, device),
        }
    }

    fn start(self, console: &Console, device: &Device) -> Result<ExitCode> {
        let config = match &self.config {
            Some(file) => Config::read(file)?,
            None => Config::default(),
        };
        let mut config = self.overridden(config);
        check(&config)?;
        match &self.out {
            Some(out) => RunDir::refuse_occupied(out)?,
            None => files::check_folder(Path::new(RUNS))?,
        }
        // Data that are asked for may be others than those of the run that the file is from.
        let trained_on = config.provenance.take().filter(|_| self.data.is_none());
        let dataset = load(&mut config, console)?;
        refuse_other_data(trained_on.as_ref(), &config).map_err(|error| {
            error.hint("to train on these all the same, name them: --data SOURCE")
        })?;
        let trainer = Trainer::new(&config, &dataset, Vae::new(&config, device)?)?;
        // Until here nothing was written; from here on a signal leaves a run that can go on.
        let interrupts = Interrupts::listen()?;
        let run = match &self.out {
            Some(out) => RunDir::create(out)?,
            None => RunDir::create_fresh(source_name(&config.data))?,
        };
        // First of all: a directory with anything else in it could be neither resumed nor begun again.
        run.write_config(&config)?;
        let log = MetricsLog::open(&run, Recorded::default())?;
        train(trainer, &config, &dataset, &run, log, &interrupts, console)
    }

    fn resume(self, dir: &Path, console: &Console, device: &Device) -> Result<ExitCode> {
        let mut run = RunDir::open(dir)?;
        let mut state = State::read(&run)?;
        let done = state.done();
        let mut config = self.overridden(state.config.clone());
        check(&config)?;
        if done >= config.steps {
            return complete(run, state, config.steps, console);
        }
        let trained_on = config.provenance.clone();
        let dataset = load(&mut config, console)?;
        let hint = match state.has_config || self.data.is_some() {
            true => "other data make another run: start a new one",
            false => "config.json, which says where its data are, is missing: give --data",
        };
        refuse_other_data(trained_on.as_ref(), &config).map_err(|error| error.hint(hint))?;
        let vae = match &mut state.checkpoint {
            Some(checkpoint) => checkpoint.take_model(device)?,
            None => Vae::new(&config, device)?,
        };
        let mut trainer = Trainer::new(&config, &dataset, vae)?;
        let begins = state.checkpoint.is_none();
        if let Some(checkpoint) = state.checkpoint {
            checkpoint.restore(&mut trainer)?;
        }
        let interrupts = Interrupts::listen()?;
        // Last of all: what is refused has changed nothing.
        run.claim()?;
        if begins {
            console.say("nothing was saved yet: beginning again");
            run.clear_pictures()?;
        } else {
            console.say(format_args!("continuing after step {done}"));
        }
        let log = MetricsLog::open(&run, state.recorded)?;
        run.write_config(&config)?;
        train(trainer, &config, &dataset, &run, log, &interrupts, console)
    }

    /// The configuration with the flags that were given in place of its values.
    fn overridden(&self, config: Config) -> Config {
        Config {
            data: self.data.clone().unwrap_or(config.data),
            steps: self.steps.unwrap_or(config.steps),
            batch_size: self.batch_size.unwrap_or(config.batch_size),
            learning_rate: self.learning_rate.unwrap_or(config.learning_rate),
            latent_dim: self.latent_dim.unwrap_or(config.latent_dim),
            beta: self.beta.unwrap_or(config.beta),
            seed: self.seed.unwrap_or(config.seed),
            image_every: self.image_every.unwrap_or(config.image_every),
            save_every: self.save_every.unwrap_or(config.save_every),
            eval_every: self.eval_every.unwrap_or(config.eval_every),
            ..config
        }
    }
}

/// What is left of a run whose steps are all done: nothing, or to write its weights, if a kill came
/// before that or they were removed.
fn complete(mut run: RunDir, state: State, steps: u64, console: &Console) -> Result<ExitCode> {
    let why = format!("has done {} of {steps} steps", state.done());
    let written = match state.checkpoint {
        Some(checkpoint) => run::save_model_of(&mut run, checkpoint)?,
        None => false,
    };
    if !written {
        let hint = "train it further with more steps: --steps N";
        return Err(Error::input(run.path().display(), why).hint(hint));
    }
    let path = run.path();
    console.say(format_args!(
        "{} {why}; its model.safetensors was written from the checkpoint",
        path.display()
    ));
    console.result(path)?;
    Ok(ExitCode::SUCCESS)
}

/// Checks what can be checked of a configuration before its data are loaded.
fn check(config: &Config) -> Result<()> {
    config.validate()?;
    Architecture::plan(config).map(|_| ())
}

/// Loads the data, with the test images as the model sees them, and notes in the configuration what they turned out to be.
fn load(config: &mut Config, console: &Console) -> Result<Dataset> {
    let (mut dataset, source) = data::load(&config.data, &mut |notice| console.notice(notice))?;
    let (train, test) = (dataset.train.len(), dataset.test.len());
    console.say(format_args!(
        "{}: {train} training and {test} test images",
        dataset.name
    ));
    config.data = match source {
        // So that the run can be continued from another directory.
        Source::Folder(folder) => Source::Folder(folder.canonicalize().unwrap_or(folder)),
        source => source,
    };
    config.provenance = Some(Provenance::of(
        &dataset,
        &config.data,
        config.loss_in_words(),
    ));
    dataset.test = config.binarize.split(dataset.test, config.seed);
    Ok(dataset)
}

fn source_name(source: &Source) -> &'static str {
    match source {
        Source::Mnist => "mnist",
        Source::Synthetic => "synthetic",
        Source::Folder(_) => "folder",
        Source::Auto => "auto",
    }
}

/// Checks that the data which were loaded are those of the run so far, if there is one.
fn refuse_other_data(trained_on: Option<&Provenance>, config: &Config) -> Result<()> {
    match (trained_on, &config.provenance) {
        (Some(then), Some(now)) => then.refuse_other_data(now),
        _ => Ok(()),
    }
}

fn train(
    mut trainer: Trainer,
    config: &Config,
    dataset: &Dataset,
    run: &RunDir,
    log: MetricsLog,
    interrupts: &Interrupts,
    console: &Console,
) -> Result<ExitCode> {
    let begun = Instant::now();
    let mut recorder = Recorder::new(&trainer, config, &dataset.test, run, log, console)?;
    let outcome = trainer.run(
        || interrupts.raised(),
        |trainer, event| recorder.record(trainer, event),
    );
    recorder.bar.finish_and_clear();
    outcome?;
    console.result(run.path())?;
    if trainer.progress.step < config.steps {
        let (step, dir) = (trainer.progress.step, run.path().display());
        console.say(format_args!(
            "stopped and saved after step {step}; go on with: vae train --resume {dir}"
        ));
        return Ok(interrupts.end_by_signal());
    }
    let time = duration(begun.elapsed());
    let model = match run.path().parent() == Some(Path::new(RUNS)) {
        true => String::new(),
        false => format!(" --model {}", run.path().display()),
    };
    console.say(format_args!(
        "done in {time}; look at its pictures, and let it draw: vae sample out.png{model}"
    ));
    Ok(ExitCode::SUCCESS)
}

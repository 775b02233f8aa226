//! `vae train`: a run directory full of what a model learnt.

use super::console::{Console, duration};
use super::interrupts::Interrupts;
use super::recorder::Recorder;
use crate::config::{Config, ImageConfig, Provenance, Size};
use crate::data::{self, Dataset, ImageShape, Loaded, Reading, Source};
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

    /// auto, mnist, fashion-mnist, cifar-10, synthetic; a folder of pictures, IDX files or Parquet files; a file of NumPy's
    /// arrays (.npy, .npz) or a Parquet file of pictures; the training images of one of several IDX data sets
    /// [default: auto]
    #[arg(long, value_name = "SOURCE")]
    data: Option<Source>,

    /// Steps of training; one step is one batch [default: 2000]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,

    /// Images a step [default: 64]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    batch_size: Option<usize>,

    /// The highest learning rate; 0.001 by default where images are larger than 56x56 [default: 0.003]
    #[arg(long, value_name = "F", conflicts_with = "resume")]
    learning_rate: Option<f64>,

    /// Dimensions of the latent space [default: 10]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    latent_dim: Option<usize>,

    /// The weight of the KL divergence in the loss; at 1 the loss is a negative ELBO [default: 1]
    #[arg(long, value_name = "F", conflicts_with = "resume")]
    beta: Option<f64>,

    /// Rows and columns of the images, 1 to 1024, as in 64 or 64x48; pictures are fitted to it [default: what the data
    /// have]
    #[arg(long, value_name = "SIZE", conflicts_with = "resume")]
    image_size: Option<Size>,

    /// 1 for grey images, 3 for colour [default: what the data have]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    channels: Option<usize>,

    /// How many files of a folder of pictures may be none that can be read [default: one in a hundred]
    #[arg(long, value_name = "N")]
    bad_images: Option<usize>,

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

    /// Write metrics and pictures also for TensorBoard, into DIR/tensorboard/; `tensorboard --logdir runs` shows them
    #[arg(long)]
    tensorboard: bool,
    /// Show no pictures and curves below the bar. They are shown where stderr is a terminal that has room for them: as
    /// graphics where it is known to have them, else as half blocks in colour; not with NO_COLOR or --quiet.
    /// VAE_GRAPHICS decides otherwise: kitty, iterm2, sixel, blocks or none
    #[arg(long)]
    no_pictures: bool,
}

impl Train {
    pub fn run(mut self, console: &Console, device: &Device) -> Result<ExitCode> {
        let console = console.with_pictures(!self.no_pictures)?;
        match self.resume.take() {
            Some(dir) => self.resume(&dir, &console, device),
            None => self.start(&console, device),
        }
    }

    fn start(self, console: &Console, device: &Device) -> Result<ExitCode> {
        let config = match &self.config {
            Some(file) => Config::read(file)?,
            None => Config::default(),
        };
        let mut config = self.overridden(config);
        config.validate()?;
        let ImageConfig { size, channels } = config.image;
        let asked_for = size.and(channels).map(|_| config.image);
        let known = || config.data.shape().map(ImageConfig::of);
        if let Some(image) = asked_for.or_else(known) {
            let mut scaled = Config {
                image,
                ..config.clone()
            };
            scaled.scale_to_images();
            Architecture::plan(&scaled)?;
        }
        match &self.out {
            Some(out) => RunDir::refuse_occupied(out)?,
            None => files::check_folder(Path::new(RUNS))?,
        }
        // Data that are asked for may be others than those of the run that the file is from.
        let trained_on = config.provenance.take().filter(|_| self.data.is_none());
        let dataset = self.load(&mut config, console)?;
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

    fn resume(mut self, dir: &Path, console: &Console, device: &Device) -> Result<ExitCode> {
        let mut run = RunDir::open(dir)?;
        let mut state = State::read(&run)?;
        let done = state.done();
        let mut config = self.overridden(state.config.clone());
        config.validate()?;
        Architecture::plan(&config)?;
        if done >= config.steps {
            return complete(run, state, config.steps, console);
        }
        let trained_on = config.provenance.clone();
        // What could not be read was told when the run began; its data are known by their checksum.
        self.bad_images.get_or_insert(usize::MAX);
        let dataset = self.load(&mut config, console)?;
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

    /// Loads the data, with the test images as the model sees them, and notes in the configuration what they turned out to
    /// be; it then has layers for images of their shape.
    fn load(&self, config: &mut Config, console: &Console) -> Result<Dataset> {
        let reading = Reading {
            bad_images: self.bad_images,
            ..config.reading()
        };
        let mut loaded = data::load(&config.data, &reading, &mut |notice| console.notice(notice))?;
        loaded.dataset.name = loaded.dataset.title();
        refuse_other_shape(&loaded.dataset, &reading)?;
        say_loaded(&loaded, config, console);
        let Loaded {
            mut dataset,
            source,
            labels,
            fit,
            held_out,
            transposed,
        } = loaded;
        if config.transpose && !transposed {
            let why = format!("is for IDX files; these are {}", dataset.name);
            return Err(Error::input("transpose", why));
        }
        let shape = dataset.shape();
        // What has MNIST's shape by itself needs not be told.
        config.image = match fit.is_none() && shape == ImageShape::MNIST {
            true => ImageConfig::default(),
            false => ImageConfig::of(shape),
        };
        config.labels = labels;
        config.fit = fit;
        config.test_share = held_out.then_some(reading.test_share);
        config.scale_to_images();
        Architecture::plan(config)?;
        if config.conditional && !dataset.has_labels() {
            let why = "has no labels that tell images apart, and the model is to be told them";
            return Err(Error::input(&dataset.name, why));
        }
        config.data = match source {
            // So that the run can be continued from another directory.
            Source::Folder(folder) => Source::Folder(folder.canonicalize().unwrap_or(folder)),
            source => source,
        };
        let loss = config.loss_in_words();
        config.provenance = Some(Provenance::of(&dataset, &config.data, loss)?);
        dataset.test = dataset.test.binarized(config.binarize, config.seed);
        Ok(dataset)
    }

    /// The configuration with the flags that were given in place of its values.
    fn overridden(&self, config: Config) -> Config {
        Config {
            data: self.data.clone().unwrap_or(config.data),
            steps: self.steps.unwrap_or(config.steps),
            batch_size: self.batch_size.unwrap_or(config.batch_size),
            learning_rate: self.learning_rate.or(config.learning_rate),
            latent_dim: self.latent_dim.unwrap_or(config.latent_dim),
            beta: self.beta.unwrap_or(config.beta),
            image: ImageConfig {
                size: self.image_size.or(config.image.size),
                channels: self.channels.or(config.image.channels),
            },
            seed: self.seed.unwrap_or(config.seed),
            image_every: self.image_every.unwrap_or(config.image_every),
            save_every: self.save_every.unwrap_or(config.save_every),
            eval_every: self.eval_every.unwrap_or(config.eval_every),
            tensorboard: self.tensorboard || config.tensorboard,
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

/// Checks that images have the shape that was asked for, as pictures always do.
fn refuse_other_shape(dataset: &Dataset, reading: &Reading) -> Result<()> {
    let shape = dataset.shape();
    let size = reading
        .size
        .filter(|&size| size != [shape.height, shape.width]);
    let channels = reading
        .channels
        .filter(|&channels| channels != shape.channels);
    let asked_for = match (size, channels) {
        (None, None) => return Ok(()),
        (Some([rows, columns]), _) => format!("of {rows}x{columns} pixels"),
        (None, Some(channels)) => format!("of {channels} channels"),
    };
    let why = format!("its images are {shape}; what is asked for are images {asked_for}");
    let hint = "only pictures are fitted to another shape";
    Err(Error::input(&dataset.name, why).hint(hint))
}

/// Says what was loaded, and what is done with it.
fn say_loaded(loaded: &Loaded, config: &Config, console: &Console) {
    let Loaded {
        dataset, labels, ..
    } = loaded;
    let (train, test) = (dataset.train.len(), dataset.test.len());
    let shape = match dataset.shape() {
        ImageShape::MNIST => String::new(),
        shape => format!(" of {shape}"),
    };
    let held_out = if loaded.held_out {
        ", which were held out"
    } else {
        ""
    };
    let unlabelled = if dataset.has_labels() {
        ""
    } else {
        ", without labels"
    };
    console.say(format_args!(
        "{}: {train} training and {test} test images{shape}{held_out}{unlabelled}",
        dataset.name
    ));
    if !labels.is_empty() {
        let labels = labels.iter().enumerate();
        let labels: Vec<String> = labels
            .map(|(label, name)| format!("{label} {}", name.escape_debug()))
            .collect();
        console.say(format_args!("labels: {}", labels.join(", ")));
    }
    if config.batch_size > train {
        console.say(format_args!(
            "a batch of {} has some of the {train} images several times",
            config.batch_size
        ));
    }
}

fn source_name(source: &Source) -> &'static str {
    match source {
        Source::Published(set) => set.name,
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
    recorder.finish(outcome.is_ok() && trainer.progress.step == config.steps);
    outcome?;
    console.result(run.path())?;
    if trainer.progress.step < config.steps {
        let (step, dir) = (trainer.progress.step, files::quoted(run.path()));
        console.say(format_args!(
            "stopped and saved after step {step}; go on with: vae train --resume {dir}"
        ));
        return Ok(interrupts.end_by_signal());
    }
    let time = duration(begun.elapsed());
    let model = match run.path().parent() == Some(Path::new(RUNS)) {
        true => String::new(),
        false => format!(" --model {}", files::quoted(run.path())),
    };
    console.say(format_args!(
        "done in {time}; open its report.html, and let it draw: vae sample out.png{model}"
    ));
    Ok(ExitCode::SUCCESS)
}

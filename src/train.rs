//! The training loop: batches in, events out. It prints nothing and writes no file.

use crate::config::Config;
use crate::data::batches::{Batches, to_tensor};
use crate::data::{Dataset, Split};
use crate::model::{Mode, Terms, Vae};
use crate::nn::Kernels;
use crate::nn::adam::{Adam, Constants};
use crate::parallel::keep_awake;
use crate::rng::{Purpose, normal};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Test images evaluated at a time. Part of what an evaluation is: its noise is drawn batch by batch.
const TEST_BATCH: usize = 250;

/// A KL below this, in nats, says that the latent vectors carry nothing.
const COLLAPSED_KL: f64 = 0.01;
/// For how many steps in a row before it is called a collapse.
const COLLAPSED_STEPS: u64 = 500;

/// The loss in its terms: sums over pixels or latent dimensions, averaged over images.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Losses {
    /// Sum over pixels of (reconstruction - image)².
    pub squared_error: f64,
    /// Divergence of the posterior from the prior, in nats.
    pub kl: f64,
}

impl Losses {
    /// squared_error + beta * kl.
    pub fn loss(&self, beta: f64) -> f64 {
        self.squared_error + beta * self.kl
    }

    /// The sums of the terms over the images they are of.
    fn sum(terms: &Terms) -> Result<Self> {
        let sum = |tensor: &Tensor| -> Result<f64> {
            let values = tensor.to_vec1::<f32>()?;
            Ok(values.into_iter().map(f64::from).sum())
        };
        Ok(Self {
            squared_error: sum(&terms.squared_error)?,
            kl: sum(&terms.kl)?,
        })
    }

    fn add(&mut self, other: Self) {
        self.squared_error += other.squared_error;
        self.kl += other.kl;
    }

    fn divided_by(&self, count: f64) -> Self {
        Self {
            squared_error: self.squared_error / count,
            kl: self.kl / count,
        }
    }
}

/// Where a run is: all that changes from step to step besides weights and moments.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps that are done.
    pub step: u64,
    /// Steps since the last training metrics.
    interval_steps: u64,
    /// The losses of those steps, added up.
    interval_losses: Losses,
    /// Steps in a row whose KL was next to nothing.
    collapsed_steps: u64,
}

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The step's number, from 1.
    pub step: u64,
    /// The losses of its batch, before the weights moved.
    pub losses: Losses,
    /// The learning rate it moved them with.
    pub learning_rate: f64,
}

/// What a run tells as it goes, in this order where several fall on one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// A step was made.
    Step(Step),
    /// The KL has been next to nothing for long: the decoder ignores its input. Told once.
    Collapse(Step),
    /// It is time for training metrics and pictures; the losses are averages since the last time.
    Interval(Step),
    /// The model was evaluated on the test images.
    Evaluation(u64, Losses),
    /// It is time to save; for the last time if nothing comes after it.
    Save {
        /// Whether the run ends here.
        last: bool,
    },
}

/// A model in training.
#[derive(Debug)]
pub struct Trainer<'a> {
    /// What is trained.
    pub vae: Vae,
    /// What trains it.
    pub adam: Adam,
    /// How far it is.
    pub progress: Progress,
    config: &'a Config,
    dataset: &'a Dataset,
    batches: Batches<'a>,
    /// The batch of a step to come.
    ahead: Option<Batch>,
}

impl<'a> Trainer<'a> {
    /// A training of a model that starts at step 0.
    ///
    /// # Errors
    ///
    /// If a batch is larger than the data set.
    pub fn new(config: &'a Config, dataset: &'a Dataset, vae: Vae) -> Result<Self> {
        if config.batch_size > dataset.train.len() {
            let why = format!(
                "is {}, but {} has only {} training images",
                config.batch_size,
                dataset.name,
                dataset.train.len()
            );
            return Err(Error::input("batch_size", why));
        }
        let constants = Constants {
            beta1: config.adam_beta1,
            beta2: config.adam_beta2,
            epsilon: config.adam_epsilon,
        };
        let parameters = vae.parameters().iter().map(|(_, var)| var.clone());
        let adam = Adam::new(constants, parameters.collect(), vae.kernels())?;
        Ok(Self {
            vae,
            adam,
            progress: Progress::default(),
            config,
            dataset,
            batches: Batches::new(&dataset.train, config.batch_size, config.seed),
            ahead: None,
        })
    }

    /// Trains until the configured number of steps is done, or `stop` says so; then the step at hand is
    /// finished and it is time to save.
    ///
    /// # Errors
    ///
    /// If the loss or the weights are no longer finite (the error names the step; that step is not
    /// saved), or if `on_event` fails.
    pub fn run(
        &mut self,
        stop: impl Fn() -> bool,
        mut on_event: impl FnMut(&Self, Event) -> Result<()>,
    ) -> Result<()> {
        let mut stopped = false;
        while self.progress.step < self.config.steps && !stopped {
            let step = self.step()?;
            stopped = stop();
            let last = step.step == self.config.steps;
            let due = |every: u64| last || step.step.is_multiple_of(every);
            on_event(self, Event::Step(step))?;
            if self.progress.collapsed_steps == COLLAPSED_STEPS {
                on_event(self, Event::Collapse(step))?;
            }
            if due(self.config.image_every) {
                let event = Event::Interval(Step {
                    losses: self.take_interval(),
                    ..step
                });
                on_event(self, event)?;
            }
            if due(self.config.eval_every) {
                let losses = self.evaluate()?;
                on_event(self, Event::Evaluation(step.step, losses))?;
            }
            if due(self.config.save_every) || stopped {
                self.check_weights()?;
                let last = last || stopped;
                on_event(self, Event::Save { last })?;
            }
        }
        Ok(())
    }

    /// One step: a batch forward, its loss backward, the weights moved. Meanwhile the next batch is gathered.
    ///
    /// # Errors
    ///
    /// If the loss is not finite; the error names the step.
    pub fn step(&mut self) -> Result<Step> {
        let step = self.progress.step + 1;
        let learning_rate = self.config.learning_rate_at(step);
        let (vae, adam, config) = (&self.vae, &self.adam, self.config);
        let batches = &mut self.batches;
        let batch = match self.ahead.take() {
            Some(batch) if batch.step == step => batch,
            _ => Batch::gather(batches, config, step)?,
        };
        let mut ahead = None;
        // In place: what runs on a GPU must all come from this thread (see `Kernels::Candle`).
        let mut both = || {
            rayon::in_place_scope(|scope| {
                scope.spawn(|_| ahead = Some(Batch::gather(batches, config, step + 1)));
                learn(vae, adam, config, &batch, learning_rate)
            })
        };
        let losses = match vae.kernels() {
            Kernels::Fused => keep_awake(both),
            // These run elsewhere, on a GPU perhaps: threads kept awake would wait for nothing.
            Kernels::Candle => both(),
        }?;
        self.ahead = ahead.transpose()?;
        self.count(step, losses);
        Ok(Step {
            step,
            losses,
            learning_rate,
        })
    }

    fn count(&mut self, step: u64, losses: Losses) {
        let progress = &mut self.progress;
        progress.step = step;
        progress.interval_steps += 1;
        progress.interval_losses.add(losses);
        progress.collapsed_steps = if losses.kl < COLLAPSED_KL {
            progress.collapsed_steps + 1
        } else {
            0
        };
    }

    fn take_interval(&mut self) -> Losses {
        let steps = std::mem::take(&mut self.progress.interval_steps);
        std::mem::take(&mut self.progress.interval_losses).divided_by(steps as f64)
    }

    /// Checks the weights before they are saved: a loss that is finite can have a gradient that is not.
    fn check_weights(&self) -> Result<()> {
        match self.vae.broken_parameter()? {
            Some(name) => {
                let why = format!("the weights are not finite (`{name}`)");
                Err(diverged(self.progress.step, why))
            }
            None => Ok(()),
        }
    }

    /// The losses over all test images, one posterior sample each, without dropout. The samples are the
    /// same each time.
    pub fn evaluate(&self) -> Result<Losses> {
        let test = &self.dataset.test;
        let mut losses = Losses::default();
        for (number, first) in (0..test.len()).step_by(TEST_BATCH).enumerate() {
            let last = (first + TEST_BATCH).min(test.len());
            let images = slice_to_tensor(test, first, last)?;
            let (purpose, number) = (Purpose::Evaluation, number as u64);
            let epsilon = noise(self.config, purpose, number, last - first)?;
            let terms = self.vae.terms(&images, &epsilon, Mode::Inference)?;
            losses.add(Losses::sum(&terms)?);
        }
        let losses = losses.divided_by(test.len() as f64);
        if losses.loss(self.config.beta).is_finite() {
            Ok(losses)
        } else {
            Err(diverged(self.progress.step, not_finite(losses)))
        }
    }
}

/// What a step learns from.
#[derive(Debug)]
struct Batch {
    step: u64,
    images: Tensor,
    epsilon: Tensor,
}

impl Batch {
    fn gather(batches: &mut Batches, config: &Config, step: u64) -> Result<Self> {
        let purpose = Purpose::Posterior;
        Ok(Self {
            step,
            images: batches.images(step)?,
            epsilon: noise(config, purpose, step, config.batch_size)?,
        })
    }
}

/// Moves the weights of `vae` against the gradient of its loss on a batch; what the loss was.
fn learn(
    vae: &Vae,
    adam: &Adam,
    config: &Config,
    batch: &Batch,
    learning_rate: f64,
) -> Result<Losses> {
    let step = batch.step;
    let mode = Mode::Training {
        seed: config.seed,
        step,
    };
    let terms = vae.terms(&batch.images, &batch.epsilon, mode)?;
    let losses = Losses::sum(&terms)?.divided_by(config.batch_size as f64);
    if !losses.loss(config.beta).is_finite() {
        return Err(diverged(step, not_finite(losses)));
    }
    let loss = (terms.squared_error + (terms.kl * config.beta)?)?.mean_all()?;
    let gradients = vae.gradients(&loss)?;
    adam.step(&gradients, learning_rate, step)?;
    Ok(losses)
}

/// Standard normal numbers for posterior samples: (images, latent dimensions).
fn noise(config: &Config, purpose: Purpose, number: u64, images: usize) -> Result<Tensor> {
    let shape = (images, config.latent_dim);
    let values = normal(config.seed, purpose, number, shape.0 * shape.1);
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// The images of a split from `first` to before `last`: (images, 784), 0 to 1.
pub fn slice_to_tensor(split: &Split, first: usize, last: usize) -> Result<Tensor> {
    to_tensor((first..last).map(|index| split.image(index)))
}

fn not_finite(losses: Losses) -> String {
    let Losses { squared_error, kl } = losses;
    format!("the loss is not finite (squared error {squared_error}, KL {kl})")
}

fn diverged(step: u64, why: String) -> Error {
    Error::failed(format!("step {step}"), why)
        .hint("what was saved before is untouched; try a lower --learning-rate")
}

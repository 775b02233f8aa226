//! The training loop: batches in, events out. It prints nothing and writes no file.

use super::evaluation::evaluate;
use super::event::{Event, Progress, Step};
use super::losses::Losses;
use super::parts::{Batch, gradients};
use super::prior::fit_prior;
use super::schedule;
use crate::config::Config;
use crate::data::Dataset;
use crate::data::batches::Batches;
use crate::model::Vae;
use crate::nn::adam::{Adam, AdamConfig};
use crate::nn::average::{decay_at, move_averages};
use crate::nn::backend::Backend;
use crate::parallel::keep_awake;
use crate::rng::{Purpose, normal};
use crate::{Error, Result};
use candle_core::{Device, Tensor};

/// A model in training.
#[derive(Debug)]
pub struct Trainer<'a> {
    /// What is trained.
    pub vae: Vae,
    /// What trains it.
    pub adam: Adam,
    /// The moving average of its weights, if the configuration asks for one.
    pub average: Option<Vae>,
    /// How far it is.
    pub progress: Progress,
    config: &'a Config,
    dataset: &'a Dataset,
    batches: Batches<'a>,
    /// The step after which the prior was fitted last.
    prior_of: u64,
    /// The batch of a step to come.
    ahead: Option<Batch>,
}

impl<'a> Trainer<'a> {
    /// A training of a model that starts at step 0.
    ///
    /// # Errors
    ///
    /// If the images have another shape than the model's.
    pub fn new(config: &'a Config, dataset: &'a Dataset, vae: Vae) -> Result<Self> {
        vae.refuse_other_images(dataset)?;
        let adam = AdamConfig {
            beta1: config.adam_beta1,
            beta2: config.adam_beta2,
            epsilon: config.adam_epsilon,
            weight_decay: config.weight_decay,
            max_gradient_norm: config.max_gradient_norm,
        };
        let parameters = vae.parameters().iter().map(|(_, var)| var.clone());
        let adam = Adam::new(adam, parameters.collect(), vae.backend())?;
        let average = match config.ema_decay > 0.0 {
            true => Some(vae.copy(config)?),
            false => None,
        };
        let batches = Batches::new(&dataset.train, config.batch_size, config.seed);
        Ok(Self {
            vae,
            adam,
            average,
            progress: Progress::default(),
            config,
            dataset,
            batches: batches.binarized(config.binarize).augmented(config.augment),
            prior_of: 0,
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
            let last = step.step == self.config.steps;
            let due = |every: u64| last || step.step.is_multiple_of(every);
            on_event(self, Event::Step(step))?;
            if self.progress.has_just_collapsed() {
                on_event(self, Event::Collapse(step))?;
            }
            if due(self.config.image_every) {
                self.fit_prior()?;
                let event = Event::Interval(Step {
                    losses: self.progress.take_interval(),
                    ..step
                });
                on_event(self, event)?;
            }
            if due(self.config.eval_every) {
                let losses = self.evaluate()?;
                on_event(self, Event::Evaluation(step.step, losses))?;
            }
            // As late as can be: also what comes while pictures are drawn is heard after this step, not the next.
            stopped = stop();
            if due(self.config.save_every) || stopped {
                self.check_weights()?;
                self.fit_prior()?;
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
        let rates = Rates {
            learning_rate: schedule::learning_rate(self.config, step),
            beta: schedule::beta(self.config, step),
        };
        let (vae, adam, config) = (&self.vae, &self.adam, self.config);
        let batches = &mut self.batches;
        let batch = match self.ahead.take() {
            Some(batch) if batch.step == step => batch,
            _ => gather(batches, config, step)?,
        };
        let mut ahead = None;
        // In place: what runs on a GPU must all come from this thread (see `Backend::Candle`).
        let mut both = || {
            let (batch, batches, ahead) = (&batch, &mut *batches, &mut ahead);
            rayon::in_place_scope(move |scope| -> Result<Losses> {
                let images = batch.part_images(config)?;
                let checked = |losses: Losses| match losses.are_finite() {
                    true => Ok(losses),
                    false => Err(diverged(step, not_finite(losses))),
                };
                // Between the ways forward and back, where threads wait for each other the longest.
                let meanwhile =
                    || scope.spawn(move |_| *ahead = Some(gather(batches, config, step + 1)));
                let (gradients, losses) =
                    gradients(vae, config, batch, images, rates.beta, checked, meanwhile)?;
                adam.step(&gradients, rates.learning_rate, step)?;
                Ok(losses)
            })
        };
        let losses = match vae.backend() {
            Backend::Fused => keep_awake(both),
            // These run elsewhere, on a GPU perhaps: threads kept awake would wait for nothing.
            Backend::Candle => both(),
        }?;
        self.ahead = ahead.transpose()?;
        self.batches.recycle(batch.examples.images);
        self.move_average(step)?;
        self.progress.count(step, losses);
        let Rates {
            learning_rate,
            beta,
        } = rates;
        Ok(Step {
            step,
            losses,
            beta,
            learning_rate,
        })
    }

    /// The model that is evaluated, draws, and is saved for use: the average, if there is one.
    pub fn shown(&self) -> &Vae {
        self.average.as_ref().unwrap_or(&self.vae)
    }

    /// Moves the average, if there is one, towards the weights after a step.
    fn move_average(&self, step: u64) -> Result<()> {
        if let Some(average) = &self.average {
            let pairs = average.parameters().iter().zip(self.vae.parameters());
            let pairs =
                pairs.map(|((_, average), (_, parameter))| (average.clone(), parameter.clone()));
            let decay = decay_at(self.config.ema_decay, step);
            move_averages(&pairs.collect(), decay, self.vae.backend())?;
        }
        Ok(())
    }

    /// Checks the weights before they are saved: a loss that is finite can have a gradient that is not.
    fn check_weights(&self) -> Result<()> {
        match self.vae.first_non_finite()? {
            Some(name) => {
                let why = format!("the weights are not finite (`{name}`)");
                Err(diverged(self.progress.step, why))
            }
            None => Ok(()),
        }
    }

    /// Fits the prior to the model as it is after the step at hand, unless that was done.
    fn fit_prior(&mut self) -> Result<()> {
        if self.prior_of != self.progress.step {
            let train = &self.dataset.train;
            let last = self.progress.step == self.config.steps;
            let prior = fit_prior(self.shown(), train, self.config, last)?;
            match &mut self.average {
                Some(average) => average.prior = prior,
                None => self.vae.prior = prior,
            }
            self.prior_of = self.progress.step;
        }
        Ok(())
    }

    /// The losses over all test images: see [`evaluate`].
    pub fn evaluate(&self) -> Result<Losses> {
        let losses = evaluate(self.shown(), &self.dataset.test, self.config)?;
        if losses.are_finite() {
            Ok(losses)
        } else {
            Err(diverged(self.progress.step, not_finite(losses)))
        }
    }
}

fn gather(batches: &mut Batches, config: &Config, step: u64) -> Result<Batch> {
    let vectors = config.batch_size * config.train_importance_samples;
    Ok(Batch {
        step,
        examples: batches.examples(step, config.corruption())?,
        epsilon: noise(config, Purpose::Posterior, step, vectors)?,
    })
}

/// What changes from step to step by a schedule.
#[derive(Debug, Clone, Copy)]
struct Rates {
    learning_rate: f64,
    beta: f64,
}

/// Standard normal numbers for posterior samples: (vectors, latent dimensions).
fn noise(config: &Config, purpose: Purpose, number: u64, vectors: usize) -> Result<Tensor> {
    let shape = (vectors, config.latent_dim);
    let values = normal(config.seed, purpose, number, shape.0 * shape.1);
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

fn not_finite(losses: Losses) -> String {
    let Losses {
        reconstruction, kl, ..
    } = losses;
    format!("the loss is not finite (reconstruction {reconstruction}, KL {kl})")
}

fn diverged(step: u64, why: String) -> Error {
    Error::failed(format!("step {step}"), why)
        .hint("what was saved before is untouched; try a lower --learning-rate")
}

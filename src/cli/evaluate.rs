//! `vae evaluate`: how well a model does, in figures.

use super::console::{Console, print, weight};
use super::images::{SplitName, data_set};
use super::mixtures::fit_mixtures;
use super::model::ModelFlag;
use crate::config::{Config, Likelihood};
use crate::data::{Binarize, Dataset, Source, Split};
use crate::evaluate::classifier::classes;
use crate::evaluate::{LatentSpace, Likeness, LogLikelihood, Realism, likelihood, realism};
use crate::model::Vae;
use crate::run::{self, ModelName};
use crate::train;
use crate::{Error, Result};
use candle_core::Device;
use clap::Args;
use serde::Serialize;
use std::process::ExitCode;

/// Say how well a model does: its losses, how likely it finds images, what it makes of its latent space.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct Evaluate {
    #[command(flatten)]
    model: ModelFlag,

    /// Where the images come from [default: what the model was trained on]
    #[arg(long, value_name = "SOURCE")]
    data: Option<Source>,

    /// Which of the images
    #[arg(long, value_enum, default_value_t = SplitName::Test)]
    split: SplitName,

    /// Latent vectors per image that the negative log likelihood is estimated with, 0 to 1000000; with 0 it is left out
    #[arg(long, default_value_t = 1000, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=1_000_000))]
    importance_samples: usize,

    /// Pictures to draw, to see how real they are, 0 to 100000; with 0 no classifier is trained
    #[arg(long, default_value_t = 10_000, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=100_000))]
    samples: usize,

    /// Decides latent vectors; the same seed gives the same figures
    #[arg(long, default_value_t = 42, value_name = "N")]
    seed: u64,

    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// All that is found, with the names that it has in JSON. What is not finite there is null.
#[derive(Debug, Serialize)]
struct Evaluation {
    /// The run directory or weights file.
    model: String,
    dataset: String,
    split: SplitName,
    images: usize,
    /// What the KL counts in the loss, as in the model's training.
    beta: f64,
    likelihood: Likelihood,
    binarize: Binarize,
    /// The negative logarithm of an image's density for its latent vector: what the likelihood says.
    reconstruction: f64,
    squared_error: f64,
    kl: f64,
    loss: f64,
    /// -(reconstruction + kl), whatever beta is.
    elbo: f64,
    nll: Option<f64>,
    nll_standard_error: Option<f64>,
    importance_samples: usize,
    seed: u64,
    active_units: usize,
    #[serde(flatten)]
    latent_space: LatentSpace,
    /// How real pictures are, or null where there are no classes to tell apart.
    samples: Option<Realism>,
}

impl Evaluate {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        let model = self.model.name(console);
        // Of what is read next; where there is nothing, that says so.
        let digest = model.sha256().unwrap_or_default();
        let (config, vae) = run::load_model(&model, device)?;
        let dataset = data_set(self.data.as_ref(), &model, (&config, &vae), console)?;
        let split = match self.split {
            SplitName::Test => &dataset.test,
            SplitName::Train => &dataset.train,
        };
        // As the model sees them; how real pictures are is seen beside images as they are.
        let split = &split.clone().binarized(config.binarize, config.seed);
        let losses = train::evaluate(&vae, split, &config)?;
        let latent_space = LatentSpace::of(&vae, split, config.corruption())?;
        let likelihood = match self.importance_samples {
            0 => None,
            samples => Some(self.likelihood(&vae, &config, split, samples, console)?),
        };
        let evaluation = Evaluation {
            model: model.to_string(),
            dataset: dataset.title(),
            split: self.split,
            images: split.len(),
            beta: config.beta,
            likelihood: config.likelihood,
            binarize: config.binarize,
            reconstruction: losses.reconstruction,
            squared_error: losses.squared_error,
            kl: losses.kl,
            loss: losses.loss,
            elbo: -(losses.reconstruction + losses.kl),
            nll: likelihood.map(|likelihood| likelihood.negative),
            nll_standard_error: likelihood.map(|likelihood| likelihood.standard_error),
            importance_samples: self.importance_samples,
            seed: self.seed,
            active_units: latent_space.active_units(),
            latent_space,
            samples: self.realism(&model, &vae, &config, &dataset, console)?,
        };
        match self.json {
            true => print(format_args!("{}\n", evaluation.json()?))?,
            false => print(evaluation.table())?,
        }
        if self.data.is_none() && self.split == SplitName::Test {
            keep(&model, &digest, &evaluation, console);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn likelihood(
        &self,
        vae: &Vae,
        config: &Config,
        split: &Split,
        samples: usize,
        console: &Console,
    ) -> Result<LogLikelihood> {
        console.say(format_args!(
            "estimating the likelihood of {} images, with {samples} latent vectors each",
            split.len()
        ));
        let bar = console.bar("image", split.len() as u64, 0);
        let noise = config.corruption();
        let on_image = |done| bar.set_position(done as u64);
        let likelihood =
            likelihood::log_likelihood(vae, split, samples, self.seed, noise, on_image);
        bar.finish_and_clear();
        likelihood
    }
}

impl Evaluate {
    fn realism(
        &self,
        model: &ModelName,
        vae: &Vae,
        config: &Config,
        dataset: &Dataset,
        console: &Console,
    ) -> Result<Option<Realism>> {
        if self.samples == 0 {
            return Ok(None);
        }
        if classes(&dataset.train) < 2 {
            console.say("its labels tell no classes apart: how real pictures are cannot be said");
            return Ok(None);
        }
        console.say(format_args!(
            "drawing {} pictures, and comparing them with real ones",
            self.samples
        ));
        let bar = console.bar("step", 0, 0);
        bar.set_message("training a classifier");
        let classifier = run::classifier(
            dataset,
            &mut |notice| console.notice(notice),
            |step, steps| {
                bar.set_length(steps);
                bar.set_position(step);
            },
        );
        bar.finish_and_clear();
        let mixtures = fit_mixtures(model, (config, vae), dataset, console)?;
        let seen = dataset.test.clone().binarized(config.binarize, config.seed);
        let seen = (&seen, config.corruption());
        let drawings = (self.samples, self.seed);
        realism(vae, &mixtures, &classifier?, dataset, seen, drawings).map(Some)
    }
}

/// Keeps the evaluation of a run's own test images for the run's report, if that can be: it was said anyway.
fn keep(model: &ModelName, digest: &str, evaluation: &Evaluation, console: &Console) {
    match run::report::keep_evaluation(model, digest, evaluation) {
        Ok(true) => console.say("its figures are in the run's report.html now"),
        Ok(false) => {}
        Err(error) => console.say(format_args!(
            "these figures are not kept in the run: {error}"
        )),
    }
}

impl Evaluation {
    fn json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::failed("evaluation", error))
    }

    /// What a person reads.
    fn table(&self) -> String {
        let split = match self.split {
            SplitName::Test => "test",
            SplitName::Train => "training",
        };
        let model = &self.model;
        let mut lines = vec![
            format!(
                "{model}, {} {split} images of {}",
                self.images, self.dataset
            ),
            format!("  squared error  {:9.2}", self.squared_error),
        ];
        let reconstruction = match self.likelihood {
            Likelihood::SquaredError => "squared error",
            Likelihood::Gaussian | Likelihood::Bernoulli => {
                lines.push(format!(
                    "  reconstruction {:9.2}   -log p(x | z)",
                    self.reconstruction
                ));
                "reconstruction"
            }
        };
        lines.push(format!("  KL             {:9.2}", self.kl));
        lines.push(format!(
            "  loss           {:9.2}   {reconstruction} + {}KL",
            self.loss,
            weight(self.beta)
        ));
        if let (Some(nll), Some(error)) = (self.nll, self.nll_standard_error) {
            let samples = self.importance_samples;
            lines.push(format!(
                "  -log p(x)      {nll:9.2}   +- {error:.2}, from {samples} importance samples an image"
            ));
        }
        let LatentSpace {
            dimensions,
            aggregated_posterior: all,
        } = &self.latent_space;
        lines.push(format!(
            "\n{} of {} latent dimensions are active\n  dimension       KL  activity      mean  variance",
            self.active_units,
            dimensions.len()
        ));
        lines.extend(dimensions.iter().map(|d| {
            format!(
                "  {:9} {:8.3}  {:8.3}  {:8.3}  {:8.3}",
                d.dimension, d.kl, d.activity, d.mean, d.variance
            )
        }));
        lines.push(format!(
            "\nall posteriors together are {:.3} nats from the prior (as a normal distribution); their mean is {:.3} \
             from 0,\ntheir largest covariance {:.3}\n",
            all.kl_to_prior, all.mean_norm, all.largest_covariance
        ));
        lines.extend(self.samples.as_ref().map(realism_table));
        lines.join("\n")
    }
}

/// How real pictures are, as a person reads it.
fn realism_table(realism: &Realism) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let sets: [(&str, &Likeness); 5] = [
        ("test images", &realism.test_images),
        ("training images", &realism.training_images),
        ("reconstructions", &realism.reconstructions),
        ("drawings", &realism.drawings),
        ("from posterior", &realism.posterior_drawings),
    ];
    let mut lines = vec![
        format!(
            "for a classifier that is right on {} of the test images:",
            percent(realism.classifier_accuracy)
        ),
        "                   recognised  entropy  Frechet  precision   recall  nearest".into(),
    ];
    lines.extend(sets.map(|(name, set)| {
        let or_dash = |figure: Option<String>| figure.unwrap_or("-".into());
        let nearest = set.nearest_training_image;
        format!(
            "  {name:16} {:>11}  {:7.3}  {:>7}  {:>9}  {:>7}  {:>7}",
            percent(set.recognised),
            set.class_entropy,
            or_dash(
                set.frechet_distance
                    .map(|distance| format!("{distance:.1}"))
            ),
            or_dash(set.precision.map(percent)),
            or_dash(set.recall.map(percent)),
            or_dash(nearest.map(|nearest| format!("{:.1}", nearest.mean))),
        )
    }));
    if let Some(labels) = &realism.label_accuracy {
        let shares = labels.iter().map(|&share| percent(share));
        let shares: Vec<String> = shares.collect();
        lines.push(format!(
            "drawings that it takes for the label that was asked for, from 0 on:\n  {}",
            shares.join("  ")
        ));
    }
    lines.push("(recognised: at least 90 % sure; nearest: squared distance to the nearest training image)\n".into());
    lines.join("\n")
}

//! `vae explore`: a page to play with a model.

use super::console::Console;
use super::images::data_set;
use super::model::ModelFlag;
use super::paths::{deliver, kind};
use crate::config::{Config, Likelihood};
use crate::data::{Binarize, Dataset, Examples, Notice, Source, Split};
use crate::evaluate::LatentSpace;
use crate::model::Vae;
use crate::model::architecture::Architecture;
use crate::model::rounding::{Rounded, difference};
use crate::model::sampling::encode_all;
use crate::nn::layer::LayerPlan;
use crate::picture::explore::{About, Layers, Tensors, page};
use crate::run::ModelName;
use crate::{Error, Result};
use candle_core::Device;
use clap::Args;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

/// Test images whose means are shown, at most.
const DOTS: usize = 2000;
/// How far rounded weights may move a pixel's value: a quarter of what the page is allowed, 1/255.
const TOLERANCE: f32 = 0.25 / 255.0;

/// Make a page to play with a model: one HTML file, which runs encoder and decoder in a browser and loads nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vae explore                                a page of the newest run
  vae explore digits.html --model runs/a     of another
  vae explore pets.html --data FOLDER        with the test images of these pictures as dots")]
pub struct Explore {
    /// Where to put it (.html; - is stdout)
    #[arg(value_name = "OUT", default_value = "explore.html")]
    out: PathBuf,

    /// Where the test images come from whose posterior means are dots on the page, 2000 at most [default: what the model
    /// was trained on; without dots, if that is not in reach]
    #[arg(long, value_name = "SOURCE")]
    data: Option<Source>,

    #[command(flatten)]
    model: ModelFlag,
}

/// The test images of a page.
struct Test {
    /// Their posterior means: (images, latent dimensions).
    means: Vec<f32>,
    labels: Vec<u8>,
    /// Whether the labels tell images apart.
    has_labels: bool,
    /// The latent dimensions, those first in which means vary most.
    dimensions: Vec<usize>,
}

impl Explore {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        if kind(&self.out, "html") != "html" {
            return Err(Error::input(self.out.display(), "must end in .html"));
        }
        let (model, config, vae) = self.model.load(console, device)?;
        let test = self.test(&model, &config, &vae, console)?;
        let plan = Architecture::plan(&config)?;
        let layers = Layers {
            encoder: &plan.encoder,
            decoder: &plan.decoder,
            ends_with_logits: config.likelihood == Likelihood::Bernoulli,
            shape: vae.image_shape(),
        };
        let tensors = tensors(&vae, &config, device, &plan, &test)?;
        let page = page(&about(&model, &config, &test), layers, &tensors)?;
        deliver(console, &self.out, page.as_bytes())?;
        console.say(format_args!(
            "{:.1} MB; open it in a browser, it needs no network",
            page.len() as f64 / 1e6
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// Test images with their means; none where nobody named any and there are none in reach.
    fn test(
        &self,
        model: &ModelName,
        config: &Config,
        vae: &Vae,
        console: &Console,
    ) -> Result<Test> {
        let dataset = match data_set(self.data.as_ref(), model, (config, vae), console) {
            Err(error) if self.data.is_none() => {
                let why = format!("the page is without test images: {error}");
                console.notice(Notice::Warning(why));
                return Ok(Test {
                    means: Vec::new(),
                    labels: Vec::new(),
                    has_labels: false,
                    dimensions: (0..vae.latent_dim()).collect(),
                });
            }
            dataset => dataset?,
        };
        let has_labels = dataset.has_labels();
        let split = some(&dataset).binarized(config.binarize, config.seed);
        let corruption = config.corruption();
        let mut dimensions = LatentSpace::of(vae, &split, corruption)?.dimensions;
        dimensions.sort_by(|a, b| b.activity.total_cmp(&a.activity));
        let examples = Examples::of(&split, 0, split.len(), corruption)?;
        let means = encode_all(vae, &examples)?.mean()?;
        Ok(Test {
            means: means.flatten_all()?.to_vec1()?,
            labels: split.labels,
            has_labels,
            dimensions: dimensions.iter().map(|d| d.dimension).collect(),
        })
    }
}

/// Test images from all over the split, which may be in the order of its labels.
fn some(dataset: &Dataset) -> Split {
    let (test, count) = (&dataset.test, dataset.test.len());
    let chosen: BTreeSet<usize> = (0..count.min(DOTS))
        .map(|number| number * count / count.min(DOTS))
        .collect();
    let sides: Vec<bool> = (0..count).map(|index| chosen.contains(&index)).collect();
    let [_, chosen] = test.clone().divided(&sides);
    chosen
}

fn about(model: &ModelName, config: &Config, test: &Test) -> About {
    let shape = config.image_shape();
    let mut about = format!("{shape} pixels, {} latent dimensions", config.latent_dim);
    if let Some(provenance) = &config.provenance {
        about += &format!(", {} steps on {}", config.steps, provenance.dataset);
    }
    let labels = match (config.conditional, test.has_labels) {
        (true, _) => config.classes,
        (false, true) => usize::from(test.labels.iter().copied().max().unwrap_or_default()) + 1,
        (false, false) => 0,
    };
    About {
        name: model.to_string(),
        about,
        dimensions: test.dimensions.clone(),
        conditional: config.conditional,
        labels: (0..labels)
            .map(|label| config.label_name(label as u8))
            .collect(),
        ink: shape.channels == 1 && config.fit.is_none(),
        binary: config.binarize != Binarize::None,
        test_labels: test.labels.clone(),
    }
}

/// All that is computed with: weights rounded to 16 bits where the model bears that, and what is small as it is. Log
/// variances are not looked at.
fn tensors(
    vae: &Vae,
    config: &Config,
    device: &Device,
    plan: &Architecture,
    test: &Test,
) -> Result<Tensors> {
    let weight = |layer: &LayerPlan| format!("{}.weight", layer.name);
    let weights: BTreeSet<String> = plan.layers().map(weight).collect();
    let is_weight = |name: &str| weights.contains(name);
    let is_rounded = difference(vae, config, device, is_weight)? <= TOLERANCE;
    let mut tensors = Tensors::default();
    for (name, tensor) in vae.named_tensors()? {
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        if name.starts_with("encoder.log_variance.") {
            continue;
        }
        if is_rounded && is_weight(&name) {
            let Rounded { counts, step } = Rounded::of(&values);
            tensors.push_counts(&name, &counts, step);
        } else {
            tensors.push(&name, &values);
        }
    }
    if !test.means.is_empty() {
        let Rounded { counts, step } = Rounded::of(&test.means);
        tensors.push_counts("test.mean", &counts, step);
    }
    Ok(tensors)
}

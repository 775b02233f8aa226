//! Every hyperparameter: its name, its default, its range.
//!
//! A config file is JSON and holds only what it changes; the built-in default equals
//! `configs/mnist.json`. The names are the same in files, flags and metrics.

use crate::data::Source;
use crate::nn::activation::Activation;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The default configuration, as a file that can be copied and changed.
pub const DEFAULT_JSON: &str = include_str!("../configs/mnist.json");

/// Everything that decides what a training run computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the images come from.
    pub data: Source,
    /// Steps of training, 1 or more.
    pub steps: u64,
    /// Images a step, 1 or more and no more than there are.
    pub batch_size: usize,
    /// The highest learning rate, above 0.
    pub learning_rate: f64,
    /// How the learning rate changes from step to step.
    pub schedule: Schedule,
    /// Steps over which the learning rate rises from 0.
    pub warmup_steps: u64,
    /// How much of the gradient's moving average Adam keeps each step, 0 to 1.
    pub adam_beta1: f64,
    /// How much of the squared gradient's moving average Adam keeps each step, 0 to 1.
    pub adam_beta2: f64,
    /// What Adam adds to the root of the squared gradient's average, above 0.
    pub adam_epsilon: f64,
    /// The weight of the KL divergence in the loss, 0 or more; at 1 the loss is a negative ELBO.
    pub beta: f64,
    /// Decides every random number of the run.
    pub seed: u64,
    /// Steps from one set of pictures and training metrics to the next.
    pub image_every: u64,
    /// Steps from one checkpoint to the next.
    pub save_every: u64,
    /// Steps from one evaluation on the test images to the next.
    pub eval_every: u64,
    /// Dimensions of the latent space.
    pub latent_dim: usize,
    /// The layers from an image to the two heads.
    pub encoder: Vec<LayerConfig>,
    /// The layers from a latent vector to an image.
    pub decoder: Vec<LayerConfig>,
    /// What a run was made from and by. Written by `vae train`; what is given to it is not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// Where a run comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The version of the program.
    pub version: String,
    /// The data set, for people.
    pub dataset: String,
    /// The SHA-256 sum of the data set's four raw IDX files, one after the other.
    pub dataset_sha256: String,
}

/// How the learning rate changes after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls along half a cosine to a hundredth of its highest value.
    Cosine,
}

/// One layer of the encoder or the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerConfig {
    /// A convolution.
    Conv(ConvConfig),
    /// A transposed convolution.
    ConvTranspose(ConvConfig),
    /// A dense layer; what comes in is flattened channel first.
    Dense(DenseConfig),
    /// Values into channels, rows and columns, channel first.
    Reshape([usize; 3]),
}

/// What a convolution and a transposed convolution are made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvConfig {
    /// Output channels.
    pub channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Pixels from one place of the kernel to the next.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros around what is read.
    pub padding: Padding,
    /// What follows.
    #[serde(default)]
    pub activation: Activation,
    /// The probability, 0 to 1, that a value is dropped in training.
    #[serde(default)]
    pub dropout: f32,
}

/// What a dense layer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseConfig {
    /// Values that come out.
    pub features: usize,
    /// What follows.
    #[serde(default)]
    pub activation: Activation,
    /// The probability, 0 to 1, that a value is dropped in training.
    #[serde(default)]
    pub dropout: f32,
}

/// Zeros around what a convolution reads, or pixels cut from what a transposed convolution writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// As many as make the output the input's size divided (transposed: multiplied) by the stride. An
    /// odd number has its larger half below and on the right, as TensorFlow has it.
    Same,
    /// So many on each side.
    #[serde(untagged)]
    Pixels(usize),
}

fn one() -> usize {
    1
}

impl Default for Config {
    fn default() -> Self {
        let activation = Activation::LeakyRelu(0.1);
        let conv = |channels, activation| ConvConfig {
            channels,
            kernel: 4,
            stride: 2,
            padding: Padding::Pixels(1),
            activation,
            dropout: 0.0,
        };
        let dense = |features| {
            LayerConfig::Dense(DenseConfig {
                features,
                activation,
                dropout: 0.0,
            })
        };
        Self {
            data: Source::Auto,
            steps: 2000,
            batch_size: 64,
            learning_rate: 3e-3,
            schedule: Schedule::Cosine,
            warmup_steps: 100,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            beta: 1.0,
            seed: 42,
            image_every: 200,
            save_every: 200,
            eval_every: 500,
            latent_dim: 16,
            encoder: vec![
                LayerConfig::Conv(conv(32, activation)),
                LayerConfig::Conv(conv(64, activation)),
                dense(256),
            ],
            decoder: vec![
                dense(256),
                dense(64 * 7 * 7),
                LayerConfig::Reshape([64, 7, 7]),
                LayerConfig::ConvTranspose(conv(32, activation)),
                LayerConfig::ConvTranspose(conv(1, Activation::Sigmoid)),
            ],
            provenance: None,
        }
    }
}

impl Config {
    /// Reads a config file. What it does not mention has its default.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no JSON, or has an unknown key (which is named, with the nearest
    /// known one).
    pub fn read(path: &Path) -> Result<Self> {
        // No config is larger; this keeps a wrong file, or a device, from filling the memory.
        let text = crate::files::read_text(path, 1 << 20)?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Parses the text of a config; `name` says in errors where it came from.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            let text = error.to_string();
            let error = Error::input(name, &text);
            match nearest_name(&text) {
                Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
                None => error.hint("compare it with `configs/mnist.json`"),
            }
        })
    }

    /// Checks every number for its range, and the layers for fitting each other.
    ///
    /// # Errors
    ///
    /// If one is out of range; the error names it and says what it may be.
    pub fn validate(&self) -> Result<()> {
        let whole = |name: &str, value: u64, least: u64, most: u64| {
            let range = format!("must be a whole number from {least} to {most}, found {value}");
            check(name, (least..=most).contains(&value), range)
        };
        whole("steps", self.steps, 1, 1_000_000_000)?;
        whole("batch_size", self.batch_size as u64, 1, 65_536)?;
        whole("warmup_steps", self.warmup_steps, 0, 1_000_000_000)?;
        whole("image_every", self.image_every, 1, u64::MAX)?;
        whole("save_every", self.save_every, 1, u64::MAX)?;
        whole("eval_every", self.eval_every, 1, u64::MAX)?;
        whole("latent_dim", self.latent_dim as u64, 1, 4096)?;

        let number = |name: &str, value: f64, valid: bool, range: &str| {
            check(name, valid, format!("must be {range}, found {value}"))
        };
        let rate = self.learning_rate;
        let valid = rate > 0.0 && rate <= 10.0;
        number("learning_rate", rate, valid, "above 0 and at most 10")?;
        let valid = (0.0..=1e6).contains(&self.beta);
        number("beta", self.beta, valid, "from 0 to 1,000,000")?;
        for (name, value) in [
            ("adam_beta1", self.adam_beta1),
            ("adam_beta2", self.adam_beta2),
        ] {
            number(
                name,
                value,
                (0.0..1.0).contains(&value),
                "from 0 to below 1",
            )?;
        }
        let valid = self.adam_epsilon > 0.0 && self.adam_epsilon <= 1.0;
        number(
            "adam_epsilon",
            self.adam_epsilon,
            valid,
            "above 0 and at most 1",
        )?;
        crate::architecture::Architecture::plan(self).map(|_| ())
    }

    /// The learning rate of a step, counted from 1.
    pub fn learning_rate_at(&self, step: u64) -> f64 {
        let warmup = (step as f64 / self.warmup_steps.max(1) as f64).min(1.0);
        let decay = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => {
                let progress = (step - 1) as f64 / self.steps as f64;
                0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        };
        self.learning_rate * warmup * decay
    }
}

fn check(name: &str, valid: bool, range: String) -> Result<()> {
    if valid {
        Ok(())
    } else {
        Err(Error::input(name, range))
    }
}

/// The known name that is nearest to the unknown one, from an error of serde's: it quotes the
/// unknown name first and then the known ones, at any depth of the file.
fn nearest_name(message: &str) -> Option<&str> {
    if !message.starts_with("unknown") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let distance = |name: &&str| strsim::damerau_levenshtein(unknown, name);
    names
        .min_by_key(distance)
        .filter(|name| distance(name) <= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_equals_the_file() {
        let file = Config::parse(DEFAULT_JSON, "configs/mnist.json").expect("a config");
        assert_eq!(file, Config::default());
        let text = serde_json::to_string(&file).expect("json");
        assert_eq!(Config::parse(&text, "again").expect("a config"), file);
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_known_one() {
        let cases = [
            (r#"{"learning_rat": 1}"#, "learning_rat", "learning_rate"),
            (r#"{"encoder": [{"cnov": {}}]}"#, "cnov", "conv"),
            (
                r#"{"encoder": [{"dense": {"fetures": 3}}]}"#,
                "fetures",
                "features",
            ),
        ];
        for (text, unknown, nearest) in cases {
            let error = Config::parse(text, "my.json").expect_err("a typo");
            assert!(error.why.contains(unknown), "{error}");
            assert!(error.hint.expect("a hint").contains(nearest));
        }
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let with = |change: &dyn Fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().map_err(|error| error.what)
        };
        assert_eq!(with(&|_| {}), Ok(()));
        assert_eq!(with(&|c| c.steps = 0), Err("steps".into()));
        assert_eq!(with(&|c| c.batch_size = 0), Err("batch_size".into()));
        assert_eq!(with(&|c| c.latent_dim = 0), Err("latent_dim".into()));
        assert_eq!(with(&|c| c.beta = -1.0), Err("beta".into()));
        for rate in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            let error = with(&|c| c.learning_rate = rate);
            assert_eq!(error, Err("learning_rate".into()));
        }
    }

    #[test]
    fn the_learning_rate_warms_up_and_falls_to_a_hundredth() {
        let config = Config::default();
        assert!(config.learning_rate_at(1) < 1e-4);
        assert!((config.learning_rate_at(100) - 3e-3).abs() < 5e-5);
        assert!((config.learning_rate_at(2000) / 3e-5 - 1.0).abs() < 0.01);
        let constant = Config {
            schedule: Schedule::Constant,
            warmup_steps: 0,
            ..config
        };
        assert_eq!(constant.learning_rate_at(1), 3e-3);
        assert_eq!(constant.learning_rate_at(2000), 3e-3);
    }
}

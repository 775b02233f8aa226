//! `vae encode`: what the model makes of images, as numbers.

use super::console::Console;
use super::images::{SplitName, data_set, own_pictures};
use super::labels::label_of;
use super::model::ModelFlag;
use super::paths::{deliver, kind};
use crate::config::Config;
use crate::data::latents::{Encoded, Form, LATENT, LOG_VARIANCE, MEAN, write};
use crate::data::pictures::is_picture;
use crate::data::{CLEAN, Corruption, Source, Split};
use crate::model::Vae;
use crate::model::sampling::encode_split;
use crate::rng::{Purpose, normal};
use crate::run::ModelName;
use crate::{Error, Result, files};
use candle_core::{Device, Tensor};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Make latent vectors of images: each image's posterior, its means and log variances, in a file.
#[derive(Debug, Args)]
#[command(override_usage = "vae encode [OPTIONS] [[IMAGE]... OUT]")]
pub struct Encode {
    /// Your own pictures (PNG, JPEG and others; - is stdin), if any, else the images of a data set; and last where to:
    /// arrays (.npz), an array of the means alone (.npy), a table (.csv), or a JSON object a line (.jsonl, and - for
    /// stdout) [default: encoded.npz]
    #[arg(value_name = "IMAGE... OUT")]
    paths: Vec<PathBuf>,

    /// Where the images come from [default: what the model was trained on]
    #[arg(long, value_name = "SOURCE")]
    data: Option<Source>,

    /// Which of the images [default: test]
    #[arg(long, value_enum)]
    split: Option<SplitName>,

    /// How many images, 1 to 10000000; no more than there are [default: all]
    #[arg(long, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000_000))]
    n: Option<usize>,

    /// What your own pictures show, for a model that is told labels [default: what it finds likeliest]
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,

    /// Write a sample of each posterior, rather than its mean and log variance
    #[arg(long)]
    sample: bool,

    /// Decides the samples; the same seed draws the same ones [default: 42]
    #[arg(long, value_name = "N", requires = "sample")]
    seed: Option<u64>,

    #[command(flatten)]
    model: ModelFlag,
}

/// Decides samples where nothing else does.
const SEED: u64 = 42;

fn form(out: &Path) -> Result<Form> {
    match kind(out, "jsonl").as_str() {
        "npz" => Ok(Form::Npz),
        "npy" => Ok(Form::Npy),
        "csv" => Ok(Form::Csv),
        "jsonl" => Ok(Form::Jsonl),
        _ if is_picture(out) => {
            let hint = format!("the last name is where to: vae encode {} encoded.npz", files::quoted(out));
            Err(Error::input(out.display(), "is a picture, not where latent vectors could go").hint(hint))
        }
        _ => Err(Error::input(out.display(), "is of no kind that can be written")
            .hint("end it in .npz (arrays), .npy (one array), .csv (a table) or .jsonl (a JSON object a line)")),
    }
}

impl Encode {
    pub fn run(mut self, console: &Console, device: &Device) -> Result<ExitCode> {
        let out = self.paths.pop().unwrap_or_else(|| "encoded.npz".into());
        let form = form(&out)?;
        let (model, config, vae) = self.model.load(console, device)?;
        let label = label_of(self.label.as_deref(), (&config, &vae))?;
        let encoded = match self.paths.is_empty() {
            true => self.of_data(&model, &config, &vae, console)?,
            false => self.of_pictures(label, (&config, &vae))?,
        };
        let file = write(&encoded, form)?;
        deliver(console, &out, &file)?;
        let (images, bytes) = (encoded.len(), vae.image_shape().values());
        console.say(format_args!(
            "{images} images of {bytes} bytes, {} in all, are latent vectors of {} numbers in {} bytes",
            images * bytes,
            encoded.latent_dim,
            file.len()
        ));
        Ok(ExitCode::SUCCESS)
    }

    fn encode(
        &self,
        vae: &Vae,
        images: &Split,
        corruption: Corruption,
        has_labels: bool,
    ) -> Result<Encoded> {
        let posterior = encode_split(vae, images, corruption)?;
        let flat = |tensor: Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let latent_dim = vae.latent_dim();
        let parts = match self.sample {
            true => {
                let seed = self.seed.unwrap_or(SEED);
                let images = 0..images.len();
                let normals = images
                    .clone()
                    .flat_map(|image| normal(seed, Purpose::Encoding, image as u64, latent_dim));
                let shape = (images.len(), latent_dim);
                let device = posterior.parameters().device();
                let epsilon = Tensor::from_vec(normals.collect(), shape, device)?;
                vec![(LATENT, flat(posterior.sample(&epsilon, vae.backend())?)?)]
            }
            false => vec![
                (MEAN, flat(posterior.mean()?)?),
                (LOG_VARIANCE, flat(posterior.log_variance()?)?),
            ],
        };
        Ok(Encoded {
            latent_dim,
            parts,
            labels: has_labels.then(|| images.labels.clone()),
        })
    }

    /// Those of the images of a data set, as `reconstruct` sees them.
    fn of_data(
        &self,
        model: &ModelName,
        config: &Config,
        vae: &Vae,
        console: &Console,
    ) -> Result<Encoded> {
        if self.label.is_some() {
            let why = "is for your own pictures; a data set has labels of its own";
            return Err(Error::input("--label", why));
        }
        let dataset = data_set(self.data.as_ref(), model, (config, vae), console)?;
        let has_labels = dataset.has_labels();
        let mut split = self.split.unwrap_or(SplitName::Test).of(dataset);
        split.truncate(self.n.unwrap_or(split.len()));
        let split = split.binarized(config.binarize, config.seed);
        self.encode(vae, &split, config.corruption(), has_labels)
    }

    /// Those of one's own pictures, and what these show, if the model wants to know.
    fn of_pictures(&self, label: Option<u8>, (config, vae): (&Config, &Vae)) -> Result<Encoded> {
        let of_data = [
            ("--data", self.data.is_some()),
            ("--split", self.split.is_some()),
            ("--n", self.n.is_some()),
        ];
        if let Some((flag, _)) = of_data.iter().find(|(_, is_given)| *is_given) {
            let why = "is for a data set; there are pictures to encode";
            return Err(Error::input(flag, why));
        }
        let pictures = own_pictures(&self.paths, label, (config, vae))?;
        self.encode(vae, &pictures, CLEAN, vae.condition().is_some())
    }
}

//! What a training needs to go on, and how it is saved.

use super::dir::RunDir;
use super::weights::{self, Tensors};
use crate::config::Config;
use crate::files::{self, write_durably};
use crate::model::Vae;
use crate::train::{Progress, Trainer};
use crate::{Error, Result};
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What the names of the moments begin with in a checkpoint.
const FIRST_MOMENT: &str = "adam.first_moment.";
const SECOND_MOMENT: &str = "adam.second_moment.";
/// What the names of the averages begin with.
const AVERAGE: &str = "average.";

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

    /// Takes the weights out of it, as the model that is trained.
    pub fn take_model(&mut self, device: &Device) -> Result<Vae> {
        let weights = self
            .tensors
            .extract_if(|name, _| !name.starts_with("adam.") && !name.starts_with(AVERAGE));
        Vae::with_weights(&self.config, device, weights.collect())
    }

    /// Takes the model out of it that is saved for use: that of the averages, if there are some.
    fn take_shown(&mut self) -> Result<Vae> {
        let vae = self.take_model(&Device::Cpu)?;
        if self.config.ema_decay > 0.0 {
            vae.set_parameters(self.take_averages())?;
        }
        Ok(vae)
    }

    fn take_averages(&mut self) -> Tensors {
        let averages = self.tensors.extract_if(|name, _| name.starts_with(AVERAGE));
        let averages = averages.map(|(name, tensor)| (name[AVERAGE.len()..].into(), tensor));
        averages.collect()
    }

    /// Puts the averages, the moments and the progress into a trainer of the model.
    ///
    /// # Errors
    ///
    /// If an average or a moment is missing or of another shape than its parameter.
    pub fn restore(mut self, trainer: &mut Trainer) -> Result<()> {
        let parameters = trainer.vae.parameters().iter();
        for ((name, var), state) in parameters.zip(&mut trainer.adam.states) {
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
            state.first_moment = take(FIRST_MOMENT)?;
            state.second_moment = take(SECOND_MOMENT)?;
        }
        if let Some(average) = &mut trainer.average {
            average.set_parameters(self.take_averages())?;
            average.prior = trainer.vae.prior.take();
        }
        trainer.progress = self.progress;
        Ok(())
    }
}

/// Writes the checkpoint, then the weights alone: where there are weights, there is a checkpoint to
/// go on from.
pub fn save(run: &RunDir, trainer: &Trainer, config: &Config) -> Result<()> {
    let mut named = trainer.vae.named_tensors()?;
    if let Some(average) = &trainer.average {
        named.extend(average.prior_tensors()?);
        let averages = average.parameters().iter();
        named.extend(
            averages.map(|(name, var)| (format!("{AVERAGE}{name}"), var.as_tensor().clone())),
        );
    }
    let named = named.iter().map(|(name, tensor)| (name.clone(), tensor));
    let moments = trainer.vae.parameters().iter().zip(&trainer.adam.states);
    let moments = moments.flat_map(|((name, _), state)| {
        [
            (format!("{FIRST_MOMENT}{name}"), &state.first_moment),
            (format!("{SECOND_MOMENT}{name}"), &state.second_moment),
        ]
    });
    let description = weights::description(config)?;
    let state = Description {
        config: &description,
        progress: trainer.progress,
    };
    let checkpoint = weights::to_bytes(named.chain(moments), &state)?;
    let model = model_bytes(trainer.shown(), config)?;
    write_durably(&run.checkpoint(), &checkpoint)?;
    write_durably(&run.model(), &model)
}

/// Writes the weights of a checkpoint alone, if a kill came between the two, or they were removed;
/// tells whether it did.
///
/// # Errors
///
/// If the checkpoint's weights are not whole, or the file cannot be written.
pub fn save_model_of(run: &mut RunDir, mut checkpoint: Checkpoint) -> Result<bool> {
    let vae = checkpoint.take_shown()?;
    let model = model_bytes(&vae, &checkpoint.config)?;
    let found = files::read(&run.model(), weights::LARGEST_FILE);
    if found.is_ok_and(|found| found == model) {
        return Ok(false);
    }
    run.claim()?;
    write_durably(&run.model(), &model)?;
    Ok(true)
}

/// What `model.safetensors` holds for a model.
fn model_bytes(vae: &Vae, config: &Config) -> Result<Vec<u8>> {
    let named = vae.named_tensors()?;
    let named = named.iter().map(|(name, tensor)| (name.clone(), tensor));
    weights::to_bytes(named, &weights::description(config)?)
}

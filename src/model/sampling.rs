//! Pictures that nobody drew, from the prior; and what is kept of those that somebody did.
//!
//! The last bits of an image, and of its posterior, depend on how many are computed with it. So they are computed 64 at a
//! time here, and the last ones with repetitions: all commands come to the same bytes.

use super::prior::{self, FittedPrior};
use super::vae::Vae;
use crate::Result;
use crate::data::{Corruption, Examples, Split};
use crate::nn::backend::Backend;
use crate::nn::dropout::Mode;
use crate::nn::posterior::Posterior;
use crate::nn::sequential::KeptPrepared;
use crate::parallel::map_apart;
use crate::rng::{Purpose, normal};
use candle_core::{Device, Tensor};

/// Images that are encoded, and latent vectors that are decoded, at a time.
const BATCH: usize = 64;

/// What decides a drawing besides the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawing {
    /// The number of its latent vector.
    pub number: u64,
    /// What it is to show, if the model is conditional.
    pub label: u8,
}

impl Drawing {
    /// So many drawings, each of its own latent vector; of the labels that the model knows, if it is conditional, one
    /// after the other.
    pub fn of_each_label_in_turn(vae: &Vae, count: usize) -> Vec<Self> {
        let classes = vae.condition().map_or(1, |condition| condition.classes) as u64;
        let drawings = (0..count as u64).map(|number| Self {
            number,
            label: (number % classes) as u8,
        });
        drawings.collect()
    }
}

/// Decodes latent vectors from priors, one for all drawings or one a label; the standard normal numbers that they are
/// made of are multiplied by `temperature`: the values of as many images as there are drawings, one after the other.
///
/// A picture depends on the seed, and on the number and the label of its drawing.
///
/// # Errors
///
/// If the model is conditional, and a label is none that it knows.
pub fn sample(
    vae: &Vae,
    priors: &[Option<FittedPrior>],
    drawings: &[Drawing],
    seed: u64,
    temperature: f64,
) -> Result<Vec<f32>> {
    let numbers = drawings.iter().flat_map(|drawing| {
        let vector = normal(seed, Purpose::Prior, drawing.number, vae.latent_dim());
        vector.into_iter().map(|z| z * temperature as f32)
    });
    let labels: Vec<u8> = drawings.iter().map(|drawing| drawing.label).collect();
    let numbers: Vec<f32> = numbers.collect();
    decode_all(vae, &prior::latent(priors, &numbers, &labels), &labels)
}

/// What a model keeps of what its encoder sees of images, decoded from their posteriors' means: the values of as many
/// images, one after the other.
pub fn reconstruct(vae: &Vae, examples: &Examples) -> Result<Vec<f32>> {
    let means = encode_all(vae, examples)?.mean()?;
    decode_all(vae, &means.flatten_all()?.to_vec1()?, &examples.labels)
}

/// The posteriors of what a model's encoder sees of images.
pub fn encode_all(vae: &Vae, examples: &Examples) -> Result<Posterior> {
    let images = examples.seen.dim(0)?;
    encode_by_batches(vae, images, |first, count| examples.narrow(first, count))
}

/// The posteriors of what a model's encoder sees of all images of a split, of which no more are tensors at a time than
/// threads encode.
pub fn encode_split(vae: &Vae, split: &Split, corruption: Corruption) -> Result<Posterior> {
    encode_by_batches(vae, split.len(), |first, count| {
        Examples::of(split, first, first + count, corruption)
    })
}

/// The posteriors of so many images; `some` gives those from a number on.
fn encode_by_batches(
    vae: &Vae,
    images: usize,
    some: impl Fn(usize, usize) -> Result<Examples> + Sync,
) -> Result<Posterior> {
    let prepare = Vae::keep_encoder_prepared;
    let parameters = by_batches(vae, prepare, (0..images).step_by(BATCH), |first| {
        let some = some(first, BATCH.min(images - first))?;
        let missing = BATCH - some.labels.len();
        let last = some.labels.last().copied().unwrap_or_default();
        let labels = [&some.labels[..], &vec![last; missing]].concat();
        let seen = match missing {
            0 => some.seen,
            _ => {
                let last = some.seen.narrow(0, some.labels.len() - 1, 1)?;
                Tensor::cat(&[&some.seen, &last.repeat((missing, 1))?], 0)?
            }
        };
        let posterior = vae.encode(&seen, &labels, Mode::Inference)?;
        // Detached: as long as it could be differentiated, all that it was computed from would stay in memory.
        Ok(posterior.parameters().detach())
    })?;
    let parameters = Tensor::cat(&parameters, 0)?.narrow(0, 0, images)?;
    Ok(Posterior::new(parameters)?)
}

/// Decodes latent vectors, one after the other: the values of as many images.
///
/// # Shapes
///
/// - latent: (images, latent dimensions)
/// - labels: (images); only a conditional model looks at them
pub fn decode_all(vae: &Vae, latent: &[f32], labels: &[u8]) -> Result<Vec<f32>> {
    let (latent_dim, values) = (vae.latent_dim(), vae.image_shape().values());
    let mut images = vec![0.0; labels.len() * values];
    let batches = latent.chunks(BATCH * latent_dim).zip(labels.chunks(BATCH));
    let batches = batches.zip(images.chunks_mut(BATCH * values));
    let prepare = Vae::keep_decoder_prepared;
    by_batches(vae, prepare, batches, |((latent, labels), to)| {
        let rows = labels.len();
        let (mut latent, mut labels) = (latent.to_vec(), labels.to_vec());
        latent.extend(latent[(rows - 1) * latent_dim..].repeat(BATCH - rows));
        labels.resize(BATCH, labels[rows - 1]);
        let latent = Tensor::from_vec(latent, (BATCH, latent_dim), &Device::Cpu)?;
        let decoded = vae.decode(&latent, &labels, Mode::Inference)?;
        let decoded = decoded.flatten_all()?.to_vec1()?;
        to.copy_from_slice(&decoded[..rows * values]);
        Ok(())
    })?;
    Ok(images)
}

/// What `work` makes of each batch. On the CPU a thread has a batch for itself, and where there are some, `prepare` is
/// called once for all.
fn by_batches<'a, T: Send, R: Send>(
    vae: &'a Vae,
    prepare: impl FnOnce(&'a Vae) -> Result<Option<KeptPrepared<'a>>>,
    batches: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let batches: Vec<T> = batches.into_iter().collect();
    let _prepared = match batches.len() {
        0 | 1 => None,
        _ => prepare(vae)?,
    };
    match vae.backend() {
        Backend::Fused => map_apart(batches, work).into_iter().collect(),
        // What runs on a GPU must all come from this thread.
        Backend::Candle => batches.into_iter().map(work).collect(),
    }
}

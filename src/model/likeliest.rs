//! What pictures show that come without a label, by the judgement of a model that was told labels.

use super::sampling::encode_all;
use super::vae::Vae;
use crate::Result;
use crate::data::Examples;
use candle_core::Tensor;

/// For each image the label under which the loss is least, through the posterior's mean; the first of those that are equal.
///
/// # Shapes
///
/// - images: (images, values of an image), 0 to 1
/// - output: one label an image; 0 for all, if the model is not conditional
pub fn likeliest_labels(vae: &Vae, images: &Tensor) -> Result<Vec<u8>> {
    let count = images.dim(0)?;
    let classes = vae.condition().map_or(0, |condition| condition.classes);
    let mut best = vec![(f32::INFINITY, 0); count];
    for label in 0..classes {
        let label = label as u8;
        let examples = Examples::new(images.clone(), vec![label; count]);
        let posterior = encode_all(vae, &examples)?;
        let reconstruction = vae.reconstruction(&posterior.mean()?, &examples.labels, images)?;
        let losses = (reconstruction + posterior.kl(vae.backend())?)?.to_vec1::<f32>()?;
        for (best, loss) in best.iter_mut().zip(losses) {
            if loss < best.0 {
                *best = (loss, label);
            }
        }
    }
    Ok(best.into_iter().map(|(_, label)| label).collect())
}

//! The gradients of a batch, part by part where it is large: what layers keep for the way back is then that of a part,
//! or two where they are dense.

use super::losses::Losses;
use super::objective::Objective;
use crate::Result;
use crate::config::Config;
use crate::data::Examples;
use crate::model::{Mode, Vae};
use crate::nn::gradient::Gradients;
use candle_core::Tensor;

/// Pixel values that a part has at most, if that is an image or more: a grey model of MNIST's size then keeps one and a
/// half gibibytes.
const MOST_VALUES: usize = 1 << 22;

/// What a step learns from.
#[derive(Debug)]
pub struct Batch {
    /// The number of the step, from 1 on.
    pub step: u64,
    /// The images, with what the model is told of them.
    pub examples: Examples,
    /// What latent vectors are made of: (images * samples, latent dimensions), standard normal.
    pub epsilon: Tensor,
}

impl Batch {
    /// The number of images of each part but the last.
    pub fn part_images(&self, config: &Config) -> Result<usize> {
        let (images, values) = self.examples.images.dims2()?;
        let most = (MOST_VALUES / (values * config.train_importance_samples)).max(1);
        // What free bits count is a mean over the batch: it is no sum over parts.
        let whole = config.free_bits > 0.0;
        Ok(match whole {
            true => images,
            false => images.div_ceil(images.div_ceil(most)),
        })
    }

    fn narrow(&self, first: usize, images: usize) -> Result<Self> {
        let samples = self.epsilon.dim(0)? / self.examples.labels.len();
        Ok(Self {
            step: self.step,
            examples: self.examples.narrow(first, images)?,
            epsilon: self.epsilon.narrow(0, first * samples, images * samples)?,
        })
    }
}

/// The gradients of the objective of a batch, in parts of so many images, and its losses. `meanwhile` is called once,
/// before the first way back.
///
/// # Errors
///
/// What `checked` makes of losses.
pub fn gradients(
    vae: &Vae,
    config: &Config,
    batch: &Batch,
    part_images: usize,
    beta: f64,
    checked: impl Fn(Losses) -> Result<Losses>,
    meanwhile: impl FnOnce(),
) -> Result<(Gradients, Losses)> {
    let images = batch.examples.labels.len();
    let parts = images.div_ceil(part_images);
    let mut meanwhile = Some(meanwhile);
    let mut of_part = |number: usize| -> Result<(Gradients, Losses)> {
        let first = number * part_images;
        let part = batch.narrow(first, part_images.min(images - first))?;
        let mode = Mode::Training {
            seed: config.seed,
            // Another for each part of each step: what dropout drops follows from it.
            step: (batch.step - 1) * parts as u64 + number as u64 + 1,
        };
        let terms = vae.terms(&part.examples, &part.epsilon, mode)?;
        let objective = Objective::of(&terms, &part.epsilon, config, beta)?;
        let mut losses = Losses::default();
        let share = part.examples.labels.len() as f64 / images as f64;
        losses.add(checked(objective.losses)?, share);
        if let Some(meanwhile) = meanwhile.take() {
            meanwhile();
        }
        Ok((vae.gradients(&(objective.loss * share)?)?, losses))
    };
    let (mut sum, mut losses) = of_part(0)?;
    for number in 1..parts {
        let (gradients, of_part) = of_part(number)?;
        sum = sum.plus(&gradients, vae.parameters().iter().map(|(_, var)| var))?;
        losses.add(of_part, 1.0);
    }
    Ok((sum, losses))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// A model with layers of each kind, and a batch of ten images, none like another.
    fn small(changes: &str) -> (Vae, Config, Batch) {
        const IMAGES: usize = 10;
        let config = format!(
            r#"{{"latent_dim": 2, {changes}
            "encoder": [{{"conv": {{"channels": 16, "kernel": 4, "stride": 2, "padding": 1, "activation": "elu"}}}},
                        {{"dense": {{"features": 8, "activation": "tanh"}}}}],
            "decoder": [{{"dense": {{"features": 3136, "activation": "tanh"}}}}, {{"reshape": [16, 14, 14]}},
                        {{"conv_transpose": {{"channels": 1, "kernel": 4, "stride": 2, "padding": 1}}}}]}}"#
        );
        let config = Config::parse(&config, "test").expect("a config");
        let vae = Vae::new(&config, &Device::Cpu).expect("a model");
        let tensor = |len: usize, columns: usize| {
            let values = (0..len * columns).map(|place| (place * 7 % 97) as f32 / 97.0);
            Tensor::from_vec(values.collect(), (len, columns), &Device::Cpu).expect("a tensor")
        };
        let batch = Batch {
            step: 1,
            examples: Examples::new(tensor(IMAGES, 784), (0..IMAGES as u8).collect()),
            epsilon: tensor(IMAGES * config.train_importance_samples, 2),
        };
        (vae, config, batch)
    }

    fn of_parts(
        (vae, config, batch): &(Vae, Config, Batch),
        images: usize,
    ) -> (Vec<Vec<f32>>, Losses) {
        let mut calls = 0;
        let (gradients, losses) =
            gradients(vae, config, batch, images, 0.5, Ok, || calls += 1).expect("gradients");
        assert_eq!(calls, 1);
        let values = vae.parameters().iter().map(|(name, parameter)| {
            let gradient = gradients.get(parameter).expect("a gradient").expect(name);
            let values = gradient.flatten_all().and_then(|g| g.to_vec1());
            values.expect("values")
        });
        (values.collect(), losses)
    }

    #[test]
    fn parts_give_the_gradient_of_the_batch() {
        for changes in [
            "",
            r#""train_importance_samples": 3,"#,
            r#""conditional": true,"#,
        ] {
            let model = small(changes);
            let (whole, losses) = of_parts(&model, 10);
            for images in [1, 4, 9] {
                let (parts, of_parts) = of_parts(&model, images);
                assert!((of_parts.loss - losses.loss).abs() < 1e-4 * losses.loss);
                for (part, whole) in parts.iter().zip(&whole) {
                    let largest = whole.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
                    assert!(largest > 0.0);
                    for (part, whole) in part.iter().zip(whole) {
                        assert!((part - whole).abs() < 1e-4 * largest, "{part} for {whole}");
                    }
                }
            }
        }
    }

    #[test]
    fn dropout_drops_something_else_in_each_part() {
        let (_, config, mut batch) = small("");
        let layers = r#"{"encoder": [{"dense": {"features": 8}}], "decoder": [
            {"dense": {"features": 64, "dropout": 0.5}}, {"dense": {"features": 784}}]}"#;
        let config = Config {
            latent_dim: config.latent_dim,
            ..Config::parse(layers, "test").expect("a config")
        };
        let vae = Vae::new(&config, &Device::Cpu).expect("a model");
        // Two parts that show the same images.
        let twice = |tensor: &Tensor| {
            let half = tensor.narrow(0, 0, 5).expect("a half");
            Tensor::cat(&[&half, &half], 0).expect("twice as many")
        };
        batch.examples = Examples::new(twice(&batch.examples.images), vec![0; 10]);
        batch.epsilon = twice(&batch.epsilon);
        let losses = std::cell::RefCell::new(Vec::new());
        let checked = |of_part: Losses| {
            losses.borrow_mut().push(of_part.squared_error);
            Ok(of_part)
        };
        for step in [1, 2] {
            batch.step = step;
            gradients(&vae, &config, &batch, 5, 1.0, checked, || ()).expect("gradients");
        }
        let mut losses = losses.into_inner();
        losses.sort_by(f64::total_cmp);
        losses.dedup();
        assert_eq!(losses.len(), 4, "{losses:?}");
    }

    #[test]
    fn a_large_batch_is_cut_evenly_unless_bits_are_free() {
        let (_, mut config, mut batch) = small("");
        assert_eq!(batch.part_images(&config).expect("a number"), 10);
        let images = Tensor::zeros((60_000, 784), candle_core::DType::F32, &Device::Cpu);
        batch.examples.images = images.expect("images");
        assert_eq!(batch.part_images(&config).expect("a number"), 5_000);
        config.train_importance_samples = 10;
        assert_eq!(batch.part_images(&config).expect("a number"), 531);
        config.free_bits = 0.1;
        assert_eq!(batch.part_images(&config).expect("a number"), 60_000);
    }
}

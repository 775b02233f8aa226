//! A model in half the bytes: weights as whole numbers of 16 bits.

use super::sampling::{Drawing, decode_all, reconstruct};
use super::vae::Vae;
use crate::config::Config;
use crate::data::Examples;
use crate::rng::{Purpose, normal};
use crate::{Error, Result};
use candle_core::{Device, Tensor};

/// Values as multiples of a step: the largest is 32,767 of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rounded {
    /// How many steps each is.
    pub counts: Vec<i16>,
    /// What one is.
    pub step: f32,
}

/// Pictures by which models are compared, at most, and the values that those have together, unless one has more.
const PICTURES: usize = 256;
const VALUES: usize = 1 << 22;

impl Rounded {
    /// Values, each to the nearest multiple of the step.
    pub fn of(values: &[f32]) -> Self {
        let largest = values
            .iter()
            .fold(0.0, |most: f32, value| most.max(value.abs()));
        let step = (largest / f32::from(i16::MAX)).max(f32::MIN_POSITIVE);
        let counts = values.iter().map(|value| (value / step).round() as i16);
        Self {
            counts: counts.collect(),
            step,
        }
    }

    /// The values that are left.
    pub fn values(&self) -> Vec<f32> {
        let counts = self.counts.iter();
        counts.map(|&count| self.step * f32::from(count)).collect()
    }
}

/// How far the values of pictures are from those of a model whose tensors, of those that `is_rounded` chooses by name, are
/// [`Rounded`], at most: of up to 256 that the model draws, and of its reconstructions of these.
///
/// # Errors
///
/// If a model cannot be computed.
pub fn difference(
    vae: &Vae,
    config: &Config,
    device: &Device,
    is_rounded: impl Fn(&str) -> bool,
) -> Result<f32> {
    let rounded = vae.named_tensors()?.into_iter().map(|(name, tensor)| {
        if !is_rounded(&name) {
            return Ok((name, tensor));
        }
        let values = Rounded::of(&tensor.flatten_all()?.to_vec1()?).values();
        Ok::<_, Error>((
            name,
            Tensor::from_vec(values, tensor.shape(), tensor.device())?,
        ))
    });
    let rounded = Vae::with_weights(config, device, rounded.collect::<Result<_>>()?)?;
    let values = vae.image_shape().values();
    let count = (VALUES / values).clamp(1, PICTURES);
    let normals = normal(config.seed, Purpose::Prior, 0, count * vae.latent_dim());
    let latent = vae.from_prior(&normals);
    let labels = Drawing::of_each_label_in_turn(vae, count);
    let labels: Vec<u8> = labels.iter().map(|drawing| drawing.label).collect();
    let pictures = decode_all(vae, &latent, &labels)?;
    let seen = pictures.iter().map(|value| value.clamp(0.0, 1.0)).collect();
    let seen = Examples::new(
        Tensor::from_vec(seen, (count, values), &Device::Cpu)?,
        labels.clone(),
    );
    let pairs = [
        (pictures, decode_all(&rounded, &latent, &labels)?),
        (reconstruct(vae, &seen)?, reconstruct(&rounded, &seen)?),
    ];
    let pairs = pairs.iter().flat_map(|(a, b)| a.iter().zip(b));
    let distances = pairs.map(|(a, b)| (a - b).abs());
    Ok(distances.max_by(f32::total_cmp).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_again_within_half_a_step() {
        let values = [0.5, -1.0, 0.0, 1e-7, 0.333];
        let rounded = Rounded::of(&values);
        assert_eq!(rounded.counts[1], -i16::MAX);
        for (found, value) in rounded.values().iter().zip(values) {
            assert!(
                (found - value).abs() <= 0.51 * rounded.step,
                "{found} {value}"
            );
        }
        assert_eq!(Rounded::of(&[0.0; 3]).values(), [0.0; 3]);
    }

    #[test]
    fn a_model_with_one_enormous_weight_does_not_bear_it() {
        let config = Config {
            likelihood: crate::config::Likelihood::SquaredError,
            ..Config::default()
        };
        let vae = Vae::new(&config, &Device::Cpu).expect("a model");
        let of =
            |vae: &Vae| difference(vae, &config, &Device::Cpu, |name| name.ends_with(".weight"));
        assert!(of(&vae).expect("a difference") < 1e-3);
        let (_, weight) = vae
            .parameters()
            .iter()
            .find(|(name, _)| name == "decoder.conv_transpose2.weight")
            .expect("a layer");
        let mut values = weight
            .flatten_all()
            .and_then(|w| w.to_vec1::<f32>())
            .expect("values");
        values[0] = 1e5;
        let enormous = Tensor::from_vec(values, weight.shape(), &Device::Cpu).expect("a tensor");
        weight.set(&enormous).expect("the same shape");
        assert!(of(&vae).expect("a difference") > 1e-2);
    }
}

//! Where latent vectors come from that no image was encoded to: the unit normal distribution, carried onto where the
//! encoder puts images.
//!
//! The posteriors of all images together, the aggregated posterior, are never quite the unit normal distribution that
//! their KL divergence pulls each of them to, and a decoder has learnt nothing of the places between. So a mixture of
//! normal distributions is fitted to the posterior means of a trained model ("ex-post density estimation", Ghosh et al.,
//! 2020, "From variational to deterministic autoencoders"), and latent vectors are drawn from that. They still begin as
//! standard normal numbers: a smooth map makes points of the mixture of them.

use crate::config::MOST_COMPONENTS;
use crate::kernels::mixture::{self, Component, Mixture, Transport};
use crate::parallel::map;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::HashMap;

/// What the names of a prior's tensors begin with, in files of weights.
const PREFIX: &str = "prior.";
const DIMENSION: &str = "prior.dimension";
const WEIGHT: &str = "prior.weight";
const MEAN: &str = "prior.mean";
const CHOLESKY: &str = "prior.cholesky";

/// The most latent dimensions that a mixture spans: those in which means differ most. In the others, of which a model
/// makes little use, the unit normal distribution serves.
const MOST_DIMENSIONS: usize = 16;
/// A latent dimension is active where the variance over images of its posterior mean is above this (Burda et al., 2016,
/// section 5.2).
pub const ACTIVE: f64 = 0.01;

/// A map of the unit normal distribution onto a mixture of normal distributions.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedPrior {
    /// The dimensions of the latent space that the mixture spans, ascending.
    dimensions: Vec<usize>,
    mixture: Mixture,
    latent_dim: usize,
}

impl FittedPrior {
    /// The prior to draw from, for a model whose encoder gives images these `means`, with as many components as
    /// `count` says, but no more than images; `None` where there is no latent dimension that it uses.
    ///
    /// # Shapes
    ///
    /// - means: (images, latent dimensions), at least one image
    ///
    /// `on_round` is called after each of [`mixture::ROUNDS`] rounds of that.
    pub fn fit(
        means: &Tensor,
        count: usize,
        seed: u64,
        on_round: impl FnMut(usize),
    ) -> Result<Option<Self>> {
        let (images, latent_dim) = means.dims2()?;
        let means = means.flatten_all()?.to_vec1::<f32>()?;
        let dimensions = active_dimensions(&means, latent_dim);
        if dimensions.is_empty() {
            return Ok(None);
        }
        let points = means.chunks_exact(latent_dim);
        let points = points.flat_map(|mean| dimensions.iter().map(|&dimension| mean[dimension]));
        let points: Vec<f32> = points.collect();
        let mut mixture =
            mixture::fit(&points, dimensions.len(), count.min(images), seed, on_round);
        // What is drawn now and what is drawn from the file are the same to the bit.
        for component in &mut mixture.components {
            let weight = std::slice::from_mut(&mut component.weight);
            let values = weight.iter_mut().chain(&mut component.mean);
            for value in values.chain(&mut component.cholesky) {
                *value = f64::from(*value as f32);
            }
        }
        Ok(Some(Self {
            dimensions,
            mixture,
            latent_dim,
        }))
    }

    /// Takes a prior out of a model's tensors, if there is one.
    ///
    /// # Errors
    ///
    /// If there is part of one, or its numbers are those of no mixture.
    pub(super) fn take(
        weights: &mut HashMap<String, Tensor>,
        latent_dim: usize,
    ) -> Result<Option<Self>> {
        if !weights.keys().any(|name| name.starts_with(PREFIX)) {
            return Ok(None);
        }
        let [components, spanned] = [WEIGHT, DIMENSION].map(|name| {
            let tensor = weights.get(name);
            tensor.map_or(0, Tensor::elem_count)
        });
        let mut take = |name: &str, shape: &[usize]| -> Result<Vec<f64>> {
            let tensor = weights.remove(name).filter(|tensor| tensor.dims() == shape);
            let tensor =
                tensor.ok_or_else(|| refused(format!("`{name}` is missing or misshapen")))?;
            let values = tensor.flatten_all()?.to_vec1::<f32>()?;
            match values.iter().all(|value| value.is_finite()) {
                true => Ok(values.into_iter().map(f64::from).collect()),
                false => Err(refused(format!("`{name}` has values that are not finite"))),
            }
        };
        let dimensions = take(DIMENSION, &[spanned])?;
        let shares = take(WEIGHT, &[components])?;
        let means = take(MEAN, &[components, spanned])?;
        let factors = take(CHOLESKY, &[components, spanned, spanned])?;
        let in_order = dimensions.is_sorted_by(|a, b| a < b);
        let is_one = |d: &f64| d.fract() == 0.0 && (0.0..latent_dim as f64).contains(d);
        let in_range = (1..=MOST_DIMENSIONS).contains(&spanned);
        if !in_range || !in_order || !dimensions.iter().all(is_one) {
            return Err(refused(format!("`{DIMENSION}` names no latent dimensions")));
        }
        Ok(Some(Self {
            dimensions: dimensions.into_iter().map(|d| d as usize).collect(),
            mixture: mixture_of(&shares, &means, &factors)?,
            latent_dim,
        }))
    }

    /// Its tensors with their names, for files of weights:
    ///
    /// - `prior.dimension`: (dimensions spanned), which of the latent dimensions those are
    /// - `prior.weight`: (components), the share of each
    /// - `prior.mean`: (components, dimensions spanned)
    /// - `prior.cholesky`: (components, dimensions spanned, dimensions spanned), lower triangular factors of covariances
    pub(super) fn tensors(&self) -> Result<Vec<(String, Tensor)>> {
        let (components, spanned) = (self.mixture.components.len(), self.mixture.dimensions);
        let of_each = |values: &dyn Fn(&Component) -> Vec<f64>| -> Vec<f64> {
            self.mixture.components.iter().flat_map(values).collect()
        };
        let dimensions = self.dimensions.iter().map(|&dimension| dimension as f64);
        let named = [
            (DIMENSION, vec![spanned], dimensions.collect()),
            (WEIGHT, vec![components], of_each(&|c| vec![c.weight])),
            (
                MEAN,
                vec![components, spanned],
                of_each(&|c| c.mean.clone()),
            ),
            (
                CHOLESKY,
                vec![components, spanned, spanned],
                of_each(&|c| c.cholesky.clone()),
            ),
        ];
        let tensors = named.into_iter().map(|(name, shape, values)| {
            let values = values.into_iter().map(|value| value as f32).collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?;
            Ok((name.to_string(), tensor))
        });
        tensors.collect()
    }

    /// Standard normal numbers to a latent vector, by the map onto its mixture.
    fn vector(&self, transport: &Transport, normals: &[f32]) -> Vec<f32> {
        let mut vector = normals.to_vec();
        let spanned = self.dimensions.iter();
        let spanned: Vec<f64> = spanned
            .map(|&dimension| normals[dimension].into())
            .collect();
        for (&dimension, z) in self.dimensions.iter().zip(transport.of(&spanned)) {
            vector[dimension] = z as f32;
        }
        vector
    }
}

/// Standard normal numbers to latent vectors of where they are drawn from: one prior for all, or one a label; `None` is
/// the unit normal distribution.
///
/// # Shapes
///
/// - normals: (vectors, latent dimensions)
/// - labels: (vectors)
/// - output: (vectors, latent dimensions)
pub fn latent(priors: &[Option<FittedPrior>], normals: &[f32], labels: &[u8]) -> Vec<f32> {
    let latent_dim = normals.len() / labels.len().max(1);
    let priors: Vec<_> = priors
        .iter()
        .map(|prior| prior.as_ref().map(|p| (p, Transport::onto(&p.mixture))))
        .collect();
    let vectors = normals.chunks_exact(latent_dim.max(1)).zip(labels);
    let vectors = map(vectors, |(normals, &label)| {
        let prior = match &priors[..] {
            [prior] => prior.as_ref(),
            _ => priors.get(usize::from(label)).and_then(Option::as_ref),
        };
        match prior {
            Some((prior, transport)) => prior.vector(transport, normals),
            None => normals.to_vec(),
        }
    });
    vectors.concat()
}

/// Takes so many priors out of tensors, each with its number before their names; `None` for those that are not there.
///
/// # Errors
///
/// If there is part of one, its numbers are those of no mixture, or there are other tensors.
pub fn take_all(
    mut tensors: HashMap<String, Tensor>,
    count: usize,
    latent_dim: usize,
) -> Result<Vec<Option<FittedPrior>>> {
    let priors = (0..count).map(|number| {
        let own = format!("{number}.");
        let mut of_one = HashMap::new();
        let names: Vec<String> = tensors
            .keys()
            .filter(|name| name.starts_with(&own))
            .cloned()
            .collect();
        for name in names {
            let tensor = tensors.remove(&name);
            of_one.extend(tensor.map(|tensor| (name[own.len()..].to_string(), tensor)));
        }
        FittedPrior::take(&mut of_one, latent_dim)
    });
    let priors = priors.collect::<Result<Vec<_>>>()?;
    match tensors.is_empty() {
        true => Ok(priors),
        false => Err(refused("there are tensors of something else".into())),
    }
}

/// The tensors of several priors, as [`take_all`] takes them.
pub fn all_tensors(priors: &[Option<FittedPrior>]) -> Result<Vec<(String, Tensor)>> {
    let mut all = Vec::new();
    for (number, prior) in priors.iter().enumerate() {
        let tensors = prior
            .as_ref()
            .map_or(Ok(Vec::new()), FittedPrior::tensors)?;
        all.extend(
            tensors
                .into_iter()
                .map(|(name, tensor)| (format!("{number}.{name}"), tensor)),
        );
    }
    Ok(all)
}

/// The mixture of components with these shares, means and Cholesky factors, one after the other.
fn mixture_of(shares: &[f64], means: &[f64], factors: &[f64]) -> Result<Mixture> {
    if !(1..=MOST_COMPONENTS).contains(&shares.len()) {
        return Err(refused(format!("it has {} components", shares.len())));
    }
    let dimensions = means.len() / shares.len();
    let factors = || factors.chunks_exact(dimensions * dimensions);
    let mut diagonals = factors().flat_map(|factor| factor.iter().step_by(dimensions + 1));
    let positive = |value: &f64| *value > 0.0;
    if !shares.iter().all(positive) || !diagonals.all(positive) {
        return Err(refused("it is no mixture of normal distributions".into()));
    }
    let parts = means.chunks_exact(dimensions).zip(factors());
    let components = shares.iter().zip(parts);
    let components = components.map(|(&weight, (mean, cholesky))| Component {
        weight,
        mean: mean.into(),
        cholesky: cholesky.into(),
    });
    Ok(Mixture {
        dimensions,
        components: components.collect(),
    })
}

/// The dimensions in which means vary most, ascending.
fn active_dimensions(means: &[f32], latent_dim: usize) -> Vec<usize> {
    let count = (means.len() / latent_dim) as f64;
    let variance = |dimension: usize| {
        let values = || {
            means
                .iter()
                .skip(dimension)
                .step_by(latent_dim)
                .map(|&v| f64::from(v))
        };
        let mean = values().sum::<f64>() / count;
        values().map(|value| (value - mean).powi(2)).sum::<f64>() / count
    };
    let variances: Vec<f64> = (0..latent_dim).map(variance).collect();
    let mut dimensions: Vec<usize> = (0..latent_dim).filter(|&d| variances[d] > ACTIVE).collect();
    dimensions.sort_by(|&a, &b| variances[b].total_cmp(&variances[a]));
    dimensions.truncate(MOST_DIMENSIONS);
    dimensions.sort_unstable();
    dimensions
}

fn refused(why: String) -> Error {
    Error::input("the prior", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, normal};

    /// Means of 500 images in `latent_dim` dimensions, of which only some vary.
    fn means(latent_dim: usize, varies: impl Fn(usize) -> bool) -> Tensor {
        let mut values = normal(5, Purpose::Prior, 0, 500 * latent_dim);
        for (place, value) in values.iter_mut().enumerate() {
            if !varies(place % latent_dim) {
                *value *= 0.01;
            }
        }
        Tensor::from_vec(values, (500, latent_dim), &Device::Cpu).expect("a tensor")
    }

    #[test]
    fn it_comes_back_from_its_tensors_to_the_bit() {
        let prior = FittedPrior::fit(&means(5, |d| d != 2), 7, 1, |_| ()).expect("a fit");
        let prior = prior.expect("a prior");
        assert_eq!(prior.dimensions, [0, 1, 3, 4]);
        let mut tensors: HashMap<_, _> = prior.tensors().expect("tensors").into_iter().collect();
        let back = FittedPrior::take(&mut tensors, 5).expect("a prior");
        assert_eq!(back.as_ref(), Some(&prior));
        assert!(tensors.is_empty());
    }

    #[test]
    fn dimensions_of_no_use_stay_as_they_are() {
        let prior = FittedPrior::fit(&means(40, |d| d % 20 == 3), 7, 1, |_| ()).expect("a fit");
        let prior = prior.expect("a prior");
        assert_eq!(prior.dimensions, [3, 23]);
        let normals = normal(1, Purpose::Prior, 1, 80);
        let latent = latent(&[Some(prior)], &normals, &[0; 2]);
        for (place, (z, u)) in latent.iter().zip(&normals).enumerate() {
            assert_eq!(z == u, place % 20 != 3, "{place}");
        }
        let none = FittedPrior::fit(&means(4, |_| false), 7, 1, |_| ()).expect("a fit");
        assert_eq!(none, None);
    }

    #[test]
    fn what_is_no_prior_is_refused() {
        let prior = FittedPrior::fit(&means(3, |_| true), 2, 1, |_| ()).expect("a fit");
        let tensors = || -> HashMap<_, _> {
            let tensors = prior.as_ref().expect("a prior").tensors();
            tensors.expect("tensors").into_iter().collect()
        };
        assert!(
            FittedPrior::take(&mut tensors(), 2).is_err(),
            "too many dimensions"
        );
        for name in [DIMENSION, WEIGHT, MEAN, CHOLESKY] {
            let mut without = tensors();
            without.remove(name);
            assert!(FittedPrior::take(&mut without, 3).is_err(), "no {name}");
            let mut infinite = tensors();
            let tensor = (&infinite[name] * f64::INFINITY).expect("a tensor");
            infinite.insert(name.into(), tensor);
            assert!(
                FittedPrior::take(&mut infinite, 3).is_err(),
                "infinite {name}"
            );
        }
        for name in [WEIGHT, CHOLESKY] {
            let mut negative = tensors();
            let tensor = negative[name].neg().expect("a tensor");
            negative.insert(name.into(), tensor);
            assert!(
                FittedPrior::take(&mut negative, 3).is_err(),
                "negative {name}"
            );
        }
    }
}

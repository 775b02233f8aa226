//! What the encoder says of images: a distribution over latent vectors for each.

use super::backend::Backend;
use super::tensor::{values, with_values};
use crate::kernels::gaussian;
use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};

/// A normal distribution over latent vectors for each image, without correlations.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// (images, 2 * latent dimensions): means, then log variances.
    parameters: Tensor,
    latent_dim: usize,
}

impl Posterior {
    /// The posteriors with these means and log variances.
    ///
    /// # Shapes
    ///
    /// - parameters: (images, 2 * latent dimensions); the means of an image, then its log variances
    ///
    /// # Errors
    ///
    /// If there is not one log variance to each mean.
    pub fn new(parameters: Tensor) -> Result<Self> {
        let (_, columns) = parameters.dims2()?;
        if !columns.is_multiple_of(2) {
            candle_core::bail!("a posterior of {columns} means and log variances has one too many");
        }
        Ok(Self {
            parameters: parameters.contiguous()?,
            latent_dim: columns / 2,
        })
    }

    /// What [`Posterior::new`] is given.
    pub fn parameters(&self) -> &Tensor {
        &self.parameters
    }

    /// Those of some of the images, from `first` on.
    pub fn narrow(&self, first: usize, images: usize) -> Result<Self> {
        Self::new(self.parameters.narrow(0, first, images)?)
    }

    /// Each image's `times` times, one after the other.
    pub fn repeat(&self, times: usize) -> Result<Self> {
        let (images, columns) = self.parameters.dims2()?;
        let parameters = self.parameters.unsqueeze(1)?;
        let parameters = parameters.broadcast_as((images, times, columns))?;
        Self::new(parameters.reshape((images * times, columns))?)
    }

    /// (images, latent dimensions)
    pub fn mean(&self) -> Result<Tensor> {
        self.parameters.narrow(1, 0, self.latent_dim)
    }

    /// (images, latent dimensions); the natural logarithm.
    pub fn log_variance(&self) -> Result<Tensor> {
        (self.parameters).narrow(1, self.latent_dim, self.latent_dim)
    }

    /// A sample that gradients pass through: mean + exp(log_variance / 2) * epsilon (Kingma and Welling,
    /// 2014, section 2.4). No gradient is computed for `epsilon`.
    ///
    /// # Shapes
    ///
    /// - epsilon: (images, latent dimensions), standard normal
    /// - output: (images, latent dimensions)
    ///
    /// # Errors
    ///
    /// If `epsilon` has another shape.
    pub fn sample(&self, epsilon: &Tensor, backend: Backend) -> Result<Tensor> {
        let shape = (self.parameters.dim(0)?, self.latent_dim);
        if epsilon.dims2()? != shape {
            candle_core::bail!("epsilon is of shape {:?}, not {shape:?}", epsilon.dims());
        }
        match backend {
            Backend::Fused => {
                let epsilon = epsilon.flatten_all()?.to_vec1()?;
                self.parameters.apply_op1(Sample { epsilon })
            }
            Backend::Candle => self.mean()? + ((self.log_variance()? * 0.5)?.exp()? * epsilon)?,
        }
    }

    /// The Kullback-Leibler divergence from the unit normal prior, for each image, in nats: 1/2 of the sum
    /// over latent dimensions of (mean² + variance - 1 - log variance) (Kingma and Welling, 2014,
    /// appendix B).
    ///
    /// # Shapes
    ///
    /// - output: (images)
    pub fn kl(&self, backend: Backend) -> Result<Tensor> {
        match backend {
            Backend::Fused => self.parameters.apply_op1(Kl),
            Backend::Candle => self.kl_of_dimensions()?.sum(D::Minus1),
        }
    }

    /// The terms of [`Posterior::kl`]: (images, latent dimensions).
    pub fn kl_of_dimensions(&self) -> Result<Tensor> {
        let (mean, log_variance) = (self.mean()?, self.log_variance()?);
        let terms = ((mean.sqr()? + log_variance.exp()?)? - log_variance)?;
        (terms - 1.0)? * 0.5
    }

    /// log p(z) - log q(z | x) of samples z, p being the unit normal prior and q this posterior: what a latent vector
    /// adds to the logarithm of its importance weight.
    ///
    /// # Shapes
    ///
    /// - samples: (images, latent dimensions), from [`Posterior::sample`] with this `epsilon`
    /// - epsilon: (images, latent dimensions)
    /// - output: (images)
    pub fn log_ratio(&self, samples: &Tensor, epsilon: &Tensor) -> Result<Tensor> {
        // The constants of the two densities are the same; in that of q, (z - mean) / deviation is epsilon.
        let squares = ((epsilon.sqr()? - samples.sqr()?)? + self.log_variance()?)?;
        squares.sum(D::Minus1)? * 0.5
    }
}

struct Sample {
    epsilon: Vec<f32>,
}

impl CustomOp1 for Sample {
    fn name(&self) -> &'static str {
        "sample-posterior"
    }

    fn cpu_fwd(&self, parameters: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (images, columns) = layout.shape().dims2()?;
        let mut samples = vec![0.0; self.epsilon.len()];
        let parameters = values(parameters, layout)?;
        gaussian::sample(parameters, columns, &self.epsilon, &mut samples);
        let shape = Shape::from((images, columns / 2));
        Ok((CpuStorage::F32(samples), shape))
    }

    fn bwd(&self, parameters: &Tensor, _: &Tensor, gradients: &Tensor) -> Result<Option<Tensor>> {
        let (_, columns) = parameters.dims2()?;
        let gradients = gradients.flatten_all()?.to_vec1()?;
        gradient(parameters, |parameters, to| {
            gaussian::sample_gradient(parameters, columns, &self.epsilon, &gradients, to);
        })
    }
}

struct Kl;

impl CustomOp1 for Kl {
    fn name(&self) -> &'static str {
        "kl"
    }

    fn cpu_fwd(&self, parameters: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (images, columns) = layout.shape().dims2()?;
        let mut kls = vec![0.0; images];
        gaussian::kl(values(parameters, layout)?, columns, &mut kls);
        Ok((CpuStorage::F32(kls), Shape::from(images)))
    }

    fn bwd(&self, parameters: &Tensor, _: &Tensor, gradients: &Tensor) -> Result<Option<Tensor>> {
        let (_, columns) = parameters.dims2()?;
        let gradients = gradients.to_vec1()?;
        gradient(parameters, |parameters, to| {
            gaussian::kl_gradient(parameters, columns, &gradients, to);
        })
    }
}

/// A gradient of the shape of `parameters`, which `fill` computes from their values.
fn gradient(parameters: &Tensor, fill: impl FnOnce(&[f32], &mut [f32])) -> Result<Option<Tensor>> {
    let mut gradient = vec![0.0; parameters.elem_count()];
    with_values(parameters, |parameters| {
        fill(parameters, &mut gradient);
        Ok(())
    })?;
    Tensor::from_vec(gradient, parameters.shape(), parameters.device()).map(Some)
}

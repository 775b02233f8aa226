//! What the encoder says of images: a distribution over latent vectors for each.

use super::for_each_row;
use super::squared_error::sum;
use super::{Kernels, values, with_values};
use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};

/// As many values take as long as one with an exponential.
const EXPONENTIAL: usize = 8;

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
    pub fn sample(&self, epsilon: &Tensor, kernels: Kernels) -> Result<Tensor> {
        let shape = (self.parameters.dim(0)?, self.latent_dim);
        if epsilon.dims2()? != shape {
            candle_core::bail!("epsilon is of shape {:?}, not {shape:?}", epsilon.dims());
        }
        match kernels {
            Kernels::Fused => {
                let epsilon = epsilon.flatten_all()?.to_vec1()?;
                self.parameters.apply_op1(Sample { epsilon })
            }
            Kernels::Candle => self.mean()? + ((self.log_variance()? * 0.5)?.exp()? * epsilon)?,
        }
    }

    /// The Kullback-Leibler divergence from the unit normal prior, for each image, in nats: 1/2 of the sum
    /// over latent dimensions of (mean² + variance - 1 - log variance) (Kingma and Welling, 2014,
    /// appendix B).
    ///
    /// # Shapes
    ///
    /// - output: (images)
    pub fn kl(&self, kernels: Kernels) -> Result<Tensor> {
        match kernels {
            Kernels::Fused => self.parameters.apply_op1(Kl),
            Kernels::Candle => {
                let (mean, log_variance) = (self.mean()?, self.log_variance()?);
                let terms = ((mean.sqr()? + log_variance.exp()?)? - log_variance)?;
                (terms - 1.0)?.sum(D::Minus1)? * 0.5
            }
        }
    }
}

/// Means and log variances of an image.
fn halves(parameters: &[f32]) -> [&[f32]; 2] {
    let (mean, log_variance) = parameters.split_at(parameters.len() / 2);
    [mean, log_variance]
}

/// A gradient of the shape of `parameters`, from a function of an image, its means and log variances, and the
/// places for their gradients.
fn gradient(
    parameters: &Tensor,
    slopes: impl Fn(usize, [&[f32]; 2], [&mut [f32]; 2]) + Sync,
) -> Result<Tensor> {
    let (_, columns) = parameters.dims2()?;
    let mut gradient = vec![0.0; parameters.elem_count()];
    with_values(parameters, |parameters| {
        let values = columns * EXPONENTIAL;
        for_each_row(&mut gradient, columns, values, |image, to| {
            let of = halves(&parameters[image * columns..][..columns]);
            slopes(image, of, to.split_at_mut(columns / 2).into());
        });
        Ok(())
    })?;
    Tensor::from_vec(gradient, parameters.shape(), parameters.device())
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
        let latent_dim = columns / 2;
        let parameters = values(parameters, layout)?;
        let mut samples = vec![0.0; images * latent_dim];
        let values = columns * EXPONENTIAL;
        for_each_row(&mut samples, latent_dim, values, |image, samples| {
            let [means, log_variances] = halves(&parameters[image * columns..][..columns]);
            let epsilons = &self.epsilon[image * latent_dim..];
            let normals = means.iter().zip(log_variances).zip(epsilons);
            for (sample, ((mean, l), epsilon)) in samples.iter_mut().zip(normals) {
                *sample = mean + (0.5 * l).exp() * epsilon;
            }
        });
        let shape = Shape::from((images, latent_dim));
        Ok((CpuStorage::F32(samples), shape))
    }

    fn bwd(&self, parameters: &Tensor, _: &Tensor, gradients: &Tensor) -> Result<Option<Tensor>> {
        let gradients = gradients.contiguous()?;
        let slopes = with_values(&gradients, |gradients| {
            gradient(parameters, |image, [_, log_variances], [mean, to]| {
                let row = image * mean.len()..(image + 1) * mean.len();
                mean.copy_from_slice(&gradients[row.clone()]);
                let normals = log_variances.iter().zip(&gradients[row.clone()]);
                let normals = normals.zip(&self.epsilon[row]);
                for (to, ((l, g), epsilon)) in to.iter_mut().zip(normals) {
                    *to = 0.5 * (0.5 * l).exp() * epsilon * g;
                }
            })
        });
        slopes.map(Some)
    }
}

struct Kl;

impl CustomOp1 for Kl {
    fn name(&self) -> &'static str {
        "kl"
    }

    fn cpu_fwd(&self, parameters: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (images, columns) = layout.shape().dims2()?;
        let parameters = values(parameters, layout)?;
        let mut kls = vec![0.0; images];
        for_each_row(&mut kls, 1, columns * EXPONENTIAL, |image, kl| {
            let of = halves(&parameters[image * columns..][..columns]);
            kl[0] = sum(of, |mean, log_variance| {
                // exp_m1 keeps its precision where the posterior is close to the prior.
                0.5 * (mean * mean + log_variance.exp_m1() - log_variance)
            });
        });
        Ok((CpuStorage::F32(kls), Shape::from(images)))
    }

    fn bwd(&self, parameters: &Tensor, _: &Tensor, gradients: &Tensor) -> Result<Option<Tensor>> {
        let gradients = gradients.to_vec1::<f32>()?;
        let slopes = gradient(parameters, |image, [means, log_variances], [mean, to]| {
            for (to, m) in mean.iter_mut().zip(means) {
                *to = m * gradients[image];
            }
            for (to, l) in to.iter_mut().zip(log_variances) {
                *to = 0.5 * l.exp_m1() * gradients[image];
            }
        });
        slopes.map(Some)
    }
}

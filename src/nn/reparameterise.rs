//! Samples of the posterior that gradients pass through.

use super::{Kernels, values, with_values};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// mean + exp(log_variance / 2) * epsilon (Kingma and Welling, 2014, section 2.4).
///
/// # Shapes
///
/// - all four: (images, latent dimensions)
///
/// No gradient is computed for `epsilon`.
pub fn reparameterise(
    mean: &Tensor,
    log_variance: &Tensor,
    epsilon: &Tensor,
    kernels: Kernels,
) -> Result<Tensor> {
    match kernels {
        Kernels::Fused => {
            let epsilon = epsilon.flatten_all()?.to_vec1()?;
            mean.contiguous()?
                .apply_op2(&log_variance.contiguous()?, Reparameterise { epsilon })
        }
        Kernels::Candle => mean + ((log_variance * 0.5)?.exp()? * epsilon)?,
    }
}

struct Reparameterise {
    epsilon: Vec<f32>,
}

impl CustomOp2 for Reparameterise {
    fn name(&self) -> &'static str {
        "reparameterise"
    }

    fn cpu_fwd(
        &self,
        mean: &CpuStorage,
        mean_layout: &Layout,
        log_variance: &CpuStorage,
        log_variance_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let means = values(mean, mean_layout)?.iter();
        let log_variances = values(log_variance, log_variance_layout)?.iter();
        let samples = means.zip(log_variances).zip(&self.epsilon);
        let samples = samples.map(|((mean, l), epsilon)| mean + (0.5 * l).exp() * epsilon);
        Ok((
            CpuStorage::F32(samples.collect()),
            mean_layout.shape().clone(),
        ))
    }

    fn bwd(
        &self,
        _mean: &Tensor,
        log_variance: &Tensor,
        _samples: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let slopes: Vec<f32> = with_values(log_variance, |log_variances| {
            with_values(&gradient, |gradients| {
                let places = log_variances.iter().zip(gradients).zip(&self.epsilon);
                let slope = |((l, g), e): ((&f32, &f32), &f32)| 0.5 * (0.5 * l).exp() * e * g;
                Ok(places.map(slope).collect())
            })
        })?;
        let slopes = Tensor::from_vec(slopes, gradient.shape(), gradient.device())?;
        Ok((Some(gradient), Some(slopes)))
    }
}

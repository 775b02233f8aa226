//! The two terms of the loss, one number an image each.

use super::{Kernels, values, with_values};
use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Pairs of values that are not worth a thread.
const FEW: usize = 64 * 1024;

/// The sum over pixels of (reconstruction - image)², for each image.
///
/// # Shapes
///
/// - reconstructions, images: (images, pixels)
/// - output: (images)
///
/// No gradient is computed for `images`.
pub fn squared_error(
    reconstructions: &Tensor,
    images: &Tensor,
    kernels: Kernels,
) -> Result<Tensor> {
    if kernels == Kernels::Fused {
        reconstructions
            .contiguous()?
            .apply_op2(&images.contiguous()?, SquaredError)
    } else {
        (reconstructions - images)?.sqr()?.sum(D::Minus1)
    }
}

/// The Kullback-Leibler divergence from the unit normal prior to the posterior, for each image, in
/// nats: 1/2 of the sum over latent dimensions of (mean² + variance - 1 - log variance) (Kingma and
/// Welling, 2014, appendix B).
///
/// # Shapes
///
/// - mean, log_variance: (images, latent dimensions)
/// - output: (images)
pub fn kl(mean: &Tensor, log_variance: &Tensor, kernels: Kernels) -> Result<Tensor> {
    if kernels == Kernels::Fused {
        mean.contiguous()?
            .apply_op2(&log_variance.contiguous()?, Kl)
    } else {
        let terms = ((mean.sqr()? + log_variance.exp()?)? - log_variance)?;
        (terms - 1.0)?.sum(D::Minus1)? * 0.5
    }
}

/// Sums `term` over each pair of rows, in double precision.
fn sum_rows(
    (left, left_layout): (&CpuStorage, &Layout),
    (right, right_layout): (&CpuStorage, &Layout),
    term: impl Fn(f64, f64) -> f64 + Sync,
) -> Result<(CpuStorage, Shape)> {
    /// Sums that are kept side by side, for the processor to add them at once.
    const SUMS: usize = 8;
    let (images, columns) = left_layout.shape().dims2()?;
    let left = values(left, left_layout)?.par_chunks_exact(columns);
    let right = values(right, right_layout)?.par_chunks_exact(columns);
    let rows = left.zip(right).with_min_len(FEW / columns);
    let sums = rows.map(|(left, right)| {
        let mut sums = [0.0; SUMS];
        for (left, right) in left.chunks(SUMS).zip(right.chunks(SUMS)) {
            for ((sum, &l), &r) in sums.iter_mut().zip(left).zip(right) {
                *sum += term(f64::from(l), f64::from(r));
            }
        }
        sums.iter().sum::<f64>() as f32
    });
    Ok((CpuStorage::F32(sums.collect()), Shape::from(images)))
}

/// Fills a gradient of the shape of `left`: each value a function of the pair of values at its place
/// and the gradient of its row's sum.
fn row_gradient(
    left: &Tensor,
    right: &Tensor,
    gradient: &Tensor,
    slope: impl Fn(f32, f32) -> f32 + Sync,
) -> Result<Tensor> {
    let (_, columns) = left.dims2()?;
    let gradient = gradient.to_vec1::<f32>()?;
    let mut slopes = vec![0.0; left.elem_count()];
    with_values(left, |left| {
        with_values(right, |right| {
            let rows = left
                .par_chunks_exact(columns)
                .zip(right.par_chunks_exact(columns));
            slopes
                .par_chunks_exact_mut(columns)
                .zip(rows)
                .zip(&gradient)
                .with_min_len(FEW / columns)
                .for_each(|((slopes, (left, right)), gradient)| {
                    for (to, (&l, &r)) in slopes.iter_mut().zip(left.iter().zip(right)) {
                        *to = slope(l, r) * gradient;
                    }
                });
            Ok(())
        })
    })?;
    Tensor::from_vec(slopes, left.shape(), left.device())
}

struct SquaredError;

impl CustomOp2 for SquaredError {
    fn name(&self) -> &'static str {
        "squared-error"
    }

    fn cpu_fwd(
        &self,
        reconstructions: &CpuStorage,
        reconstructions_layout: &Layout,
        images: &CpuStorage,
        images_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        sum_rows(
            (reconstructions, reconstructions_layout),
            (images, images_layout),
            |y, x| (x - y) * (x - y),
        )
    }

    fn bwd(
        &self,
        reconstructions: &Tensor,
        images: &Tensor,
        _sums: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = row_gradient(reconstructions, images, gradient, |y, x| 2.0 * (y - x))?;
        Ok((Some(gradient), None))
    }
}

struct Kl;

impl CustomOp2 for Kl {
    fn name(&self) -> &'static str {
        "kl"
    }

    fn cpu_fwd(
        &self,
        mean: &CpuStorage,
        mean_layout: &Layout,
        log_variance: &CpuStorage,
        log_variance_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        sum_rows(
            (mean, mean_layout),
            (log_variance, log_variance_layout),
            |mean, log_variance| {
                // exp_m1 keeps its precision where the posterior is close to the prior.
                0.5 * (mean * mean + log_variance.exp_m1() - log_variance)
            },
        )
    }

    fn bwd(
        &self,
        mean: &Tensor,
        log_variance: &Tensor,
        _sums: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((
            Some(row_gradient(mean, log_variance, gradient, |mean, _| mean)?),
            Some(row_gradient(mean, log_variance, gradient, |_, l| {
                0.5 * l.exp_m1()
            })?),
        ))
    }
}

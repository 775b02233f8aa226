//! How unlikely images are where each pixel is white with a probability, which is given by its logit.

use super::elementwise::for_each_row;
use super::exponential::{exp, ln_1p};
use super::vectorized::vectorized;
use pulp::Simd;

/// As many values take as long as one with its exponential.
const EXPONENTIAL: usize = 4;
/// Sums that are kept side by side, for the processor to add them at once.
const SUMS: usize = 16;

/// For each image -log p(image), summed over pixels, where p is white with the probability y = 1 / (1 + exp(-logit));
/// and the sum of (y - image)². Both in double precision.
///
/// # Shapes
///
/// - logits, images: (images, pixels); images from 0 to 1
/// - output: (images, 2)
pub fn cross_entropy(logits: &[f32], images: &[f32], pixels: usize) -> Vec<f32> {
    let mut errors = vec![0.0; 2 * (logits.len() / pixels)];
    for_each_row(&mut errors, 2, pixels * EXPONENTIAL, |image, errors| {
        let row = image * pixels..(image + 1) * pixels;
        sums(&logits[row.clone()], &images[row], errors);
    });
    errors
}

/// The gradient of the logits, from `gradient`, that of both errors.
///
/// # Shapes
///
/// - logits, images, to: (images, pixels)
/// - gradient: (images, 2)
pub fn cross_entropy_gradient(logits: &[f32], images: &[f32], gradient: &[f32], to: &mut [f32]) {
    let pixels = to.len() / (gradient.len() / 2);
    for_each_row(to, pixels, pixels * EXPONENTIAL, |image, to| {
        let row = image * pixels..(image + 1) * pixels;
        let gradient = &gradient[2 * image..];
        slopes(&logits[row.clone()], &images[row], gradient, to);
    });
}

/// The probability that a logit stands for, and exp(-|logit|).
#[inline(always)]
fn probability<S: Simd>(logit: f32) -> (f32, f32) {
    let e = exp::<S>(-logit.abs());
    let numerator = if logit >= 0.0 { 1.0 } else { e };
    (numerator / (1.0 + e), e)
}

vectorized! {
    fn sums<S: Simd>(logits: &[f32], images: &[f32], errors: &mut [f32]) {
        let mut entropies = [0.0; SUMS];
        let mut squares = [0.0; SUMS];
        for (logits, images) in logits.chunks(SUMS).zip(images.chunks(SUMS)) {
            let pairs = logits.iter().zip(images);
            for ((entropy, square), (&l, &x)) in entropies.iter_mut().zip(&mut squares).zip(pairs) {
                let (y, e) = probability::<S>(l);
                // Without ever the logarithm of a probability that was rounded to 0.
                *entropy += f64::from(l.max(0.0) - l * x + ln_1p(e));
                *square += f64::from((y - x) * (y - x));
            }
        }
        errors[0] = entropies.iter().sum::<f64>() as f32;
        errors[1] = squares.iter().sum::<f64>() as f32;
    }
}

vectorized! {
    fn slopes<S: Simd>(logits: &[f32], images: &[f32], gradient: &[f32], to: &mut [f32]) {
        let (entropy, square) = (gradient[0], 2.0 * gradient[1]);
        for (to, (&l, &x)) in to.iter_mut().zip(logits.iter().zip(images)) {
            let (y, _) = probability::<S>(l);
            *to = (y - x) * (entropy + square * y * (1.0 - y));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_finite_and_exact_for_any_logit() {
        for logit in [
            -1e30f32, -200.0, -88.5, -3.0, -0.1, 0.0, 0.7, 20.0, 150.0, 1e30,
        ] {
            for image in [0.0f32, 0.25, 1.0] {
                let (l, x) = (f64::from(logit), f64::from(image));
                let y = 1.0 / (1.0 + (-l).exp());
                let expected = [
                    l.max(0.0) - l * x + (-l.abs()).exp().ln_1p(),
                    (y - x).powi(2),
                ];
                let found = cross_entropy(&[logit; 5], &[image; 5], 5);
                for (found, expected) in found.iter().zip(expected.map(|value| 5.0 * value)) {
                    let found = f64::from(*found);
                    assert!(
                        (found - expected).abs() <= 1e-6 * expected.max(1.0),
                        "{logit} {image}"
                    );
                }
            }
        }
    }
}

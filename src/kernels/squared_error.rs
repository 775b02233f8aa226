//! How far reconstructions are from their images.

use super::elementwise::for_each_row;

/// The sum over pixels of (reconstruction - image)², for each image, in double precision.
///
/// # Shapes
///
/// - reconstructions, images: (images, pixels)
/// - output: (images)
pub fn squared_error(reconstructions: &[f32], images: &[f32], pixels: usize) -> Vec<f32> {
    let mut errors = vec![0.0; reconstructions.len() / pixels];
    for_each_row(&mut errors, 1, pixels, |image, error| {
        let pair = [reconstructions, images].map(|values| &values[image * pixels..][..pixels]);
        error[0] = sum(pair, |y, x| (x - y) * (x - y));
    });
    errors
}

/// The gradient of the reconstructions, from `gradient`, that of their errors.
///
/// # Shapes
///
/// - reconstructions, images, to: (images, pixels)
/// - gradient: (images)
pub fn squared_error_gradient(
    reconstructions: &[f32],
    images: &[f32],
    gradient: &[f32],
    to: &mut [f32],
) {
    let pixels = to.len() / gradient.len();
    for_each_row(to, pixels, pixels, |image, to| {
        let row = image * pixels..(image + 1) * pixels;
        let pairs = reconstructions[row.clone()].iter().zip(&images[row]);
        for (to, (y, x)) in to.iter_mut().zip(pairs) {
            *to = 2.0 * (y - x) * gradient[image];
        }
    });
}

/// The sum of `term` over pairs of values, in double precision.
pub fn sum([left, right]: [&[f32]; 2], term: impl Fn(f64, f64) -> f64) -> f32 {
    /// Sums that are kept side by side, for the processor to add them at once.
    const SUMS: usize = 8;
    let mut sums = [0.0; SUMS];
    for (left, right) in left.chunks(SUMS).zip(right.chunks(SUMS)) {
        for ((sum, &l), &r) in sums.iter_mut().zip(left).zip(right) {
            *sum += term(f64::from(l), f64::from(r));
        }
    }
    sums.iter().sum::<f64>() as f32
}

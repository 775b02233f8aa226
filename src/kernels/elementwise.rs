//! Loops over values and rows where each is handled by itself, and sums in a fixed order.

use super::vectorized::vectorized;
use crate::parallel::for_each;

/// Values that a thread handles at a time where each is handled by itself.
pub const BLOCK: usize = 8 * 1024;

/// Calls `work` with each row of `to` and its number, on all threads. A row is the work of `values` values.
pub fn for_each_row(
    to: &mut [f32],
    columns: usize,
    values: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    let rows = (BLOCK / values).max(1);
    for_each(to.chunks_mut(rows * columns).enumerate(), |(block, to)| {
        for (row, to) in to.chunks_exact_mut(columns).enumerate() {
            work(block * rows + row, to);
        }
    });
}

/// Adds `from` to `to`, value by value.
#[inline(always)]
pub fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

/// The sum of `parts`, added first to last, into `sum`.
pub fn sum_in_order(parts: &[Vec<f32>], sum: &mut [f32]) {
    for_each(sum.chunks_mut(BLOCK).enumerate(), |(block, sum)| {
        sum.fill(0.0);
        for part in parts {
            add_vectorized(sum, &part[block * BLOCK..]);
        }
    });
}

vectorized! {
    /// [`add`], where it is not part of a vectorized function already.
    pub fn add_vectorized(to: &mut [f32], from: &[f32]) {
        add(to, from);
    }
}

vectorized! {
    /// Pixels of a byte each as values from 0 to 1.
    pub fn from_pixels(to: &mut [f32], pixels: &[u8]) {
        for (to, &pixel) in to.iter_mut().zip(pixels) {
            *to = f32::from(pixel) / 255.0;
        }
    }
}

/// Whether all of `values` are finite.
pub fn all_finite(values: &[f32]) -> bool {
    // Without an early end within a block, for the compiler to make vectors of it.
    let finite = |block: &[f32]| block.iter().fold(true, |all, v| all & v.is_finite());
    values.chunks(BLOCK).all(finite)
}

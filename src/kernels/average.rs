//! Moving averages of weights.

use super::elementwise::BLOCK;
use super::vectorized::vectorized;
use crate::parallel::for_each;

/// Moves an average towards `values`, by the part `1 - decay` of its distance, on all threads.
pub fn move_average(average: &mut [f32], values: &[f32], decay: f32) {
    let blocks = average.chunks_mut(BLOCK).zip(values.chunks(BLOCK));
    for_each(blocks, |(average, values)| {
        move_block(average, values, 1.0 - decay);
    });
}

vectorized! {
    fn move_block(average: &mut [f32], values: &[f32], part: f32) {
        for (average, value) in average.iter_mut().zip(values) {
            *average += part * (value - *average);
        }
    }
}

//! Memory that is used again from step to step.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More buffers than this are not kept: those of other batch sizes go when new ones come.
const KEPT: usize = 64;

/// Buffers that are waiting to be used again.
///
/// A fresh allocation of megabytes costs the kernel's zeroing of each page, at every step anew; that is
/// more than many a layer's arithmetic.
#[derive(Debug, Default)]
pub struct Buffers(Mutex<VecDeque<Vec<f32>>>);

impl Buffers {
    /// A buffer of `len` values, which are left over from its last use.
    pub fn take(&self, len: usize) -> Vec<f32> {
        let mut kept = self.lock();
        // The one given last is the likeliest to be in cache.
        let place = kept.iter().rposition(|buffer| buffer.len() == len);
        place
            .and_then(|place| kept.remove(place))
            .unwrap_or_else(|| vec![0.0; len])
    }

    /// Gives a buffer back.
    pub fn give(&self, buffer: Vec<f32>) {
        let mut kept = self.lock();
        kept.push_back(buffer);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<f32>>> {
        // What a panic may have left behind is memory without meaning, as all of it is.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

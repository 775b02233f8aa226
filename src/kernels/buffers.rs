//! Memory that is used again from step to step.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// More buffers than this are not kept: those of other batch sizes go when new ones come.
const KEPT: usize = 64;

/// Buffers that are waiting to be used again.
///
/// A fresh allocation of megabytes costs the system's zeroing of each page, at every step anew; that is
/// more than many a layer's arithmetic.
#[derive(Debug, Clone, Default)]
pub struct Buffers(Arc<Mutex<VecDeque<Vec<f32>>>>);

impl Buffers {
    /// A buffer of `len` values, which are left over from its last use.
    pub fn take(&self, len: usize) -> Buffer {
        let mut kept = self.lock();
        // The one given last is the likeliest to be in cache.
        let place = kept.iter().rposition(|buffer| buffer.len() == len);
        let values = place
            .and_then(|place| kept.remove(place))
            .unwrap_or_else(|| vec![0.0; len]);
        Buffer {
            values,
            home: self.clone(),
        }
    }

    fn give(&self, buffer: Vec<f32>) {
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

/// Values that go back to their [`Buffers`] when they are dropped.
#[derive(Debug)]
pub struct Buffer {
    values: Vec<f32>,
    home: Buffers,
}

impl Buffer {
    /// The values, not to go back.
    pub fn into_vec(mut self) -> Vec<f32> {
        std::mem::take(&mut self.values)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.values.is_empty() {
            self.home.give(std::mem::take(&mut self.values));
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

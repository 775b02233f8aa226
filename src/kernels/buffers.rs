//! Memory that is used again from step to step.

use memmap2::MmapMut;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// More buffers than this are not kept: those of other batch sizes go when new ones come.
const KEPT: usize = 128;

/// A buffer of so many values has pages of its own: it fills a large one, of x86-64 and of most others.
const LARGE: usize = (2 << 20) / size_of::<f32>();

/// Buffers that are waiting to be used again.
///
/// A fresh allocation of megabytes costs the system's zeroing of each page, at every step anew; that is
/// more than many a layer's arithmetic.
#[derive(Debug, Clone, Default)]
pub struct Buffers(Arc<Mutex<VecDeque<Kept>>>);

/// A buffer that waits, with the thread of the pool that gave it.
type Kept = (Option<usize>, Values);

impl Buffers {
    /// A buffer of `len` values, which are left over from its last use.
    pub fn take(&self, len: usize) -> Buffer {
        let mut kept = self.lock();
        // The one given last is the likeliest to be in cache: in this thread's, if it gave it.
        let thread = rayon::current_thread_index();
        let fits = |(_, values): &Kept| values.len() == len;
        let place = kept
            .iter()
            .rposition(|buffer| buffer.0 == thread && fits(buffer))
            .or_else(|| kept.iter().rposition(fits));
        let values = place
            .and_then(|place| kept.remove(place))
            .map_or_else(|| Values::new(len), |(_, values)| values);
        Buffer {
            values,
            home: self.clone(),
        }
    }

    fn give(&self, buffer: Values) {
        let mut kept = self.lock();
        kept.push_back((rayon::current_thread_index(), buffer));
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        // What a panic may have left behind is memory without meaning, as all of it is.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory for values.
#[derive(Debug)]
enum Values {
    Heap(Vec<f32>),
    /// Pages of its own, large ones where the system has some: the transform of a tile writes to more small ones than a
    /// processor finds quickly.
    Pages(MmapMut),
}

impl Values {
    /// So many values, all 0.
    fn new(len: usize) -> Self {
        if len >= LARGE
            && let Ok(map) = MmapMut::map_anon(len * size_of::<f32>())
        {
            // A wish: without it the values are the same.
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage);
            return Self::Pages(map);
        }
        Self::Heap(vec![0.0; len])
    }
}

impl Default for Values {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Heap(values) => values,
            Self::Pages(bytes) => bytemuck::cast_slice(bytes),
        }
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Heap(values) => values,
            Self::Pages(bytes) => bytemuck::cast_slice_mut(bytes),
        }
    }
}

/// Values that go back to their [`Buffers`] when they are dropped.
#[derive(Debug)]
pub struct Buffer {
    values: Values,
    home: Buffers,
}

impl Buffer {
    /// The values, not to go back. Of those that have pages of their own a copy, and the pages go back.
    pub fn into_vec(mut self) -> Vec<f32> {
        match &mut self.values {
            Values::Heap(values) => std::mem::take(values),
            Values::Pages(_) => self.values.to_vec(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_with_pages_of_their_own_or_without() {
        for len in [7, LARGE + 7] {
            let buffers = Buffers::default();
            let mut buffer = buffers.take(len);
            assert_eq!(*buffer, vec![0.0; len]);
            buffer[len - 1] = 3.0;
            drop(buffer);
            assert_eq!(buffers.take(len - 1).len(), len - 1);
            let again = buffers.take(len);
            assert_eq!(again[len - 1], 3.0);
            assert_eq!(again.into_vec()[len - 2..], [0.0, 3.0]);
        }
    }
}

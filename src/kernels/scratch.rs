//! Memory that a thread keeps for what it computes in passing.

use std::cell::RefCell;

/// Calls `work` with `len` values of this thread's own that are left over from earlier calls.
///
/// # Panics
///
/// If `work` asks for scratch itself.
pub fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < len {
            scratch.resize(len, 0.0);
        }
        work(&mut scratch[..len])
    })
}

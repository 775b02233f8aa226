//! Work that may never end, or panic: what libraries do with files that they do not expect.

use std::panic;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// What a thread tells the one that waits for it.
enum Signal<T> {
    Progress { arrived: u64, size: u64 },
    Done(T),
}

/// The thread's end of the line.
pub struct Pulse<T>(Sender<Signal<T>>);

impl<T> Pulse<T> {
    /// Says that so much has arrived, of so much.
    pub fn beat(&self, arrived: u64, size: u64) {
        // If nobody waits any longer, there is nobody to tell.
        let _ = self.0.send(Signal::Progress { arrived, size });
    }
}

/// Runs `work` on a thread of its own and waits until it is done or silent for `limit` seconds.
///
/// This turns what the libraries may do to us into errors: `Timeout` if they wait or loop for
/// ever, `Disconnected` if they panic. A thread that went silent cannot be stopped: it is left
/// behind.
///
/// # Errors
///
/// Those.
pub fn patiently<T: Send + 'static>(
    limit: u64,
    work: impl FnOnce(Pulse<T>) -> T + Send + 'static,
    mut progress: impl FnMut(u64, u64),
) -> Result<T, RecvTimeoutError> {
    let (sender, receiver) = mpsc::channel();
    // If there is no thread, the sender is dropped with `work`: `Disconnected` says so below.
    let _ = thread::Builder::new().spawn(move || {
        let result = work(Pulse(sender.clone()));
        let _ = sender.send(Signal::Done(result));
    });
    loop {
        match receiver.recv_timeout(Duration::from_secs(limit))? {
            Signal::Progress { arrived, size } => progress(arrived, size),
            Signal::Done(result) => return Ok(result),
        }
    }
}

/// Runs `work`, in which panics say nothing: they are caught with the thread that they happen in.
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let result = work();
    panic::set_hook(hook);
    result
}

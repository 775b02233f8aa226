//! Signals that end a training early.

use crate::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit codes of a run that a signal ended.
const INTERRUPTED: u8 = 128 + SIGINT as u8;
const TERMINATED: u8 = 128 + SIGTERM as u8;

/// The signals that end a run early: what was done is saved first.
pub(super) struct Interrupts {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl Interrupts {
    pub(super) fn listen() -> Result<Self> {
        let listen = || -> std::io::Result<Self> {
            let interrupts = Self {
                interrupt: Arc::default(),
                terminate: Arc::default(),
            };
            let any = Arc::new(AtomicBool::new(false));
            let signals = [
                (SIGINT, INTERRUPTED, &interrupts.interrupt),
                (SIGTERM, TERMINATED, &interrupts.terminate),
            ];
            for (signal, code, raised) in signals {
                // In this order the second signal, not the first, leaves at once.
                flag::register_conditional_shutdown(signal, code.into(), any.clone())?;
                flag::register(signal, any.clone())?;
                flag::register(signal, raised.clone())?;
            }
            Ok(interrupts)
        };
        listen().map_err(|error| Error::failed("signal handler", error))
    }

    /// The exit code of the signal that was raised, if one was.
    pub(super) fn raised(&self) -> Option<u8> {
        if self.interrupt.load(Ordering::Relaxed) {
            Some(INTERRUPTED)
        } else if self.terminate.load(Ordering::Relaxed) {
            Some(TERMINATED)
        } else {
            None
        }
    }
}

//! Signals that end a training early.

use crate::{Error, Result};
#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::emulate_default_handler;
use std::ffi::c_int;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What a process that a signal ends gives its shell, less the signal's number.
const ENDED_BY: u8 = 128;

/// The signals that end a training: what was done is saved first.
pub(super) struct Interrupts {
    /// The last one that was raised, or 0.
    raised: Arc<AtomicUsize>,
}

impl Interrupts {
    /// From now on a first signal is only noted. A second one ends the process at once, unless it is the
    /// hang-up of a terminal: a closed one may send it twice, itself and through its shell, and neither is
    /// somebody who lost patience.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub(super) fn listen() -> Result<Self> {
        let raised = Arc::default();
        register(&raised).map_err(|error| Error::failed("signal handler", error))?;
        Ok(Self { raised })
    }

    /// Whether there was a signal.
    pub(super) fn raised(&self) -> bool {
        self.signal() != 0
    }

    /// Ends the process by the signal that was raised, so that a shell which runs it in a loop ends the loop; the
    /// exit code for the one process that no signal ends, the first of a container.
    pub(super) fn end_by_signal(&self) -> ExitCode {
        let signal = self.signal();
        if std::process::id() != 1 {
            // It returns if it does not know the signal.
            let _ = emulate_default_handler(signal);
        }
        ExitCode::from(ENDED_BY + signal as u8)
    }

    fn signal(&self) -> c_int {
        self.raised.load(Ordering::Relaxed) as c_int
    }
}

fn register(raised: &Arc<AtomicUsize>) -> std::io::Result<()> {
    let note = |signal| flag::register_usize(signal, raised.clone(), signal as usize);
    let impatient = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        if is_ignored(signal) != Some(true) {
            // In this order the second signal, not the first, ends the process.
            flag::register_conditional_default(signal, impatient.clone())?;
            flag::register(signal, impatient.clone())?;
            note(signal)?;
        }
    }
    // Where it cannot be told, this may be a process that is to outlive its terminal.
    #[cfg(unix)]
    if is_ignored(SIGHUP) == Some(false) {
        note(SIGHUP)?;
    }
    Ok(())
}

/// Whether who started this process had it ignore a signal, as `nohup` does with hang-ups; `None` where the system
/// does not tell.
pub(super) fn is_ignored(signal: c_int) -> Option<bool> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask >> (signal - 1) & 1 == 1)
}

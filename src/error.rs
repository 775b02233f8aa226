//! The one error type: what was being done, why it failed, and what to do about it.

use std::fmt;

/// What an operation of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Whose doing an error is; it decides the exit code of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Wrong usage or bad input: a file, a number or a flag that cannot be used. Exit code 2.
    Input,
    /// Anything else: the disk, the network, a loss that diverged. Exit code 1.
    Failed,
}

/// A failure, as a person reads it: `what: why`, and a hint where one helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Whose doing it is.
    pub kind: ErrorKind,
    /// The thing at hand: a path, a flag, a step.
    pub what: String,
    /// What was expected and what was found.
    pub why: String,
    /// What to do about it, if there is something.
    pub hint: Option<String>,
}

impl Error {
    /// Bad input or wrong usage: `what` cannot be used because of `why`.
    pub fn input(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Input, what, why)
    }

    /// A failure of something other than the input: `what` did not work because of `why`.
    pub fn failed(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Failed, what, why)
    }

    fn new(kind: ErrorKind, what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self {
            kind,
            what: what.to_string(),
            why: why.to_string(),
            hint: None,
        }
    }

    /// The same error with advice on what to do.
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for Error {}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        // What may follow the first line is a backtrace.
        let text = error.to_string();
        Self::failed(
            "tensor computation",
            text.lines().next().unwrap_or_default(),
        )
    }
}

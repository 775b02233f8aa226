//! The lock by which no two trainings have one directory.

use super::names::LOCK;
use crate::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

/// Takes the lock of a directory, if there is one.
pub(super) fn lock_there(path: &Path) -> Result<Option<File>> {
    match OpenOptions::new().write(true).open(path.join(LOCK)) {
        Ok(file) => take_lock(path, file).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot_lock(path, &error)),
    }
}

/// Takes the lock of a directory that had none. Each training makes one before it writes anything, so
/// what was read before is as it was.
pub(super) fn new_lock(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path.join(LOCK));
    match file {
        Ok(file) => take_lock(path, file),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(in_use(path)),
        Err(error) => Err(cannot_lock(path, &error)),
    }
}

fn take_lock(path: &Path, file: File) -> Result<File> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(in_use(path)),
        // Some network file systems know no locks.
        Err(TryLockError::Error(error)) if error.kind() != ErrorKind::Unsupported => {
            Err(cannot_lock(path, &error))
        }
        _ => Ok(file),
    }
}

fn in_use(path: &Path) -> Error {
    Error::input(path.display(), "another training is writing into it")
        .hint("wait for it, or stop it")
}

fn cannot_lock(path: &Path, error: &std::io::Error) -> Error {
    let name = path.join(LOCK);
    Error::failed(name.display(), format!("cannot be locked: {error}"))
}

//! Reading files without trusting their size, and writing them whole or not at all.

use crate::{Error, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// The content of a file of at most `limit` bytes.
///
/// # Errors
///
/// If it cannot be read, or is larger.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let unreadable = |error| Error::input(path.display(), format!("cannot be read: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    let too_large = || {
        let limit = limit / 1024;
        Error::input(path.display(), format!("is larger than {limit} KiB"))
    };
    let len = file.metadata().map_err(unreadable)?.len();
    if len > limit {
        return Err(too_large());
    }
    // A pipe or a device has no length, so what arrives is bounded too.
    let mut content = Vec::with_capacity(len as usize);
    file.take(limit + 1)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    if content.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(content)
}

/// The text of a file of at most `limit` bytes.
///
/// # Errors
///
/// If it cannot be read, is larger, or is no UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String> {
    String::from_utf8(read(path, limit)?)
        .map_err(|_| Error::input(path.display(), "is not a text file"))
}

/// Writes a file so that it holds either its old content or all of the new one, whatever happens
/// meanwhile: into a temporary file beside it, flushed to disk, then renamed.
///
/// # Errors
///
/// If the folder cannot be written, or the disk is full; the old content is then untouched.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let write = || -> std::io::Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".").suffix(".partial");
        // The temporary file's own default is for secrets; results are as readable as any new file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        sync_folder(folder)
    };
    write().map_err(|error| Error::failed(path.display(), format!("cannot be written: {error}")))
}

/// Makes a rename in `folder` survive a power cut.
#[cfg(unix)]
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems than Unix cannot open a folder, and need not.
#[cfg(not(unix))]
pub fn sync_folder(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Creates a folder and those above it.
///
/// # Errors
///
/// If one of them cannot be created.
pub fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path)
        .map_err(|error| Error::failed(path.display(), format!("cannot be created: {error}")))
}

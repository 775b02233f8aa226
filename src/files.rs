//! Reading files without trusting their size, and writing them whole or not at all.

use crate::{Error, Result};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What the names of files that are being written begin and end with.
const PARTIAL: (&str, &str) = (".vae-", ".partial");

/// A path as a shell takes it: in quotes, if it needs some.
pub fn quoted(path: &Path) -> String {
    let Some(text) = path.to_str() else {
        return in_bytes(path);
    };
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,:@%=".contains(letter);
    match text.chars().all(is_plain) && !text.is_empty() {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// A path that is no text, in the quotes in which bytes can be written (POSIX.1-2024, section 2.2.4).
fn in_bytes(path: &Path) -> String {
    let chunks = path.as_os_str().as_encoded_bytes().utf8_chunks();
    let chunks = chunks.map(|chunk| {
        let text = chunk.valid().replace('\\', "\\\\").replace('\'', "\\'");
        // Three octal digits end by themselves; hexadecimal ones go on.
        let bytes = chunk.invalid().iter().map(|byte| format!("\\{byte:03o}"));
        text + &bytes.collect::<String>()
    });
    format!("$'{}'", chunks.collect::<String>())
}

/// Whether a path is `-`: stdin or stdout.
pub fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}

/// What a file that is read is called in messages.
pub fn name(path: &Path) -> String {
    match is_stream(path) {
        true => "stdin".into(),
        false => path.display().to_string(),
    }
}

/// The content of a file of at most `limit` bytes; of stdin, if that is what `path` is.
///
/// # Errors
///
/// If it cannot be read, or is larger.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let unreadable = |error| Error::input(name(path), format!("cannot be read: {error}"));
    let too_large = || {
        let limit = limit / 1024;
        Error::input(name(path), format!("is larger than {limit} KiB"))
    };
    let mut content = Vec::new();
    let mut source: Box<dyn Read> = match is_stream(path) {
        true => Box::new(std::io::stdin()),
        false => {
            let file = File::open(path).map_err(unreadable)?;
            let len = file.metadata().map_err(unreadable)?.len();
            if len > limit {
                return Err(too_large());
            }
            content.reserve_exact(len as usize);
            Box::new(file)
        }
    };
    // A pipe or a device has no length, so what arrives is bounded too.
    let mut source = source.by_ref().take(limit + 1);
    source.read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(content)
}

/// Fills a buffer from a place in a file, whoever else reads it.
///
/// # Errors
///
/// If it cannot be read, or is shorter.
#[cfg(unix)]
pub fn read_at(file: &File, place: u64, buffer: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, place)
}

/// The same elsewhere, where reading moves the file's own place, which all who have it share.
///
/// # Errors
///
/// The same.
#[cfg(not(unix))]
pub fn read_at(mut file: &File, place: u64, buffer: &mut [u8]) -> std::io::Result<()> {
    use std::sync::{Mutex, PoisonError};
    static READING: Mutex<()> = Mutex::new(());
    let _reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(place))?;
    file.read_exact(buffer)
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

/// Writes a file so that it holds either its old content or all of the new one, whatever happens to this
/// process meanwhile: into a temporary file beside it, then renamed.
///
/// # Errors
///
/// If the folder cannot be written, or the disk is full; the old content is then untouched.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    write(path, false, |file| file.write_all(content))
}

/// The same, whatever happens to the machine: the content is flushed to disk before it has its name, and the name
/// before this returns.
///
/// # Errors
///
/// The same.
pub fn write_durably(path: &Path, content: &[u8]) -> Result<()> {
    write(path, true, |file| file.write_all(content))
}

/// The same of a content that `content` writes, bit by bit.
///
/// # Errors
///
/// The same, and what `content` fails with.
pub fn write_durably_by(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    write(path, true, content)
}

/// A file that is written bit by bit, and has its name when it is whole.
pub struct Partial {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl Partial {
    /// Begins a file. What is left in its folder of others that were begun so is removed.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = folder_of(path);
        create_folder(folder)?;
        // What cannot be removed takes room; that is no reason to fail.
        let _ = remove_abandoned(folder);
        let file = new_partial(folder).map_err(|error| cannot_write(path, &error))?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 18, file),
            path: path.into(),
        })
    }

    /// Adds to it.
    ///
    /// # Errors
    ///
    /// If the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| cannot_write(&self.path, &error))
    }

    /// Gives it its name.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn persist(self) -> Result<()> {
        let file = self.file.into_inner();
        let persisted = file.map_err(|error| error.into_error()).and_then(|file| {
            file.persist(&self.path)?;
            Ok(())
        });
        persisted.map_err(|error| cannot_write(&self.path, &error))
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A file without its name as yet, locked as long as it is being written.
fn new_partial(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL.0).suffix(PARTIAL.1);
    // The temporary file's own default is for secrets; results are as readable as any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder)?;
    // Where no file can be locked, none is taken for abandoned either.
    let _ = file.as_file().try_lock();
    Ok(file)
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::failed(path.display(), format!("cannot be written: {error}"))
}

fn write(
    path: &Path,
    flush: bool,
    content: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    let folder = folder_of(path);
    let write = || -> std::io::Result<()> {
        let mut file = new_partial(folder)?;
        content(&mut file)?;
        if flush {
            file.as_file().sync_all()?;
        }
        file.persist(path)?;
        if flush {
            sync_folder(folder)?;
        }
        Ok(())
    };
    write().map_err(|error| cannot_write(path, &error))
}

/// Makes a rename in `folder` survive a power cut.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems than Unix cannot open a folder, and need not.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Checks that no file is in the way of a folder, before any work is done for what goes into it.
///
/// # Errors
///
/// If `path`, or what there is above it, is no folder.
pub fn check_folder(path: &Path) -> Result<()> {
    match path.ancestors().find(|path| path.exists()) {
        Some(found) if !found.is_dir() => {
            let why = format!("cannot be created: {} is no folder", found.display());
            Err(Error::failed(path.display(), why))
        }
        _ => Ok(()),
    }
}

/// Creates a folder and those above it.
///
/// # Errors
///
/// If one of them cannot be created.
pub fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| cannot_create(path, &error))
}

/// Creates a folder in one that is there; tells whether it was not there before.
///
/// # Errors
///
/// If it cannot be created.
pub fn create_new_folder(path: &Path) -> Result<bool> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(cannot_create(path, &error)),
        Ok(()) => Ok(true),
    }
}

/// Removes what was half written in a folder when a process was killed.
///
/// # Errors
///
/// If something cannot be removed.
pub fn remove_abandoned(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // Nothing but files: to open a pipe is to wait for who writes into it.
        let is_file = || entry.file_type().is_ok_and(|kind| kind.is_file());
        let is_free = || File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
        if is_partial(&entry.file_name()) && is_file() && is_free() {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn is_partial(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(PARTIAL.0) && name.ends_with(PARTIAL.1)
}

/// Removes a file, if it is there.
///
/// # Errors
///
/// If it cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            let why = format!("cannot be removed: {error}");
            Err(Error::failed(path.display(), why))
        }
        _ => Ok(()),
    }
}

/// Whether something has this name: also a link that leads nowhere, or a file that may not be read.
pub fn is_taken(path: &Path) -> bool {
    match path.symlink_metadata() {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

/// Whether something has this name that is no empty folder. What was half written when a process was
/// killed counts as nothing.
pub fn is_occupied(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.any(|entry| !entry.is_ok_and(|e| is_partial(&e.file_name()))),
        Err(_) => is_taken(path),
    }
}

fn cannot_create(path: &Path, error: &std::io::Error) -> Error {
    Error::failed(path.display(), format!("cannot be created: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_pipe_with_the_name_of_a_half_written_file_is_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join(".vae-pipe.partial");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        remove_abandoned(folder.path()).expect("no wait");
        assert!(pipe.exists());
    }

    #[test]
    fn paths_can_be_pasted() {
        for (path, expected) in [
            ("runs/a-1.png", "runs/a-1.png"),
            ("my runs/a", "'my runs/a'"),
            ("it's", "'it'\\''s'"),
            ("$(x)", "'$(x)'"),
        ] {
            assert_eq!(quoted(Path::new(path)), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn paths_that_are_no_text_can_be_pasted() {
        use std::os::unix::ffi::OsStrExt;
        let name = OsStr::from_bytes(b"it's \\ a caf\xe91");
        let quoted = quoted(Path::new(name));
        assert_eq!(quoted, r"$'it\'s \\ a caf\3511'");
        let script = format!("printf %s {quoted}");
        let Ok(output) = std::process::Command::new("bash")
            .args(["-c", &script])
            .output()
        else {
            return;
        };
        assert_eq!(output.stdout, name.as_bytes());
    }
}

//! Where results go.

use super::console::{Console, print_bytes};
use crate::{Error, Result, files};
use std::io::IsTerminal;
use std::path::Path;

/// Puts a result where the user wants it, and says where that is: into a file, in a folder that is made if need be; or,
/// if that is `-`, to stdout.
///
/// # Errors
///
/// If it cannot be written, or is nothing for a terminal.
pub(super) fn deliver(console: &Console, out: &Path, content: &[u8]) -> Result<()> {
    if files::is_stream(out) {
        let is_text = std::str::from_utf8(content).is_ok();
        if !is_text && std::io::stdout().is_terminal() {
            let hint = "redirect it to a file or another program";
            return Err(Error::input("stdout", "is a terminal, and this is no text").hint(hint));
        }
        return print_bytes(content);
    }
    if let Some(folder) = out.parent()
        && !folder.as_os_str().is_empty()
    {
        files::create_folder(folder)?;
    }
    files::write_atomically(out, content)?;
    console.result(out)
}

/// The kind of file that a name asks for, by its extension in small letters; on stdout, `of_stream`.
pub(super) fn kind(out: &Path, of_stream: &str) -> String {
    if files::is_stream(out) {
        return of_stream.into();
    }
    let extension = out.extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

//! NumPy's archives: ZIP files that hold an array file a name.

use super::npy::{self, Array};
use std::io::{Cursor, Write};
use zip::read::ZipArchive;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

/// Whether a file's content starts as such an archive does, with something in it or nothing.
pub fn is_archive(content: &[u8]) -> bool {
    content.starts_with(b"PK\x03\x04") || content.starts_with(b"PK\x05\x06")
}

/// The content of an archive of array files. The same make the same bytes, whatever the time.
///
/// # Errors
///
/// If they grow too large for that.
pub fn write(arrays: impl Iterator<Item = (&'static str, Vec<u8>)>) -> Result<Vec<u8>, String> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default());
    for (name, array) in arrays {
        let begun = writer.start_file(format!("{name}.npy"), options);
        begun.map_err(|error| error.to_string())?;
        writer
            .write_all(&array)
            .map_err(|error| error.to_string())?;
    }
    let file = writer.finish().map_err(|error| error.to_string())?;
    Ok(file.into_inner())
}

/// An archive, of which arrays are read by name.
pub struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The names of its arrays.
    pub names: Vec<String>,
}

impl<'a> Archive<'a> {
    /// The archive in a file's content.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn open(content: &'a [u8]) -> Result<Self, String> {
        let zip = ZipArchive::new(Cursor::new(content));
        let zip = zip.map_err(|error| format!("it is no usable archive: {error}"))?;
        let names = zip.file_names().filter_map(Result::ok);
        let names = names.filter_map(|name| Some(name.strip_suffix(".npy")?.to_string()));
        Ok(Self {
            names: names.collect(),
            zip,
        })
    }

    /// Whether it has an array of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|of| of == name)
    }

    /// One of its arrays, of at most so many values: a small file can have large ones packed.
    ///
    /// # Errors
    ///
    /// If there is none of this name, or it is none that can be read, or is larger.
    pub fn array(&mut self, name: &str, most: usize) -> Result<Array, String> {
        let of_array = |why: &dyn std::fmt::Display| format!("its array `{name}`: {why}");
        let file = self.zip.by_name(&format!("{name}.npy"));
        let file = file.map_err(|error| of_array(&error))?;
        npy::read_from(file, most).map_err(|why| of_array(&why))
    }
}

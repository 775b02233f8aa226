//! Parquet files as a data set.

#[cfg(not(feature = "download"))]
use crate::Error;
use crate::Result;
use crate::data::pictures::Reading;
use crate::data::pictures::folder::Pictures;
use crate::data::source::Notice;
use std::path::Path;

#[cfg(feature = "download")]
use super::{list, rows};
#[cfg(feature = "download")]
use crate::data::pictures::{Content, List, PictureFile, folder};

/// Reads the pictures in a Parquet file, or in those of a folder, as those of a folder of pictures are read; a row is a
/// picture.
///
/// # Errors
///
/// If a file is damaged, or is none of pictures; if there is no picture, or too many that cannot be read.
#[cfg(feature = "download")]
pub fn read(path: &Path, reading: &Reading, notify: &mut dyn FnMut(Notice)) -> Result<Pictures> {
    let mut all = List {
        files: Vec::new(),
        labels: Vec::new(),
        notes: Vec::new(),
    };
    for part in list::parts(path) {
        let found = rows::read(&part.path)?;
        if !found.labels.is_empty() {
            all.labels = found.labels;
        }
        let pictures = (1..)
            .zip(found.pictures)
            .map(|(row, (picture, label))| PictureFile {
                content: Content::Bytes(picture),
                name: format!("{} row {row}", part.name).into(),
                label,
                is_test: part.is_test,
            });
        all.files.extend(pictures);
    }
    folder::read(all, path, reading, notify)
}

/// The same without the means to do it.
///
/// # Errors
///
/// That.
#[cfg(not(feature = "download"))]
pub fn read(path: &Path, _: &Reading, _: &mut dyn FnMut(Notice)) -> Result<Pictures> {
    let why = "this program was built without the means to read Parquet files";
    Err(Error::failed(path.display(), why).hint("build it with its default features"))
}

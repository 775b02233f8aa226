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
    let mut unknown = None;
    for part in list::parts(path) {
        let found = rows::read(&part.path)?;
        let labels = match found.labels.len() {
            0 => 256,
            names => names.min(256),
        };
        if !found.labels.is_empty() {
            all.labels = found.labels;
        }
        for (row, (picture, label)) in (1..).zip(found.pictures) {
            let name = format!("{} row {row}", part.name);
            let known = u8::try_from(label).ok();
            let known = known.filter(|&label| usize::from(label) < labels);
            if known.is_none() {
                let why = format!("{name} has the label {label}, and there are {labels}");
                unknown.get_or_insert(why);
            }
            all.files.push(PictureFile {
                content: Content::Bytes(picture),
                name: name.into(),
                label: known.unwrap_or_default(),
                is_test: part.is_test,
            });
        }
    }
    if let Some(why) = unknown {
        all.notes.push(format!("there are no labels: {why}"));
        all.labels.clear();
        all.files.iter_mut().for_each(|file| file.label = 0);
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

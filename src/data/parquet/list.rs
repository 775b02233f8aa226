//! Which Parquet files there are, and which half of a data set each of them is.

use crate::data::pictures::half_of;
use std::fs;
use std::path::{Path, PathBuf};

/// A file.
#[derive(Debug, PartialEq)]
pub struct Part {
    /// Where it is.
    pub path: PathBuf,
    /// What it is called, in a folder that may have a folder for each half.
    pub name: String,
    /// Whether it is to be tested on, if its name says it.
    pub is_test: Option<bool>,
}

/// Whether a path is that of a Parquet file, or of a folder with some.
pub fn is_in(path: &Path) -> bool {
    !parts(path).is_empty()
}

/// The file at a path; or those in a folder, or in folders of the two halves there, in the order of their names. If both
/// halves are there, what is neither is passed over.
pub fn parts(path: &Path) -> Vec<Part> {
    if is_parquet(path) {
        return vec![Part {
            path: path.into(),
            name: file_name(path),
            is_test: None,
        }];
    }
    let mut parts = Vec::new();
    for file in entries(path) {
        let name = file_name(&file);
        let is_test = half_of(&name);
        if is_parquet(&file) {
            parts.push(Part {
                path: file,
                name,
                is_test,
            });
        } else if is_test.is_some() {
            let files = entries(&file).filter(|file| is_parquet(file));
            parts.extend(files.map(|path| Part {
                name: format!("{name}/{}", file_name(&path)),
                path,
                is_test,
            }));
        }
    }
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    let has = |half| parts.iter().any(|part| part.is_test == Some(half));
    match has(false) && has(true) {
        true => parts.retain(|part| part.is_test.is_some()),
        false => parts.iter_mut().for_each(|part| part.is_test = None),
    }
    parts
}

/// What is in a folder, if it is one.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

fn is_parquet(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    ending.eq_ignore_ascii_case("parquet") && path.is_file()
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_what_they_are_called() {
        let listed = |names: &[&str]| -> Vec<(String, Option<bool>)> {
            let folder = tempfile::tempdir().expect("a folder");
            for name in names {
                let file = folder.path().join(name);
                fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                fs::write(file, "").expect("a file");
            }
            let parts = parts(folder.path()).into_iter();
            parts.map(|part| (part.name, part.is_test)).collect()
        };
        let part = |name: &str, is_test| (name.to_string(), is_test);
        assert_eq!(
            listed(&[
                "train-00000-of-00002.parquet",
                "train-00001-of-00002.parquet",
                "test-00000-of-00001.parquet",
                "unsupervised-00000-of-00001.parquet",
                "README.md",
            ]),
            [
                part("test-00000-of-00001.parquet", Some(true)),
                part("train-00000-of-00002.parquet", Some(false)),
                part("train-00001-of-00002.parquet", Some(false)),
            ]
        );
        assert_eq!(
            listed(&["train/0000.parquet", "validation/0000.parquet"]),
            [
                part("train/0000.parquet", Some(false)),
                part("validation/0000.parquet", Some(true)),
            ]
        );
        assert_eq!(
            listed(&["train.parquet", "trains.parquet"]),
            [part("train.parquet", None), part("trains.parquet", None)]
        );
        assert_eq!(listed(&["train-images-idx3-ubyte", "a.png"]), []);
    }
}

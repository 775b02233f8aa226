//! Which picture files there are in a folder, and what the folders say of them.

use super::decode::LARGEST_FILE;
use crate::{Error, Result, files};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// The endings of picture files.
const ENDINGS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"];
/// Folders within folders are looked into so deep.
const DEEPEST: usize = 32;
/// No set of pictures is larger.
const MOST_FILES: usize = 10_000_000;
/// What is passed over is named, up to so many.
const NAMED: usize = 5;
/// Labels are bytes.
const MOST_LABELS: usize = 256;
/// What folders of the two halves of a data set are called.
const TRAIN: [&str; 2] = ["train", "training"];
const TEST: [&str; 5] = ["test", "testing", "val", "valid", "validation"];

/// Picture files.
#[derive(Debug)]
pub struct List {
    /// In the order of their names.
    pub files: Vec<PictureFile>,
    /// What the folders are called that the labels stand for; empty where there are none.
    pub labels: Vec<String>,
    /// What is to be told of what was not taken as it is.
    pub notes: Vec<String>,
}

/// A picture file.
#[derive(Debug)]
pub struct PictureFile {
    /// Where its content is.
    pub content: Content,
    /// From the folder on.
    pub name: PathBuf,
    /// The number of its label, or 0.
    pub label: u8,
    /// Whether it is to be tested on, if its folder says it.
    pub is_test: Option<bool>,
}

/// Where the content of a picture file is.
#[derive(Debug)]
pub enum Content {
    /// On disk.
    File(PathBuf),
    /// Here.
    Bytes(Vec<u8>),
}

impl PictureFile {
    /// Its content.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn content(&self) -> std::result::Result<Cow<'_, [u8]>, String> {
        match &self.content {
            Content::File(path) => {
                let content = files::read(path, LARGEST_FILE);
                content.map(Cow::Owned).map_err(|error| error.why)
            }
            Content::Bytes(content) => Ok(Cow::Borrowed(content)),
        }
    }

    /// What it is called in messages.
    pub fn place(&self) -> String {
        match &self.content {
            Content::File(path) => path.display().to_string(),
            Content::Bytes(_) => self.name.display().to_string(),
        }
    }
}

/// Which half of a data set a folder or a file is by its name, as in `test` or `test-00000-of-00001`; whether it is to be
/// tested on.
pub fn half_of(name: &str) -> Option<bool> {
    let word = name.split(['-', '.']).next().unwrap_or_default();
    let is = |halves: &[&str]| halves.iter().any(|half| word.eq_ignore_ascii_case(half));
    match (is(&TRAIN), is(&TEST)) {
        (false, false) => None,
        (_, is_test) => Some(is_test),
    }
}

/// Looks for picture files in a folder and those in it; what is hidden is passed over. If it has folders `train` and
/// `test`, they are that; the folders in them, or in it, are labels.
///
/// # Errors
///
/// If there is none, or there are absurdly many.
pub(super) fn list(folder: &Path) -> Result<List> {
    let (mut files, mut passed_over) = (Vec::new(), Vec::new());
    let walk = WalkDir::new(folder).follow_links(true).max_depth(DEEPEST);
    let walk = walk.sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry)) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_picture(entry.path()) => {
                files.push(entry.into_path());
            }
            Ok(_) => {}
            // Links in circles and to nowhere; those of no pictures are nobody's loss.
            Err(error)
                if error
                    .path()
                    .is_none_or(|path| is_picture(path) || path.is_dir()) =>
            {
                passed_over.push(error.to_string().escape_debug().to_string());
            }
            Err(_) => {}
        }
        if files.len() > MOST_FILES {
            let why = format!("holds more than {MOST_FILES} pictures");
            return Err(Error::input(folder.display(), why));
        }
    }
    let name = |file: &PathBuf| file.strip_prefix(folder).unwrap_or(file).to_path_buf();
    let named: Vec<(PathBuf, PathBuf)> =
        files.into_iter().map(|file| (name(&file), file)).collect();
    let half = |name: &Path, halves: &[&str]| {
        let first = folders(name).next().unwrap_or_default();
        halves.iter().any(|half| first.eq_ignore_ascii_case(half))
    };
    let has_halves = [&TRAIN[..], &TEST]
        .iter()
        .all(|halves| named.iter().any(|(name, _)| half(name, halves)));
    // Beside the two halves there may be something else.
    let is_one = |name: &Path| !has_halves || half(name, &TRAIN) || half(name, &TEST);
    let all = named.len();
    let named: Vec<_> = named.into_iter().filter(|(name, _)| is_one(name)).collect();
    let label = |name: &Path| folders(name).nth(usize::from(has_halves));
    let labels: BTreeSet<Option<String>> = named.iter().map(|(name, _)| label(name)).collect();
    let mut notes: Vec<String> = passed_over
        .iter()
        .take(NAMED)
        .map(|why| format!("passed over: {why}"))
        .collect();
    if passed_over.len() > NAMED {
        notes.push(format!("passed over: {} more", passed_over.len() - NAMED));
    }
    if named.len() < all {
        let others = all - named.len();
        notes.push(format!(
            "passed over: {others} pictures beside the folders of training and test images"
        ));
    }
    let labels = match (labels.len(), labels.contains(&None)) {
        (2.., true) => {
            notes
                .push("there are no labels: some pictures lie in folders and others do not".into());
            Vec::new()
        }
        (2..=MOST_LABELS, false) => in_order(labels.into_iter().flatten().collect()),
        (0..2, _) => Vec::new(),
        (count, false) => {
            notes.push(format!(
                "there are no labels: {count} folders are more than {MOST_LABELS}"
            ));
            Vec::new()
        }
    };
    let files = named.into_iter().map(|(name, path)| {
        let label = label(&name);
        let number = labels
            .iter()
            .position(|known| Some(known) == label.as_ref());
        PictureFile {
            label: number.unwrap_or_default() as u8,
            is_test: has_halves.then(|| half(&name, &TEST)),
            content: Content::File(path),
            name,
        }
    });
    Ok(List {
        files: files.collect(),
        labels,
        notes,
    })
}

/// Labels by their names; those that are all numbers by those.
fn in_order(mut labels: Vec<String>) -> Vec<String> {
    let numbers: Option<Vec<u64>> = labels.iter().map(|label| label.parse().ok()).collect();
    if numbers.is_some() {
        labels.sort_by_key(|label| label.parse::<u64>().unwrap_or_default());
    }
    labels
}

/// Whether a file is a picture, as far as its name tells.
pub fn is_picture(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    ENDINGS
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known))
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with('.')
}

/// The folders of a name, from the top.
fn folders(name: &Path) -> impl Iterator<Item = String> + '_ {
    let folder = name.parent().into_iter();
    folder.flat_map(|folder| {
        folder
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> List {
        let folder = tempfile::tempdir().expect("a folder");
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, "").expect("a file");
        }
        list(folder.path()).expect("a list")
    }

    fn seen(list: &List) -> Vec<(String, u8, Option<bool>)> {
        let files = list.files.iter();
        files
            .map(|file| (file.name.display().to_string(), file.label, file.is_test))
            .collect()
    }

    #[test]
    fn folders_are_labels_and_what_is_no_picture_is_passed_over() {
        let list = listed(&[
            "dogs/2.JPG",
            "cats/a/1.png",
            "cats/notes.txt",
            ".thumbs/3.png",
            "cats/.4.png",
        ]);
        assert_eq!(list.labels, ["cats", "dogs"]);
        assert_eq!(
            seen(&list),
            [
                ("cats/a/1.png".into(), 0, None),
                ("dogs/2.JPG".into(), 1, None)
            ]
        );
        // Of pictures beside each other, or partly so, nothing is known.
        assert!(listed(&["1.png", "2.png"]).labels.is_empty());
        assert!(listed(&["1.png", "a/2.png", "b/2.png"]).labels.is_empty());
        assert!(listed(&["a/1.png", "a/2.png"]).labels.is_empty());
        let mixed = listed(&["1.png", "a/2.png"]);
        assert!(
            mixed.notes[0].starts_with("there are no labels: some"),
            "{mixed:?}"
        );
        let numbers = listed(&["10/1.png", "9/1.png", "1/1.png"]);
        assert_eq!(numbers.labels, ["1", "9", "10"]);
        assert_eq!(seen(&numbers)[1].1, 2, "the folder 10");
    }

    #[test]
    fn train_and_test_are_what_they_are_called() {
        let list = listed(&[
            "train/a/1.png",
            "train/b/2.png",
            "Test/b/3.png",
            "other/4.png",
        ]);
        assert_eq!(list.labels, ["a", "b"]);
        assert_eq!(list.notes.len(), 1, "{list:?}");
        assert_eq!(
            seen(&list),
            [
                ("Test/b/3.png".into(), 1, Some(true)),
                ("train/a/1.png".into(), 0, Some(false)),
                ("train/b/2.png".into(), 1, Some(false)),
            ]
        );
        assert_eq!(
            listed(&["train/1.png", "other/2.png"]).labels,
            ["other", "train"]
        );
    }
}

//! Which IDX files belong together, by their names.
//!
//! A name is that of the data set, if several share a folder, of the half, of what is in it, and of the format:
//! `emnist-letters-train-images-idx3-ubyte.gz`. MNIST's own have no name of a set and `t10k` for `test`.

use super::file::{Content, TYPES};
use crate::{Error, Result, files};
use std::fs;
use std::io::ErrorKind;
use std::iter;
use std::path::{Path, PathBuf};

/// The names of MNIST's four files, in the order in which this crate writes and digests them. Files of images in colour
/// have `idx4` for `idx3`.
pub const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Where data sets have their files within a folder, if not there: where archives and torchvision put them.
const PLACES: [&str; 7] = [
    "raw",
    "gzip",
    "MNIST/raw",
    "FashionMNIST/raw",
    "KMNIST/raw",
    "EMNIST/raw",
    "QMNIST/raw",
];
/// What the two halves of a data set are called, and whether they are to be tested on.
const HALVES: [(&str, bool); 3] = [("train", false), ("t10k", true), ("test", true)];

/// The files of a data set.
#[derive(Debug)]
pub(super) struct Files {
    pub train_images: PathBuf,
    pub train_labels: Option<PathBuf>,
    pub test_images: Option<PathBuf>,
    pub test_labels: Option<PathBuf>,
}

/// What the name of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name<'a> {
    /// What it begins with, as in `emnist-letters-`; MNIST's own with nothing.
    set: &'a str,
    is_test: bool,
    content: Content,
}

impl<'a> Name<'a> {
    /// What a name says, if it is one of an IDX file.
    fn of(file: &'a str) -> Option<Self> {
        let stem = file.strip_suffix(".gz").unwrap_or(file);
        let (stem, format) = stem.rsplit_once("idx")?;
        let (dimensions, kind) = format.split_once('-')?;
        let is_number = dimensions.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || dimensions.len() != 1 || !TYPES.iter().any(|known| known.name == kind) {
            return None;
        }
        let (half, content) = stem.strip_suffix(['-', '.'])?.rsplit_once('-')?;
        let content = match content {
            "images" => Content::Images,
            "labels" => Content::Labels,
            _ => return None,
        };
        HALVES.iter().find_map(|&(name, is_test)| {
            let set = half.strip_suffix(name)?;
            (set.is_empty() || set.ends_with('-')).then_some(Self {
                set,
                is_test,
                content,
            })
        })
    }

    fn is_train_images(&self) -> bool {
        !self.is_test && self.content == Content::Images
    }
}

/// The names of the IDX files in a folder. Where there are several of one kind the first is to be taken: not dotted
/// before dotted, raw before zipped.
fn listed(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        // Nothing but a file will do: some archives unpack to a folder of the same name.
        let is_one = Name::of(&name).is_some() && entry.path().is_file();
        is_one.then_some(name)
    });
    let mut names: Vec<String> = names.collect();
    names.sort_by_cached_key(|name| (name.contains(".idx"), name.ends_with(".gz"), name.clone()));
    names
}

/// Whether there are IDX files in a folder.
pub fn is_in(folder: &Path) -> bool {
    places(folder).any(|place| !listed(&place).is_empty())
}

fn places(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let deeper = PLACES.iter().map(|place| folder.join(place));
    iter::once(folder.to_path_buf()).chain(deeper)
}

/// The name of a file of training images, if a path is that of one.
fn train_images(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let is_one = Name::of(name)?.is_train_images();
    is_one.then_some(name)
}

/// The files of the data set that is in a folder, or that a path to its training images chooses.
pub(super) fn find(path: &Path) -> Result<Files> {
    let kind = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Error::input(path.display(), "there is no such folder").hint(SOURCES)
        }
        _ => Error::failed(path.display(), error),
    })?;
    if kind.is_dir() {
        let home = places(path).find(|place| !listed(place).is_empty());
        return only_set(home.as_deref().unwrap_or(path));
    }
    match (train_images(path), path.parent()) {
        (Some(name), Some(folder)) => Ok(files_of(folder, name, &listed(folder))),
        _ => Err(Error::input(path.display(), "this is not a folder").hint(SOURCES)),
    }
}

/// What else could be meant.
const SOURCES: &str = "a data source is `auto`, `mnist`, `fashion-mnist`, `cifar-10`, `synthetic`, a folder of IDX files, \
    pictures or Parquet files, or a file of arrays or pictures (.npy, .npz, .parquet)";

/// The files of the only data set in a folder.
fn only_set(folder: &Path) -> Result<Files> {
    let names = listed(folder);
    let images = names.iter().filter_map(|name| {
        let parsed = Name::of(name)?;
        parsed.is_train_images().then_some((parsed.set, name))
    });
    let mut sets: Vec<(&str, &String)> = images.collect();
    sets.sort_by_key(|(set, _)| *set);
    sets.dedup_by_key(|(set, _)| *set);
    match sets[..] {
        [(_, name)] => Ok(files_of(folder, name, &names)),
        [] => {
            let [needed, others @ ..] = FILES;
            let why = format!("there is no file {needed} in it, nor {needed}.gz");
            let others = others.join(", ");
            let hint = format!(
                "the folder must hold {needed}, and may hold {others}, each raw or .gz, or files of such names"
            );
            Err(Error::input(folder.display(), why).hint(hint))
        }
        [(_, first), ..] => {
            let sets: Vec<&str> = sets.iter().map(|(_, name)| name.as_str()).collect();
            let why = format!("holds several data sets: {}", sets.join(", "));
            let choice = files::quoted(&folder.join(first));
            Err(Error::input(folder.display(), why)
                .hint(format!("name the training images of one: --data {choice}")))
        }
    }
}

/// Some training images in a folder of such files, and what goes with them.
fn files_of(folder: &Path, train_images: &str, names: &[String]) -> Files {
    let set = Name::of(train_images).map_or("", |name| name.set);
    let find = |is_test, content| {
        let wanted = Name {
            set,
            is_test,
            content,
        };
        let found = names.iter().find(|name| Name::of(name) == Some(wanted));
        Some(folder.join(found?))
    };
    Files {
        train_images: folder.join(train_images),
        train_labels: find(false, Content::Labels),
        test_images: find(true, Content::Images),
        test_labels: find(true, Content::Labels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_in_a_file() {
        use Content::{Images, Labels};
        for (file, set, is_test, content) in [
            ("train-images-idx3-ubyte", "", false, Images),
            ("t10k-labels.idx1-ubyte.gz", "", true, Labels),
            ("train-images-idx4-float", "", false, Images),
            (
                "emnist-letters-test-images-idx3-ubyte.gz",
                "emnist-letters-",
                true,
                Images,
            ),
            ("qmnist-train-labels-idx2-int.gz", "qmnist-", false, Labels),
        ] {
            let name = Name {
                set,
                is_test,
                content,
            };
            assert_eq!(Name::of(file), Some(name), "{file}");
        }
        for other in [
            "train-images.png",
            "train-images-idx3",
            "train-images-idx33-ubyte",
            "train-images-idx3-words",
            "train-masks-idx3-ubyte",
            "train-imagesidx3-ubyte",
            "constrain-images-idx3-ubyte",
            "emnist-letters-mapping.txt",
        ] {
            assert_eq!(Name::of(other), None, "{other}");
        }
    }
}

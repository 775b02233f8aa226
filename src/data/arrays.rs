//! Images in NumPy's arrays.

use super::dataset::{Dataset, Split};
use super::hold_out::hold_out;
use super::npy::{self, Array};
use super::npz::{self, Archive};
use super::numbers::{Found, scale, split};
use super::pictures::Reading;
use crate::{Error, Result, files};
use std::path::Path;

/// No file of arrays is larger.
const LARGEST_FILE: u64 = 16 << 30;
/// Nor is an array that is packed in one.
const MOST_VALUES: usize = 1 << 29;

/// Whether a path is that of a file of arrays.
pub fn is_arrays(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    let known = ["npy", "npz"];
    path.is_file() && known.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Reads a file with an array of images (`.npy`), or with arrays (`.npz`): `x_train`, `y_train`, `x_test` and `y_test`, as
/// Keras has MNIST, of which all but the first may be missing; or one array alone. Where there are no test images some are
/// held out, and that is told.
///
/// # Errors
///
/// If it holds something else.
pub fn read(path: &Path, reading: &Reading) -> Result<(Dataset, bool)> {
    let content = files::read(path, LARGEST_FILE)?;
    let found = match npz::is_archive(&content) {
        true => of_archive(&content),
        false => npy::read(&content).and_then(|images| {
            let scale = scale(&images);
            Ok((split(images, None, scale)?, None))
        }),
    };
    let (train, test) = found.map_err(|why| {
        let hint = "arrays of images are (n, rows, columns), or with 1 or 3 channels, of numbers from 0 to 255 or 0 to 1";
        Error::input(path.display(), why).hint(hint)
    })?;
    let held_out = test.is_none();
    let (train, test) = match test {
        Some(test) => (train, test),
        None => hold_out(train, reading.test_share, reading.seed)?,
    };
    let name = format!("arrays in {}", path.display());
    Ok((Dataset { train, test, name }, held_out))
}

/// Training images, and test images where there are some.
fn of_archive(content: &[u8]) -> Found<(Split, Option<Split>)> {
    let mut archive = Archive::open(content)?;
    let name = match (archive.has("x_train"), &archive.names[..]) {
        (true, _) => "x_train".to_string(),
        (false, [only]) => only.clone(),
        (false, names) => {
            let names = names.join(", ");
            return Err(format!("there is no array `x_train` in it, but: {names}"));
        }
    };
    let images = archive.array(&name, MOST_VALUES)?;
    let scale = scale(&images);
    let train = split(images, labels(&mut archive, "y_train")?, scale)?;
    if name != "x_train" || !archive.has("x_test") {
        return Ok((train, None));
    }
    let images = archive.array("x_test", MOST_VALUES)?;
    let test = split(images, labels(&mut archive, "y_test")?, scale)?;
    match test.shape == train.shape {
        true => Ok((train, Some(test))),
        false => Err(format!(
            "its training images are {}, its test images {}",
            train.shape, test.shape
        )),
    }
}

/// The labels of an archive, if it has some.
fn labels(archive: &mut Archive, name: &str) -> Found<Option<Array>> {
    match archive.has(name) {
        true => archive.array(name, MOST_VALUES).map(Some),
        false => Ok(None),
    }
}

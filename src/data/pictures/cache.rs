//! Decoded pictures, kept in the user's cache folder under what they were made of.

use crate::checksum::sha256;
use crate::data::dataset::{Dataset, Split};
use crate::data::shape::ImageShape;
use crate::{Error, Result, files};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// No set of decoded pictures that is kept is larger.
const LARGEST_FILE: u64 = 64 << 30;
/// What a file begins with; another form has another number.
const MAGIC: &[u8] = b"vae pictures 1\n";

/// What a file of decoded pictures says of them. Its line is followed by the pixels and labels of the training images,
/// and those of the test images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    key: String,
    sha256: String,
    size: [usize; 2],
    channels: usize,
    train: usize,
    test: usize,
    bad: Vec<String>,
    bad_count: usize,
}

impl Header {
    /// The checksum of all that it says, and of what follows it.
    fn sum(&self, body: &[&[u8]]) -> Option<String> {
        let unsigned = Self {
            sha256: String::new(),
            ..self.clone()
        };
        let unsigned = serde_json::to_string(&unsigned).ok()?;
        Some(sha256(&[&[unsigned.as_bytes()], body].concat()))
    }
}

/// Decoded pictures.
#[derive(Debug, PartialEq)]
pub(super) struct Decoded {
    pub train: Split,
    pub test: Split,
    /// Some of the files that could not be read, with the reasons, and how many those are.
    pub bad: Vec<String>,
    pub bad_count: usize,
}

/// Where what has this key is kept, if there is such a place.
fn file(key: &str) -> Option<PathBuf> {
    let folder = dirs::cache_dir()?.join("vae").join("pictures");
    Some(folder.join(format!("{key:.16}.bytes")))
}

/// What is kept under a key, if it is there and whole.
pub(super) fn read(key: &str) -> Option<Decoded> {
    let file = file(key).filter(|file| files::is_taken(file))?;
    parse(&files::read(&file, LARGEST_FILE).ok()?, key)
}

fn parse(content: &[u8], key: &str) -> Option<Decoded> {
    let content = content.strip_prefix(MAGIC)?;
    let line = content.iter().position(|&byte| byte == b'\n')?;
    let header: Header = serde_json::from_slice(&content[..line]).ok()?;
    let [height, width] = header.size;
    let shape = ImageShape {
        height,
        width,
        channels: header.channels,
    };
    let body = &content[line + 1..];
    let images = header.train.checked_add(header.test)?;
    let values = height.checked_mul(width)?.checked_mul(header.channels)?;
    let expected = values.checked_add(1)?.checked_mul(images)?;
    if header.key != key || body.len() != expected || header.sum(&[body])? != header.sha256 {
        return None;
    }
    let (train, test) = body.split_at((values + 1) * header.train);
    let split = |part: &[u8], images: usize| Split {
        pixels: part[..images * values].to_vec(),
        labels: part[images * values..].to_vec(),
        shape,
    };
    Some(Decoded {
        train: split(train, header.train),
        test: split(test, header.test),
        bad: header.bad,
        bad_count: header.bad_count,
    })
}

/// Keeps decoded pictures under a key.
///
/// # Errors
///
/// If the cache cannot be written.
pub(super) fn write(key: &str, decoded: &Decoded) -> Result<()> {
    let Some(file) = file(key) else {
        return Ok(());
    };
    if let Some(folder) = file.parent() {
        files::create_folder(folder)?;
    }
    write_to(&file, key, decoded)
}

fn write_to(file: &Path, key: &str, decoded: &Decoded) -> Result<()> {
    let Decoded {
        train,
        test,
        bad,
        bad_count,
    } = decoded;
    let body = [&train.pixels[..], &train.labels, &test.pixels, &test.labels];
    let mut header = Header {
        key: key.into(),
        sha256: String::new(),
        size: [train.shape.height, train.shape.width],
        channels: train.shape.channels,
        train: train.len(),
        test: test.len(),
        bad: bad.clone(),
        bad_count: *bad_count,
    };
    header.sha256 = header.sum(&body).unwrap_or_default();
    let header = serde_json::to_string(&header);
    let header = header.map_err(|error| Error::failed(file.display(), error))?;
    let start = [MAGIC, header.as_bytes(), b"\n"].concat();
    files::write_parts(file, &[&[&start[..]], &body[..]].concat())
}

impl Decoded {
    /// As a data set.
    pub fn dataset(self, name: String) -> Dataset {
        Dataset {
            train: self.train,
            test: self.test,
            name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_or_is_none() {
        let shape = ImageShape {
            height: 2,
            width: 1,
            channels: 3,
        };
        let split = |images: u8| Split {
            pixels: (0..6 * images).collect(),
            labels: (0..images).collect(),
            shape,
        };
        let decoded = Decoded {
            train: split(3),
            test: split(2),
            bad: vec!["a.png: why".into()],
            bad_count: 7,
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kept");
        write_to(&file, "key", &decoded).expect("a file");
        let content = std::fs::read(&file).expect("the file");
        assert_eq!(parse(&content, "key"), Some(decoded));
        assert_eq!(parse(&content, "other"), None);
        for place in 0..content.len() {
            let mut changed = content.clone();
            changed[place] ^= 1;
            assert_eq!(parse(&changed, "key"), None, "{place}");
            assert_eq!(parse(&content[..place], "key"), None, "{place}");
        }
    }
}

//! Decoded pictures, kept in the user's cache folder under what they were made of.

use crate::checksum::sha256;
use crate::data::shape::ImageShape;
use crate::{Error, Result, files};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// No set of decoded pictures that is kept is larger.
const LARGEST_FILE: u64 = 64 << 30;
/// What a file begins with; another form has another number.
const MAGIC: &[u8] = b"vae pictures 1\n";

/// What a file of decoded pictures says of them, in a line that their pixels follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    key: String,
    sha256: String,
    size: [usize; 2],
    channels: usize,
    images: usize,
    bad: Vec<(usize, String)>,
}

impl Header {
    /// The checksum of all that it says, and of what follows it.
    fn sum(&self, pixels: &[u8]) -> Option<String> {
        let unsigned = Self {
            sha256: String::new(),
            ..self.clone()
        };
        let unsigned = serde_json::to_string(&unsigned).ok()?;
        Some(sha256(&[unsigned.as_bytes(), pixels]))
    }
}

/// Decoded pictures.
#[derive(Debug, PartialEq)]
pub(super) struct Decoded {
    pub shape: ImageShape,
    /// Those that could be read, in the order of their files.
    pub pixels: Vec<u8>,
    /// The numbers of the files that could not, and why.
    pub bad: Vec<(usize, String)>,
}

impl Decoded {
    /// A shape, and no pictures.
    pub fn nothing(shape: ImageShape) -> Self {
        Self {
            shape,
            pixels: Vec::new(),
            bad: Vec::new(),
        }
    }
}

/// Where what has this key is kept, if there is such a place.
fn file(key: &str) -> Option<PathBuf> {
    let folder = dirs::cache_dir()?.join("vae").join("pictures");
    Some(folder.join(format!("{key:.16}.bytes")))
}

/// What is kept under a key, if it is there and whole.
pub(super) fn read(key: &str) -> Option<Decoded> {
    let file = file(key).filter(|file| file.is_file())?;
    parse(files::read(&file, LARGEST_FILE).ok()?, key)
}

fn parse(mut content: Vec<u8>, key: &str) -> Option<Decoded> {
    let line = content.strip_prefix(MAGIC)?;
    let line = &line[..line.iter().position(|&byte| byte == b'\n')?];
    let header: Header = serde_json::from_slice(line).ok()?;
    let [height, width] = header.size;
    let shape = ImageShape {
        height,
        width,
        channels: header.channels,
    };
    let start = MAGIC.len() + line.len() + 1;
    let values = height.checked_mul(width)?.checked_mul(header.channels)?;
    let expected = values.checked_mul(header.images)?;
    let pixels = &content[start..];
    let is_whole = pixels.len() == expected && header.sum(pixels)? == header.sha256;
    if header.key != key || !is_whole {
        return None;
    }
    content.drain(..start);
    Some(Decoded {
        shape,
        pixels: content,
        bad: header.bad,
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
    let Decoded { shape, pixels, bad } = decoded;
    let mut header = Header {
        key: key.into(),
        sha256: String::new(),
        size: [shape.height, shape.width],
        channels: shape.channels,
        images: pixels.len() / shape.values(),
        bad: bad.clone(),
    };
    header.sha256 = header.sum(pixels).unwrap_or_default();
    let header = serde_json::to_string(&header);
    let header = header.map_err(|error| Error::failed(file.display(), error))?;
    files::write_parts(file, &[MAGIC, header.as_bytes(), b"\n", pixels])
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
        let decoded = Decoded {
            shape,
            pixels: (0..30).collect(),
            bad: vec![(3, "why".into())],
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kept");
        write_to(&file, "key", &decoded).expect("a file");
        let content = std::fs::read(&file).expect("the file");
        assert_eq!(parse(content.clone(), "key"), Some(decoded));
        assert_eq!(parse(content.clone(), "other"), None);
        for place in 0..content.len() {
            let mut changed = content.clone();
            changed[place] ^= 1;
            assert_eq!(parse(changed, "key"), None, "{place}");
            assert_eq!(parse(content[..place].to_vec(), "key"), None, "{place}");
        }
    }
}

//! Decoded pictures, kept in the user's cache folder under what they were made of.
//!
//! A file is its magic number, the pixels, a line of JSON that says what they are, and the length of that in 8 bytes, little
//! end first: what is said is known when the last picture is decoded.

use crate::checksum::Sum;
use crate::data::pixels::{ImageFile, Pixels};
use crate::data::shape::ImageShape;
use crate::files::{Partial, read_at};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};

/// What a file begins with; another form has another number.
const MAGIC: &[u8] = b"vae pictures 2\n";
/// Bytes of the length at its end.
const LENGTH: usize = 8;
/// Bytes that are read at a time where not all are to be in memory.
const BLOCK: usize = 1 << 20;

/// What a file of decoded pictures says of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    key: String,
    /// The checksum of the pixels and of this with none.
    sha256: String,
    size: [usize; 2],
    channels: usize,
    images: u32,
    bad: Vec<(usize, String)>,
}

impl Description {
    /// Its checksum, from that of the pixels alone.
    fn sum(&self, mut pixels: Sum) -> Option<String> {
        let unsigned = Self {
            sha256: String::new(),
            ..self.clone()
        };
        pixels.update(serde_json::to_string(&unsigned).ok()?.as_bytes());
        Some(pixels.finish())
    }

    fn shape(&self) -> ImageShape {
        let [height, width] = self.size;
        ImageShape {
            height,
            width,
            channels: self.channels,
        }
    }

    /// Bytes of all pixels.
    fn bytes(&self) -> Option<usize> {
        let values = self.size[0].checked_mul(self.size[1])?;
        let values = values.checked_mul(self.channels)?;
        values.checked_mul(self.images as usize)
    }
}

/// Decoded pictures.
#[derive(Debug, PartialEq)]
pub(super) struct Decoded {
    pub shape: ImageShape,
    /// Those that could be read, in the order of their files.
    pub pixels: Pixels,
    /// The numbers of the files that could not, and why.
    pub bad: Vec<(usize, String)>,
}

/// Where what has this key is kept, if there is such a place.
pub(super) fn file(key: &str) -> Option<PathBuf> {
    let folder = dirs::cache_dir()?.join("vae").join("pictures");
    Some(folder.join(format!("{key:.16}.bytes")))
}

/// What is in a file under a key, if it is there and whole: in memory, where it is no more than `most` bytes.
pub(super) fn read(path: &Path, key: &str, most: u64) -> Option<Decoded> {
    let file = File::open(path).ok()?;
    let (description, start) = description(&file)?;
    let bytes = description.bytes()?;
    let in_memory = bytes as u64 <= most;
    let mut pixels = vec![0; if in_memory { bytes } else { BLOCK }];
    let mut sum = Sum::default();
    for first in (0..bytes).step_by(BLOCK) {
        let block = first..bytes.min(first + BLOCK);
        let to = match in_memory {
            true => &mut pixels[block],
            false => &mut pixels[..block.len()],
        };
        read_at(&file, start + first as u64, to).ok()?;
        sum.update(to);
    }
    if description.key != key || description.sum(sum)? != description.sha256 {
        return None;
    }
    Some(Decoded {
        shape: description.shape(),
        pixels: match in_memory {
            true => pixels.into(),
            false => Pixels::File(ImageFile::new(file, path, start, description.images)),
        },
        bad: description.bad,
    })
}

/// What a file says of the pictures in it, and where these begin; if it is as long as they are.
fn description(file: &File) -> Option<(Description, u64)> {
    let some = |place: u64, length: usize| {
        let mut bytes = vec![0; length];
        read_at(file, place, &mut bytes).ok()?;
        Some(bytes)
    };
    let start = MAGIC.len() as u64;
    let end = file.metadata().ok()?.len().checked_sub(LENGTH as u64)?;
    let length = u64::from_le_bytes(some(end, LENGTH)?.try_into().ok()?);
    let place = end.checked_sub(length).filter(|&place| place >= start)?;
    if some(0, MAGIC.len())? != MAGIC {
        return None;
    }
    let description = some(place, usize::try_from(length).ok()?)?;
    let description: Description = serde_json::from_slice(&description).ok()?;
    let is_whole = description.bytes()? as u64 == place - start;
    is_whole.then_some((description, start))
}

/// Decoded pictures that are being written.
pub(super) struct Writer {
    file: Partial,
    description: Description,
    sum: Sum,
}

impl Writer {
    /// Begins a file of pictures of one shape under a key.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn create(path: &Path, key: &str, shape: ImageShape) -> Result<Self> {
        let mut file = Partial::create(path)?;
        file.write(MAGIC)?;
        Ok(Self {
            file,
            description: Description {
                key: key.into(),
                sha256: String::new(),
                size: [shape.height, shape.width],
                channels: shape.channels,
                images: 0,
                bad: Vec::new(),
            },
            sum: Sum::default(),
        })
    }

    /// Adds a picture.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn push(&mut self, image: &[u8]) -> Result<()> {
        self.sum.update(image);
        self.description.images += 1;
        self.file.write(image)
    }

    /// Ends the file, with what could not be read.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn finish(mut self, bad: &[(usize, String)]) -> Result<()> {
        let mut description = self.description;
        description.bad = bad.into();
        description.sha256 = description.sum(self.sum).unwrap_or_default();
        let text = serde_json::to_string(&description);
        let text = text.map_err(|error| Error::failed("decoded pictures", error))?;
        self.file.write(text.as_bytes())?;
        self.file.write(&(text.len() as u64).to_le_bytes())?;
        self.file.persist()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;

    const SHAPE: ImageShape = ImageShape {
        height: 2,
        width: 1,
        channels: 3,
    };

    /// A file of five pictures under the key `key`.
    fn kept(file: &Path) {
        let mut writer = Writer::create(file, "key", SHAPE).expect("a file");
        for first in 0..5 {
            let image: Vec<u8> = (6 * first..6 * (first + 1)).collect();
            writer.push(&image).expect("a picture");
        }
        writer.finish(&[(3, "why".into())]).expect("an end");
    }

    fn split(decoded: Decoded) -> Split {
        Split {
            pixels: decoded.pixels,
            labels: (0..5).collect(),
            shape: decoded.shape,
        }
    }

    #[test]
    fn what_is_kept_comes_back_or_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kept");
        kept(&file);
        for most in [29, 30] {
            let decoded = read(&file, "key", most).expect("pictures");
            assert_eq!(matches!(decoded.pixels, Pixels::Memory(_)), most == 30);
            assert_eq!(decoded.bad, [(3, "why".into())]);
            let bytes = split(decoded).into_bytes().expect("pixels");
            assert_eq!(bytes, (0..30).collect::<Vec<u8>>());
            assert_eq!(read(&file, "other", most), None);
        }
        let content = std::fs::read(&file).expect("the file");
        for place in 0..content.len() {
            let mut changed = content.clone();
            changed[place] ^= 1;
            for damaged in [&changed[..], &content[..place]] {
                std::fs::write(&file, damaged).expect("a file");
                for most in [29, 30] {
                    assert_eq!(read(&file, "key", most), None, "{place}");
                }
            }
        }
    }

    #[test]
    fn what_is_read_when_it_is_needed_is_divided_and_binarized_alike() {
        use crate::data::Binarize;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kept");
        kept(&file);
        let [there, here] = [29, 30].map(|most| {
            let all = split(read(&file, "key", most).expect("pictures"));
            let mut halves = all.divided(&[false, true, true, false, true]);
            halves[1].truncate(2);
            halves.map(|half| {
                let drawn = half.clone().binarized(Binarize::Dynamic, 7);
                let labels = half.labels.clone();
                let bytes = [half, drawn].map(|half| half.into_bytes().expect("pixels"));
                (labels, bytes)
            })
        });
        assert_eq!(there, here);
        assert_eq!(here[1].0, [1, 2]);
        assert_eq!(here[1].1[0], (6..18).collect::<Vec<u8>>());
    }

    #[test]
    fn a_file_that_becomes_shorter_is_an_error_and_one_that_is_removed_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kept");
        kept(&file);
        let split = split(read(&file, "key", 0).expect("pictures"));
        let cut = || File::options().write(true).open(&file).expect("the file");
        cut()
            .set_len(MAGIC.len() as u64 + 20)
            .expect("a shorter file");
        assert_eq!(
            &*split.image(2).expect("a picture"),
            [12, 13, 14, 15, 16, 17]
        );
        let error = split.image(3).expect_err("no picture");
        assert_eq!(error.what, file.display().to_string());
        assert!(error.why.contains("cannot be read any more"), "{error}");
        #[cfg(unix)]
        {
            std::fs::remove_file(&file).expect("no file");
            assert_eq!(split.image(0).expect("a picture")[5], 5);
        }
    }

    #[test]
    fn what_a_process_that_was_killed_has_left_is_removed_and_no_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let [left, other] = [".vae-left.partial", "other"].map(|name| folder.path().join(name));
        for file in [&left, &other] {
            std::fs::write(file, "half a picture").expect("a file");
        }
        let files = || std::fs::read_dir(folder.path()).expect("a folder").count();
        let begun = Writer::create(&folder.path().join("a"), "a", SHAPE).expect("a file");
        assert!(!left.exists() && other.exists());
        kept(&folder.path().join("b"));
        assert_eq!(files(), 3, "one that is being written stays");
        begun.finish(&[]).expect("an end");
        assert_eq!(files(), 3);
    }
}

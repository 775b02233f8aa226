//! Where the pixels of images are: in memory, or in a file from which they are read as they are needed.

use super::binarize::Binarize;
use crate::rng::Purpose;
use crate::{Error, Result, files};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// The pixels of images: one after the other, row by row, the channels of a pixel beside each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pixels {
    /// In memory.
    Memory(Vec<u8>),
    /// In a file, where memory has no room for them.
    File(ImageFile),
}

impl From<Vec<u8>> for Pixels {
    fn from(pixels: Vec<u8>) -> Self {
        Self::Memory(pixels)
    }
}

impl FromIterator<u8> for Pixels {
    fn from_iter<I: IntoIterator<Item = u8>>(pixels: I) -> Self {
        Self::Memory(pixels.into_iter().collect())
    }
}

impl Pixels {
    /// Drops all but the first `images`, of so many values each.
    pub(super) fn truncate(&mut self, images: usize, values: usize) {
        match self {
            Self::Memory(pixels) => pixels.truncate(images * values),
            Self::File(file) => file.places.truncate(images),
        }
    }

    /// Those of the images, of so many values each, whose side is false, and those of the others.
    pub(super) fn divided(self, sides: &[bool], values: usize) -> [Self; 2] {
        match self {
            Self::Memory(pixels) => divided(pixels, sides, values).map(Self::Memory),
            Self::File(file) => divided(file.places, sides, 1).map(|places| {
                Self::File(ImageFile {
                    file: Arc::clone(&file.file),
                    path: Arc::clone(&file.path),
                    places,
                    ..file
                })
            }),
        }
    }
}

/// Things in two, so many of them at a time: those whose side is false, which stay in the memory where they are, and
/// those whose side is true.
pub(super) fn divided<T: Copy>(mut all: Vec<T>, sides: &[bool], each: usize) -> [Vec<T>; 2] {
    let count = sides.iter().filter(|&&side| side).count();
    let mut others = Vec::with_capacity(count * each);
    let mut kept = 0;
    for (index, &side) in sides.iter().enumerate() {
        let things = index * each..(index + 1) * each;
        if side {
            others.extend_from_slice(&all[things]);
        } else {
            all.copy_within(things, kept * each);
            kept += 1;
        }
    }
    all.truncate(kept * each);
    [all, others]
}

/// Some of the images in a file.
#[derive(Debug, Clone)]
pub struct ImageFile {
    file: Arc<File>,
    path: Arc<Path>,
    /// Where in the file its first image begins.
    start: u64,
    /// The number in the file of each of these.
    places: Vec<u32>,
    /// How they are made black or white as they are read, and the seed of that.
    binarize: (Binarize, u64),
}

impl ImageFile {
    /// All images of a file, so many, of which the first begins at byte `start`.
    pub(super) fn new(file: File, path: &Path, start: u64, images: u32) -> Self {
        Self {
            file: Arc::new(file),
            path: path.into(),
            start,
            places: (0..images).collect(),
            binarize: (Binarize::None, 0),
        }
    }

    /// Has pixels made black or white as they are read: as if each image had been drawn once.
    pub(super) fn binarize(&mut self, binarize: Binarize, seed: u64) {
        self.binarize = (binarize, seed);
    }

    /// One of them, of so many values.
    ///
    /// # Errors
    ///
    /// If the file cannot be read any more, or has become shorter.
    pub(super) fn read(&self, index: usize, values: usize) -> Result<Vec<u8>> {
        let place = self.start + u64::from(self.places[index]) * values as u64;
        let mut image = vec![0; values];
        files::read_at(&self.file, place, &mut image).map_err(|error| {
            let why = format!("its pictures cannot be read any more: {error}");
            let hint = "start again: what is damaged there is decoded again";
            Error::failed(self.path.display(), why).hint(hint)
        })?;
        let (binarize, seed) = self.binarize;
        binarize.image(&mut image, seed, Purpose::BinarizeOnce, index as u64);
        Ok(image)
    }
}

impl PartialEq for ImageFile {
    fn eq(&self, other: &Self) -> bool {
        let all = |file: &Self| (file.start, file.binarize);
        self.path == other.path && self.places == other.places && all(self) == all(other)
    }
}

impl Eq for ImageFile {}

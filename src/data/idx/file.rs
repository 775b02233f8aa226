//! One IDX file.
//!
//! It is a header of big-endian 32-bit numbers and then the values, big-endian too, nothing else:
//!
//! ```text
//! images   0x00000803  count  rows  columns   count x rows x columns pixels
//! labels   0x00000801  count                  count labels
//! ```
//!
//! The magic number says what follows: `08` is "unsigned bytes" (`0b`, `0c`: whole numbers of 16 and 32 bits; `0d`, `0e`:
//! fractions of 32 and 64), the last digit is the number of dimensions. Images in colour have four; labels with two are
//! rows of which the first number is the label, as QMNIST has them. A header is a promise and not to be trusted: what it
//! promises is compared with the file's length before any memory is asked for.

use crate::data::npy::{Array, Kind};
use crate::data::numbers;
use crate::data::shape::ImageShape;
use crate::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek};
use std::path::Path;

/// More images than any published set of this shape has (MNIST8M: 8.1 million).
const MOST_IMAGES: u32 = 10_000_000;
/// More numbers than a label has in any published set (QMNIST: 8).
const MOST_COLUMNS: u32 = 64;

/// What every gzip file starts with, whatever its name.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Deflate cannot pack more than this many bytes into one.
const DEFLATE_LIMIT: u64 = 1032;

/// How many bytes gzip may well have packed into one (MNIST's: 4.8).
const USUAL_RATIO: u64 = 16;

/// A type of values.
#[derive(Debug)]
pub(super) struct Type {
    /// The third byte of a file.
    code: u8,
    /// What the names of files end with.
    pub name: &'static str,
    letter: u8,
    size: usize,
}

/// The types that are read.
pub(super) const TYPES: [Type; 5] = {
    const fn of(code: u8, name: &'static str, letter: u8, size: usize) -> Type {
        Type {
            code,
            name,
            letter,
            size,
        }
    }
    [
        of(0x08, "ubyte", b'u', 1),
        of(0x0b, "short", b'i', 2),
        of(0x0c, "int", b'i', 4),
        of(0x0d, "float", b'f', 4),
        of(0x0e, "double", b'f', 8),
    ]
};

/// What a file holds, which is what its header must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Images,
    Labels,
}

/// The values of a file.
#[derive(Debug)]
pub(super) enum Values {
    /// Bytes.
    Bytes {
        /// The size of each dimension.
        shape: Vec<usize>,
        bytes: Vec<u8>,
    },
    /// Numbers of another type.
    Numbers(Array),
}

/// What a header promises.
struct Promise {
    kind: Kind,
    /// The size of each dimension.
    sizes: Vec<u32>,
}

impl Content {
    pub fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Labels => "labels",
        }
    }

    /// The fewest dimensions, for which there may be one more.
    fn dimensions(self) -> u32 {
        match self {
            Self::Images => 3,
            Self::Labels => 1,
        }
    }

    /// What a header promises, of which the first bytes are these; or what is wrong with it.
    fn promise(self, header: &[u8]) -> std::result::Result<Promise, String> {
        if header.trim_ascii_start().starts_with(b"<") {
            return Err(
                "it is a web page, or the like: what should be here was not downloaded".into(),
            );
        }
        let numbers: Vec<u32> = header
            .chunks_exact(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        let too_short = |dimensions: u32| {
            let (found, length) = (header.len(), 4 + 4 * dimensions);
            format!("it ends after {found} bytes, within its header of {length}")
        };
        let least = self.dimensions();
        let Some((magic, sizes)) = numbers.split_first() else {
            return Err(too_short(least));
        };
        let dimensions = magic & 0xff;
        let is_one = |known: &&Type| u32::from(known.code) == magic >> 8;
        let known = TYPES.iter().find(is_one);
        let known = known.filter(|_| (least..=least + 1).contains(&dimensions));
        let known = known.ok_or_else(|| {
            format!(
                "it starts with 0x{magic:08x}; an IDX file of {} starts with 0x{:08x}",
                self.name(),
                0x0800 + least
            )
        })?;
        if sizes.len() < dimensions as usize {
            return Err(too_short(dimensions));
        }
        let promise = Promise {
            kind: Kind {
                letter: known.letter,
                size: known.size,
                big_endian: true,
            },
            sizes: sizes[..dimensions as usize].to_vec(),
        };
        self.check(&promise.sizes)?;
        Ok(promise)
    }

    /// Checks that a file may have dimensions of these sizes.
    fn check(self, sizes: &[u32]) -> std::result::Result<(), String> {
        let most = ImageShape::LARGEST_SIDE as u32;
        match (self, sizes) {
            (Self::Images, &[_, height, width])
                if ![height, width].iter().all(|side| (1..=most).contains(side)) =>
            {
                Err(format!(
                    "its images are {height} x {width} pixels; 1 to {most} a side is what can be learnt from"
                ))
            }
            (Self::Labels, &[_, columns]) if !(1..=MOST_COLUMNS).contains(&columns) => Err(
                format!("its labels have {columns} numbers each; the most is {MOST_COLUMNS}"),
            ),
            (_, &[0, ..]) => Err(format!("it holds no {}", self.name())),
            (Self::Images, sizes) => {
                let sizes: Vec<usize> = sizes.iter().map(|&size| size as usize).collect();
                numbers::shape(&sizes).map(|_| ())
            }
            _ => Ok(()),
        }
    }
}

/// The header of a file of bytes with dimensions of these sizes.
pub(super) fn header(sizes: &[u32]) -> Vec<u8> {
    let magic = 0x0800 + sizes.len() as u32;
    let numbers = [&[magic], sizes].concat();
    let bytes = numbers.iter().flat_map(|number| number.to_be_bytes());
    bytes.collect()
}

/// The bytes of a header, as many as there are of it.
fn read_header(source: &mut impl Read, content: Content) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    let mut read_up_to = |header: &mut Vec<u8>, dimensions: u32| {
        let missing = u64::from(4 + 4 * dimensions).saturating_sub(header.len() as u64);
        source.by_ref().take(missing).read_to_end(header)
    };
    let least = content.dimensions();
    read_up_to(&mut header, least)?;
    // The magic number ends with how many dimensions there are: some headers are longer.
    let dimensions = header.get(3).map_or(0, |&byte| u32::from(byte));
    if dimensions == least + 1 {
        read_up_to(&mut header, dimensions)?;
    }
    Ok(header)
}

/// The values in one file, after its header was found to be right.
pub(super) fn read(path: &Path, content: Content) -> Result<Values> {
    let bad = |why: String| Error::input(path.display(), why);
    let unreadable = |error: io::Error| match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            bad(format!("its gzip data are damaged: {error}"))
        }
        _ => Error::failed(path.display(), error),
    };

    let mut file = File::open(path).map_err(unreadable)?;
    let stored = file.metadata().map_err(unreadable)?.len();
    let mut start = Vec::new();
    (&file)
        .take(GZIP.len() as u64)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let gzipped = start == GZIP;
    let mut source: Box<dyn Read> = match gzipped {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    };

    let header = read_header(&mut source, content).map_err(unreadable)?;
    let promised = content.promise(&header).map_err(bad)?;
    let size = promised.size();
    let begin = header.len() as u64;
    let whole = begin + size;
    let count = promised.sizes[0];
    let promise = format!(
        "its header promises {count} {}, {whole} bytes in all",
        content.name()
    );
    if gzipped && whole / DEFLATE_LIMIT > stored {
        return Err(bad(format!(
            "{promise}, more than {stored} bytes of gzip can hold"
        )));
    }
    if !gzipped && whole != stored {
        return Err(bad(format!("{promise}; the file has {stored}")));
    }
    if count > MOST_IMAGES {
        return Err(bad(format!("{promise}; the most is {MOST_IMAGES}")));
    }

    // A raw file is known to be as long as promised. A gzipped one shows it only by arriving: if it promises more than
    // usual, room is made for the rest when it comes.
    let room = match gzipped {
        true => size.min(stored.saturating_mul(USUAL_RATIO)),
        false => size,
    };
    let mut values = Vec::new();
    values
        .try_reserve_exact(
            usize::try_from(room)
                .unwrap_or(usize::MAX)
                .saturating_add(1),
        )
        .map_err(|error| Error::failed(path.display(), error))?;
    source
        .take(size + 1)
        .read_to_end(&mut values)
        .map_err(unreadable)?;
    match values.len() as u64 {
        found if found == size => Ok(promised.values(values)),
        found if found < size => Err(bad(format!("{promise}; it ends after {}", begin + found))),
        _ => Err(bad(format!("{promise}; there are more"))),
    }
}

impl Promise {
    /// Bytes of all values. Sizes that were found to be right have a product.
    fn size(&self) -> u64 {
        let sizes = self.sizes.iter().map(|&size| u64::from(size));
        sizes.product::<u64>() * self.kind.size as u64
    }

    /// The values that some bytes are.
    fn values(&self, bytes: Vec<u8>) -> Values {
        let shape = self.sizes.iter().map(|&size| size as usize).collect();
        if self.kind.size == 1 {
            return Values::Bytes { shape, bytes };
        }
        let values = bytes.chunks_exact(self.kind.size);
        Values::Numbers(Array {
            shape,
            values: values.map(|bytes| self.kind.value(bytes)).collect(),
            numbers: self.kind.numbers(),
        })
    }
}

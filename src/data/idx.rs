//! The IDX format, in which MNIST has always been published.
//!
//! A file is a header of big-endian 32-bit numbers and then one byte a value, nothing else:
//!
//! ```text
//! images   0x00000803  count  rows  columns   count x rows x columns pixels
//! labels   0x00000801  count                  count labels
//! ```
//!
//! The magic number says what follows: `08` is "unsigned bytes", the last digit is the number of
//! dimensions. A data set is four such files, often gzipped. A header is a promise and not to be
//! trusted: what it promises is compared with the file's length before any memory is asked for.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::dataset::{Dataset, Split};
use super::shape::ImageShape;
use crate::checksum::sha256;
use crate::{Error, Result, files};

/// The names of the four files, in the order in which this crate writes and digests them.
pub const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// More images than any published set of this shape has (MNIST8M: 8.1 million).
const MOST_IMAGES: u32 = 10_000_000;

/// What every gzip file starts with, whatever its name.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Deflate cannot pack more than this many bytes into one.
const DEFLATE_LIMIT: u64 = 1032;

/// Where data sets have their files within a folder: there, or where torchvision puts them.
const PLACES: [&str; 3] = ["", "raw", "MNIST/raw"];

/// Whether there are IDX files in a folder.
pub fn is_in(folder: &Path) -> bool {
    PLACES.iter().any(|place| has_any(&folder.join(place)))
}

fn has_any(folder: &Path) -> bool {
    FILES.iter().any(|file| find(folder, file).is_ok())
}

/// Reads the four files in `folder`, or in `MNIST/raw` there, each raw or gzipped, in either spelling of their names
/// (`train-images-idx3-ubyte` or `train-images.idx3-ubyte`). Without a file of labels all are 0; without one of test
/// images there are none.
///
/// # Errors
///
/// If the training images are missing; if a file cannot be read, or is anything else than its header promises; if
/// images and labels differ in number, or training and test images in shape.
pub fn read_folder(folder: &Path) -> Result<Dataset> {
    let kind = fs::metadata(folder).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::input(folder.display(), "there is no such folder")
            .hint("a data source is `auto`, `mnist`, `synthetic`, a folder of IDX files or pictures, or a file of arrays"),
        _ => Error::failed(folder.display(), error),
    })?;
    if !kind.is_dir() {
        return Err(Error::input(folder.display(), "this is not a folder")
            .hint("give a folder of IDX files or pictures, or a file of arrays (.npy, .npz)"));
    }
    let places = PLACES.map(|place| folder.join(place));
    let deeper = places.iter().skip(1).find(|place| has_any(place));
    let home = deeper.filter(|_| !has_any(folder));
    let home = home.map_or(folder, PathBuf::as_path);
    let [train_images, train_labels, test_images, test_labels] = FILES.map(|f| find(home, f));
    let train = read_split(&train_images?, train_labels.ok().as_deref())?;
    let test = match test_images {
        Ok(images) => read_split(&images, test_labels.ok().as_deref())?,
        Err(_) => Split {
            pixels: Vec::new(),
            labels: Vec::new(),
            shape: train.shape,
        },
    };
    if test.shape != train.shape {
        let why = format!(
            "its training images are {}, its test images {}",
            train.shape, test.shape
        );
        return Err(Error::input(folder.display(), why));
    }
    Ok(Dataset {
        train,
        test,
        name: format!("IDX files in {}", folder.display()),
    })
}

/// Writes the four files, raw, into `folder`, which is made if need be. Each appears whole or not
/// at all.
///
/// # Errors
///
/// If the folder cannot be made or written.
pub fn write_folder(folder: &Path, dataset: &Dataset) -> Result<()> {
    files::create_folder(folder)?;
    for part in parts(dataset) {
        let content = [part.header.as_slice(), part.body].concat();
        files::write_durably(&folder.join(part.file), &content)?;
    }
    Ok(())
}

/// One of the four files, as it would be on disk: `header`, then `body`.
pub struct Part<'a> {
    /// The file's name, one of [`FILES`].
    pub file: &'static str,
    /// Magic number and dimensions.
    pub header: Vec<u8>,
    /// One byte a value.
    pub body: &'a [u8],
}

/// A data set as its four files, in the order of [`FILES`].
pub fn parts(dataset: &Dataset) -> [Part<'_>; 4] {
    let part = |file, content: Content, split: &Split, body| Part {
        file: FILES[file],
        header: content.header(split),
        body,
    };
    let (train, test) = (&dataset.train, &dataset.test);
    [
        part(0, Content::Images, train, train.pixels.as_slice()),
        part(1, Content::Labels, train, train.labels.as_slice()),
        part(2, Content::Images, test, test.pixels.as_slice()),
        part(3, Content::Labels, test, test.labels.as_slice()),
    ]
}

impl Dataset {
    /// The SHA-256 sum of the data, by which a run knows what it was trained on.
    ///
    /// It is that of the four raw IDX files one after the other, in the order of [`FILES`]:
    /// the same whether the data were zipped, unzipped or downloaded, and `cat | sha256sum` can
    /// tell it too.
    pub fn digest(&self) -> String {
        let parts = parts(self);
        let pieces: Vec<&[u8]> = parts
            .iter()
            .flat_map(|part| [part.header.as_slice(), part.body])
            .collect();
        sha256(&pieces)
    }
}

/// What a file holds, which is what its header must say.
#[derive(Debug, Clone, Copy)]
enum Content {
    Images,
    Labels,
}

impl Content {
    fn magic(self) -> u32 {
        match self {
            Self::Images => 0x0803,
            Self::Labels => 0x0801,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Labels => "labels",
        }
    }

    /// Magic number, count, and of images rows and columns.
    fn header_length(self) -> u64 {
        match self {
            Self::Images => 16,
            Self::Labels => 8,
        }
    }

    /// The header of the file of a split. Images in colour have their channels as a fourth dimension.
    fn header(self, split: &Split) -> Vec<u8> {
        let count = split.len() as u32;
        let numbers = match (self, split.shape.grid().map(|size| size as u32)) {
            (Self::Labels, _) => vec![self.magic(), count],
            (Self::Images, [rows, columns, 1]) => vec![self.magic(), count, rows, columns],
            (Self::Images, [rows, columns, channels]) => {
                vec![self.magic() + 1, count, rows, columns, channels]
            }
        };
        numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    }

    /// The number of items that a header promises, and the shape of each; or what is wrong with it.
    fn promise(self, header: &[u8]) -> std::result::Result<(u32, ImageShape), String> {
        let numbers: Vec<u32> = header
            .chunks_exact(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        if header.trim_ascii_start().starts_with(b"<") {
            return Err(
                "it is a web page, or the like: what should be here was not downloaded".into(),
            );
        }
        if let Some(&magic) = numbers.first()
            && magic != self.magic()
        {
            return Err(format!(
                "it starts with 0x{magic:08x}; an IDX file of {} starts with 0x{:08x}",
                self.name(),
                self.magic()
            ));
        }
        if (header.len() as u64) < self.header_length() {
            return Err(format!(
                "it ends after {} bytes, within its header of {}",
                header.len(),
                self.header_length()
            ));
        }
        let [height, width] = match self {
            Self::Images => [numbers[2], numbers[3]].map(|size| size as usize),
            Self::Labels => [1, 1],
        };
        let most = ImageShape::LARGEST_SIDE;
        if ![height, width].iter().all(|side| (1..=most).contains(side)) {
            return Err(format!(
                "its images are {height} x {width} pixels; 1 to {most} a side is what can be learnt from"
            ));
        }
        let shape = ImageShape {
            height,
            width,
            channels: 1,
        };
        match numbers[1] {
            0 => Err(format!("it holds no {}", self.name())),
            count => Ok((count, shape)),
        }
    }
}

/// The path of one of [`FILES`] in `folder`, as it is spelt there.
fn find(folder: &Path, file: &str) -> Result<PathBuf> {
    let dotted = file.replacen("-idx", ".idx", 1);
    for base in [file, &dotted] {
        for suffix in ["", ".gz"] {
            let path = folder.join(format!("{base}{suffix}"));
            // Nothing but a file will do: some archives unpack to a folder of the same name.
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    let why = format!("there is no file {file} in it, nor {file}.gz");
    let [needed, others @ ..] = FILES;
    let others = others.join(", ");
    let hint = format!("the folder must hold {needed}, and may hold {others}, each raw or .gz");
    Err(Error::input(folder.display(), why).hint(hint))
}

fn read_split(images: &Path, labels: Option<&Path>) -> Result<Split> {
    let (pixels, shape) = read(images, Content::Images)?;
    let count = pixels.len() / shape.values();
    let split = Split {
        labels: match labels {
            Some(labels) => read(labels, Content::Labels)?.0,
            None => vec![0; count],
        },
        pixels,
        shape,
    };
    match labels {
        Some(labels) if count != split.len() => {
            let why = format!("{} labels for {count} images", split.len());
            Err(Error::input(labels.display(), why)
                .hint(format!("the images are those in {}", images.display())))
        }
        _ => Ok(split),
    }
}

/// The values in one file, after its header was found to be right.
fn read(path: &Path, content: Content) -> Result<(Vec<u8>, ImageShape)> {
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

    let mut header = Vec::new();
    source
        .by_ref()
        .take(content.header_length())
        .read_to_end(&mut header)
        .map_err(unreadable)?;
    let (count, shape) = content.promise(&header).map_err(bad)?;
    let size = u64::from(count) * shape.values() as u64;
    let whole = content.header_length() + size;
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

    // A raw file is known to be as long as promised. A gzipped one shows it only by arriving.
    let mut values = Vec::new();
    if !gzipped {
        values
            .try_reserve_exact(size as usize + 1)
            .map_err(|error| Error::failed(path.display(), error))?;
    }
    source
        .take(size + 1)
        .read_to_end(&mut values)
        .map_err(unreadable)?;
    match values.len() as u64 {
        found if found == size => Ok((values, shape)),
        found if found < size => Err(bad(format!(
            "{promise}; it ends after {}",
            content.header_length() + found
        ))),
        _ => Err(bad(format!("{promise}; there are more"))),
    }
}

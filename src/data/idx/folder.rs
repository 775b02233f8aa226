//! Data sets as IDX files in a folder.

use super::file::{Content, Values, header, read};
use super::names::{FILES, Files, find};
use crate::checksum::Sum;
use crate::data::dataset::{Dataset, Split};
use crate::data::numbers::{self, channels_last, scale, shape};
use crate::{Error, Result, files};
use std::path::Path;

/// Reads the four files in `folder`, or in `MNIST/raw` there and the like, each raw or gzipped, in either spelling of
/// their names (`train-images-idx3-ubyte` or `train-images.idx3-ubyte`), with the name of a set before them or without; or
/// those that go with a path to training images. Without a file of labels all are 0; without one of test images there are
/// none.
///
/// # Errors
///
/// If the training images are missing, or there are several; if a file cannot be read, or is anything else than its header
/// promises; if images and labels differ in number, or training and test images in shape.
pub fn read_folder(folder: &Path) -> Result<Dataset> {
    let Files {
        train_images,
        train_labels,
        test_images,
        test_labels,
    } = find(folder)?;
    let (train, test) = rayon::join(
        || read_half(&train_images, train_labels.as_deref()),
        || {
            let test = test_images.as_deref();
            test.map(|images| read_half(images, test_labels.as_deref()))
                .transpose()
        },
    );
    let (train, test) = (train?, test?);
    // What the numbers of training images are, those of test images are.
    let scale = train.images.1.scale();
    let train = train.split(scale)?;
    let test = match test {
        Some(test) => test.split(scale)?,
        None => Split {
            pixels: Vec::new().into(),
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

impl Values {
    /// What makes bytes of them, if they are images.
    fn scale(&self) -> f32 {
        match self {
            Self::Bytes { .. } => 1.0,
            Self::Numbers(array) => scale(array),
        }
    }

    /// The images that they are.
    fn images(self, scale: f32) -> numbers::Found<Split> {
        let (sizes, bytes) = match self {
            Self::Numbers(array) => return numbers::split(array, None, scale),
            Self::Bytes { shape, bytes } => (shape, bytes),
        };
        let (count, shape, channels_first) = shape(&sizes)?;
        Ok(Split {
            pixels: match channels_first {
                true => channels_last(&bytes, shape).into(),
                false => bytes.into(),
            },
            labels: vec![0; count],
            shape,
        })
    }

    /// The labels that they are: the first number of each row.
    fn labels(self) -> numbers::Found<Vec<u8>> {
        let step = |shape: &[usize]| shape[1..].iter().product();
        match self {
            Self::Bytes { shape, bytes } => match step(&shape) {
                1 => Ok(bytes),
                columns => Ok(bytes.into_iter().step_by(columns).collect()),
            },
            Self::Numbers(array) => {
                let values = array.values.into_iter().step_by(step(&array.shape));
                let values: Vec<f32> = values.collect();
                numbers::labels(&values, values.len())
            }
        }
    }
}

/// What the files of a half of a data set hold.
struct Half<'a> {
    images: (&'a Path, Values),
    labels: Option<(&'a Path, Values)>,
}

impl Half<'_> {
    /// The images, whose numbers are bytes multiplied by `scale`, and their labels.
    fn split(self, scale: f32) -> Result<Split> {
        let bad = |path: &Path, why: String| Error::input(path.display(), why);
        let (path, images) = self.images;
        let mut split = images.images(scale).map_err(|why| bad(path, why))?;
        let Some((labels, found)) = self.labels else {
            return Ok(split);
        };
        let found = found.labels().map_err(|why| bad(labels, why))?;
        if found.len() != split.len() {
            let why = format!("{} labels for {} images", found.len(), split.len());
            let hint = format!("the images are those in {}", path.display());
            return Err(bad(labels, why).hint(hint));
        }
        split.labels = found;
        Ok(split)
    }
}

fn read_half<'a>(images: &'a Path, labels: Option<&'a Path>) -> Result<Half<'a>> {
    Ok(Half {
        images: (images, read(images, Content::Images)?),
        labels: match labels {
            Some(path) => Some((path, read(path, Content::Labels)?)),
            None => None,
        },
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
        let mut content = Vec::new();
        part.each_piece(&mut |piece| content.extend_from_slice(piece))?;
        files::write_durably(&folder.join(part.file), &content)?;
    }
    Ok(())
}

/// One of the four files, as it would be on disk.
pub struct Part<'a> {
    /// The file's name.
    pub file: String,
    /// Magic number and dimensions.
    header: Vec<u8>,
    /// What follows: one byte a value.
    body: Body<'a>,
}

enum Body<'a> {
    Images(&'a Split),
    Labels(&'a [u8]),
}

impl Part<'_> {
    /// Hands over its content, piece by piece.
    fn each_piece(&self, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        take(&self.header);
        match self.body {
            Body::Images(split) => split.each_piece(take),
            Body::Labels(labels) => {
                take(labels);
                Ok(())
            }
        }
    }
}

/// The SHA-256 sum of some of the files, one after the other.
///
/// # Errors
///
/// If an image cannot be read any more.
pub fn sum(parts: &[Part<'_>]) -> Result<String> {
    let mut sum = Sum::default();
    for part in parts {
        part.each_piece(&mut |piece| sum.update(piece))?;
    }
    Ok(sum.finish())
}

/// A data set as its four files, in the order of [`FILES`].
pub fn parts(dataset: &Dataset) -> [Part<'_>; 4] {
    let (train, test) = (&dataset.train, &dataset.test);
    [
        images_part(FILES[0], train),
        labels_part(FILES[1], train),
        images_part(FILES[2], test),
        labels_part(FILES[3], test),
    ]
}

/// The file of images; those in colour have their channels as a fourth dimension.
fn images_part<'a>(file: &str, split: &'a Split) -> Part<'a> {
    let sizes = split.shape.grid().map(|size| size as u32);
    let mut sizes = [&[split.len() as u32], &sizes[..]].concat();
    let mut file = file.to_string();
    match sizes[3] {
        1 => sizes.truncate(3),
        _ => file = file.replace("idx3", "idx4"),
    }
    Part {
        file,
        header: header(&sizes),
        body: Body::Images(split),
    }
}

/// The file of labels.
fn labels_part<'a>(file: &str, split: &'a Split) -> Part<'a> {
    Part {
        file: file.into(),
        header: header(&[split.len() as u32]),
        body: Body::Labels(&split.labels),
    }
}

impl Dataset {
    /// The SHA-256 sum of the data, by which a run knows what it was trained on.
    ///
    /// It is that of the four raw IDX files one after the other, in the order of [`FILES`]:
    /// the same whether the data were zipped, unzipped or downloaded, and `cat | sha256sum` can
    /// tell it too.
    ///
    /// # Errors
    ///
    /// If an image cannot be read any more.
    pub fn digest(&self) -> Result<String> {
        sum(&parts(self))
    }
}

//! A folder of pictures as a data set.

use super::cache::{self, Decoded};
use super::decode::{LARGEST_FILE, decode, dimensions};
use super::fit::fit;
use super::list::{List, PictureFile, list};
use super::reading::Reading;
use crate::checksum::sha256;
use crate::data::dataset::{Dataset, Split};
use crate::data::hold_out::held_out;
use crate::data::shape::ImageShape;
use crate::data::source::Notice;
use crate::parallel::map;
use crate::{Error, Result, files};
use std::path::Path;

/// Files that are read before it is said how far that is.
const CHUNK: usize = 256;
/// Pictures that are looked at to find out what size and colours they have.
const LOOKED_AT: usize = 200;
/// The longest side of images whose size nobody has asked for.
const LONGEST_SIDE: usize = 64;
/// Files that cannot be read are named, up to so many; without another number, one in a hundred may be so.
const NAMED: usize = 5;
const BAD_ONE_IN: usize = 100;

/// A folder of pictures as data, and what is known of them besides.
#[derive(Debug)]
pub struct Pictures {
    /// The pictures.
    pub dataset: Dataset,
    /// What the labels stand for, if they stand for something.
    pub labels: Vec<String>,
    /// Whether some of them were held out as test images.
    pub held_out: bool,
}

/// Reads the pictures in a folder and those in it, on all threads. What was decoded is kept in the user's cache folder,
/// under the content of all files; what cannot be read is told to `notify`.
///
/// # Errors
///
/// If there is no picture, or too many files that cannot be read.
pub fn read_folder(
    folder: &Path,
    reading: &Reading,
    notify: &mut dyn FnMut(Notice),
) -> Result<Pictures> {
    let List {
        files,
        labels,
        passed_over,
    } = list(folder)?;
    for why in passed_over.iter().take(NAMED) {
        notify(Notice::Warning(format!("passed over: {why}")));
    }
    if files.is_empty() {
        let hint = "pictures are PNG, JPEG, WebP, BMP, GIF and TIFF files; IDX files have names such as train-images-idx3-ubyte";
        return Err(Error::input(folder.display(), "holds no pictures").hint(hint));
    }
    let digests = digests(&files, notify);
    let shape = shape(&files, reading)?;
    let key = key(&files, &digests, shape, reading);
    let held_out = files.iter().all(|file| file.is_test.is_none());
    let decoded = match cache::read(&key) {
        Some(decoded) => decoded,
        None => {
            let decoded = decode_all(&files, &digests, shape, reading, notify);
            refuse_bad(&decoded, files.len(), folder, reading)?;
            if decoded.train.is_empty() || decoded.test.is_empty() {
                let why = "there is no picture to learn from, or none to be tested on";
                return Err(Error::input(folder.display(), why).hint("it takes two at least"));
            }
            if let Err(error) = cache::write(&key, &decoded) {
                notify(Notice::Warning(format!(
                    "decoded pictures cannot be cached ({error}); they will be decoded each time"
                )));
            }
            decoded
        }
    };
    if decoded.bad_count > 0 {
        notify(Notice::Warning(bad_in_words(&decoded, files.len())));
    }
    Ok(Pictures {
        dataset: decoded.dataset(format!("pictures in {}", folder.display())),
        labels,
        held_out,
    })
}

/// The checksum of each file's content; of what cannot be read an empty text.
fn digests(files: &[PictureFile], notify: &mut dyn FnMut(Notice)) -> Vec<String> {
    in_chunks(files, "looking at pictures", notify, |file| {
        let content = files::read(&file.path, LARGEST_FILE);
        content.map_or_else(|_| String::new(), |content| sha256(&[&content]))
    })
}

/// What `of` makes of each file, on all threads; how far that is is told.
fn in_chunks<T: Send>(
    files: &[PictureFile],
    what: &'static str,
    notify: &mut dyn FnMut(Notice),
    of: impl Fn(&PictureFile) -> T + Sync,
) -> Vec<T> {
    let all = files.len() as u64;
    let mut made = Vec::with_capacity(files.len());
    for chunk in files.chunks(CHUNK) {
        made.extend(map(chunk, &of));
        let done = made.len() as u64;
        notify(Notice::Progress { what, done, all });
    }
    made
}

/// The shape that was asked for; what was not is what pictures usually have.
fn shape(files: &[PictureFile], reading: &Reading) -> Result<ImageShape> {
    let with = |[height, width]: [usize; 2], channels| ImageShape {
        height,
        width,
        channels,
    };
    if let (Some(size), Some(channels)) = (reading.size, reading.channels) {
        return Ok(with(size, channels));
    }
    let step = files.len().div_ceil(LOOKED_AT);
    let some: Vec<&PictureFile> = files.iter().step_by(step).collect();
    let found = map(some, |file| {
        let content = files::read(&file.path, LARGEST_FILE).ok()?;
        let (size, may_have_colours) = dimensions(&content).ok()?;
        let has_colours = may_have_colours
            && decode(&content).is_ok_and(|picture| {
                picture
                    .to_rgb8()
                    .pixels()
                    .any(|pixel| pixel.0 != [pixel.0[0]; 3])
            });
        Some((size, has_colours))
    });
    let found: Vec<([usize; 2], bool)> = found.into_iter().flatten().collect();
    let mut sizes: Vec<[usize; 2]> = found.iter().map(|(size, _)| *size).collect();
    sizes.sort_unstable();
    let frequent = sizes.chunk_by(|a, b| a == b).max_by_key(|same| same.len());
    let usual = frequent.map(|same| same[0]).ok_or_else(|| {
        let why = "is no picture that can be read, nor are others beside it";
        Error::input(files[0].path.display(), why)
    })?;
    let channels = if found.iter().any(|(_, has_colours)| *has_colours) {
        3
    } else {
        1
    };
    Ok(with(
        reading.size.unwrap_or_else(|| handy(usual)),
        reading.channels.unwrap_or(channels),
    ))
}

/// A size of about the same proportions that layers can halve, and that is learnt in minutes.
fn handy(size: [usize; 2]) -> [usize; 2] {
    let longest = size[0].max(size[1]);
    let scale = (LONGEST_SIDE as f64 / longest as f64).min(1.0);
    // Layers halve it twice, or three times.
    let multiple = if longest <= 32 { 4 } else { 8 };
    size.map(|side| {
        let side = side as f64 * scale / multiple as f64;
        (side.round() as usize).max(1) * multiple
    })
}

/// What decoded pictures are kept under: all that decides them.
fn key(files: &[PictureFile], digests: &[String], shape: ImageShape, reading: &Reading) -> String {
    let names = files.iter().zip(digests).map(|(file, digest)| {
        let (name, label) = (file.name.to_string_lossy(), file.label);
        format!("{digest} {label} {:?} {name}\n", file.is_test)
    });
    let names: String = names.collect();
    let Reading {
        fit,
        test_share,
        seed,
        ..
    } = reading;
    let how = format!("{shape} {fit:?} {test_share} {seed}\n");
    sha256(&[how.as_bytes(), names.as_bytes()])
}

fn decode_all(
    files: &[PictureFile],
    digests: &[String],
    shape: ImageShape,
    reading: &Reading,
    notify: &mut dyn FnMut(Notice),
) -> Decoded {
    let images = in_chunks(files, "decoding pictures", notify, |file| {
        let content = files::read(&file.path, LARGEST_FILE).map_err(|error| error.why)?;
        Ok::<_, String>(fit(decode(&content)?, shape, reading.fit))
    });
    let contents = digests.iter().map(String::as_bytes);
    let sides = held_out(contents, reading.test_share, reading.seed);
    let nothing = || Split {
        pixels: Vec::new(),
        labels: Vec::new(),
        shape,
    };
    let mut decoded = Decoded {
        train: nothing(),
        test: nothing(),
        bad: Vec::new(),
        bad_count: 0,
    };
    for ((file, image), held_out) in files.iter().zip(images).zip(sides) {
        let split = match file.is_test.unwrap_or(held_out) {
            true => &mut decoded.test,
            false => &mut decoded.train,
        };
        match image {
            Ok(image) => {
                split.pixels.extend(image);
                split.labels.push(file.label);
            }
            Err(why) => {
                decoded.bad_count += 1;
                if decoded.bad.len() < NAMED {
                    decoded.bad.push(format!("{}: {why}", file.name.display()));
                }
            }
        }
    }
    decoded
}

fn refuse_bad(decoded: &Decoded, files: usize, folder: &Path, reading: &Reading) -> Result<()> {
    let allowed = reading.bad_images.unwrap_or(files.div_ceil(BAD_ONE_IN));
    match decoded.bad_count <= allowed {
        true => Ok(()),
        false => Err(Error::input(folder.display(), bad_in_words(decoded, files))
            .hint("to go on without them: --bad-images N")),
    }
}

fn bad_in_words(decoded: &Decoded, files: usize) -> String {
    let Decoded { bad, bad_count, .. } = decoded;
    let more = match bad_count - bad.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!(
        "{bad_count} of {files} pictures cannot be read: {}{more}",
        bad.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_made_handy() {
        for (size, expected) in [
            ([28, 28], [28, 28]),
            ([32, 32], [32, 32]),
            ([218, 178], [64, 56]),
            ([480, 640], [48, 64]),
            ([1, 1000], [8, 64]),
            ([64, 64], [64, 64]),
        ] {
            assert_eq!(handy(size), expected, "{size:?}");
        }
    }
}

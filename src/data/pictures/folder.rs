//! A folder of pictures as a data set.

use super::cache::{self, Decoded, Writer};
use super::decode::{decode, dimensions};
use super::fit::{Fit, fit};
use super::list::{List, PictureFile, list};
use super::memory::most_in_memory;
use super::reading::Reading;
use crate::checksum::sha256;
use crate::data::dataset::{Dataset, Split};
use crate::data::hold_out::{self, held_out};
use crate::data::shape::ImageShape;
use crate::data::source::Notice;
use crate::parallel::map;
use crate::{Error, Result};
use std::collections::HashSet;
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
    read(list(folder)?, folder, reading, notify)
}

/// The same of a list of pictures that are in some place.
///
/// # Errors
///
/// The same.
pub fn read(
    list: List,
    place: &Path,
    reading: &Reading,
    notify: &mut dyn FnMut(Notice),
) -> Result<Pictures> {
    let List {
        files,
        labels,
        notes,
    } = list;
    if files.is_empty() {
        let hint = "pictures are PNG, JPEG, WebP, BMP, GIF and TIFF files; IDX files have names such as train-images-idx3-ubyte";
        return Err(Error::input(place.display(), "holds no pictures").hint(hint));
    }
    notes
        .into_iter()
        .for_each(|note| notify(Notice::Warning(note)));
    let digests = digests(&files, notify)?;
    // What shape was found to be usual is kept, too, so that nothing is decoded for it again.
    let guess = key(&files, &digests, reading);
    let known = asked_for(reading).or_else(|| Some(kept(&guess, 0)?.shape));
    let shape = known.map_or_else(|| shape(&files, reading), Ok)?;
    let exact = Reading {
        size: Some([shape.height, shape.width]),
        channels: Some(shape.channels),
        ..*reading
    };
    let key = key(&files, &digests, &exact);
    let most = most_in_memory();
    let check = |bad: &[(usize, String)]| refuse_bad(bad, &files, place, reading);
    let decoded = match kept(&key, most) {
        Some(kept) => {
            check(&kept.bad)?;
            kept
        }
        None if (files.len() * shape.values()) as u64 <= most => {
            decode_into_memory(&files, (&key, shape, reading.fit), check, notify)?
        }
        None => decode_into_file(&files, (&key, shape, reading.fit), check, notify)?,
    };
    if known.is_none() {
        // A shape that cannot be kept is found again.
        let _ = keep(&guess, shape, &[], &[]);
    }
    if !decoded.bad.is_empty() {
        notify(Notice::Warning(in_words(&decoded.bad, &files)));
    }
    let held_out = files.iter().all(|file| file.is_test.is_none());
    let [train, test] = halves(decoded, &files, &digests, reading);
    let name = format!("pictures in {}", place.display());
    Ok(Pictures {
        dataset: Dataset { train, test, name },
        labels,
        held_out,
    })
}

/// The shape that was asked for, if all of it was.
fn asked_for(reading: &Reading) -> Option<ImageShape> {
    let [height, width] = reading.size?;
    Some(ImageShape {
        height,
        width,
        channels: reading.channels?,
    })
}

/// Checks that enough files could be read.
fn refuse_bad(
    bad: &[(usize, String)],
    files: &[PictureFile],
    place: &Path,
    reading: &Reading,
) -> Result<()> {
    let allowed = reading
        .bad_images
        .unwrap_or(files.len().div_ceil(BAD_ONE_IN));
    if bad.len() > allowed {
        let hint = "to go on without them: --bad-images N";
        return Err(Error::input(place.display(), in_words(bad, files)).hint(hint));
    }
    match files.len() - bad.len() {
        0 | 1 => {
            let why = "there is no picture to learn from, or none to be tested on";
            Err(Error::input(place.display(), why).hint("it takes two at least"))
        }
        _ => Ok(()),
    }
}

/// The pictures to learn from, and those to be tested on.
fn halves(
    decoded: Decoded,
    files: &[PictureFile],
    digests: &[String],
    reading: &Reading,
) -> [Split; 2] {
    let bad: HashSet<usize> = decoded.bad.iter().map(|(number, _)| *number).collect();
    let good = (0..files.len()).filter(|number| !bad.contains(number));
    let good: Vec<usize> = good.collect();
    let places = good
        .iter()
        .map(|&number| hold_out::place(digests[number].as_bytes(), reading.seed));
    let held_out = held_out(&places.collect::<Vec<_>>(), reading.test_share);
    let sides = good.iter().zip(held_out);
    let sides = sides.map(|(&number, held_out)| files[number].is_test.unwrap_or(held_out));
    let sides: Vec<bool> = sides.collect();
    let all = Split {
        pixels: decoded.pixels,
        labels: good.iter().map(|&number| files[number].label).collect(),
        shape: decoded.shape,
    };
    all.divided(&sides)
}

/// The checksum of each file's content; of what cannot be read an empty text.
fn digests(files: &[PictureFile], notify: &mut dyn FnMut(Notice)) -> Result<Vec<String>> {
    let digest = |file: &PictureFile| {
        let content = file.content();
        content.map_or_else(|_| String::new(), |content| sha256(&[&content]))
    };
    let mut digests = Vec::with_capacity(files.len());
    in_chunks(files, "looking at pictures", notify, digest, |digest| {
        digests.push(digest);
        Ok(())
    })?;
    Ok(digests)
}

/// Makes something of each file on all threads, and takes it, one after the other; how far that is is told.
fn in_chunks<T: Send>(
    files: &[PictureFile],
    what: &'static str,
    notify: &mut dyn FnMut(Notice),
    make: impl Fn(&PictureFile) -> T + Sync,
    take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let all = files.len() as u64;
    let (mut done, mut take) = (0, take);
    for chunk in files.chunks(CHUNK) {
        map(chunk, &make).into_iter().try_for_each(&mut take)?;
        done += chunk.len() as u64;
        notify(Notice::Progress { what, done, all });
    }
    Ok(())
}

/// The shape that was asked for; what was not is what pictures usually have.
fn shape(files: &[PictureFile], reading: &Reading) -> Result<ImageShape> {
    let step = files.len().div_ceil(LOOKED_AT);
    let some: Vec<&PictureFile> = files.iter().step_by(step).collect();
    let found = map(some, |file| {
        let content = file.content().ok()?;
        let (size, may_have_colours) = dimensions(&content).ok()?;
        let has_colours = reading.channels.is_none()
            && may_have_colours
            && decode(&content).is_ok_and(|picture| {
                picture
                    .to_rgb8()
                    .pixels()
                    .any(|pixel| pixel.0 != [pixel.0[0]; 3])
            });
        Some((size, has_colours))
    });
    let found: Vec<([usize; 2], bool)> = found.into_iter().flatten().collect();
    if found.is_empty() {
        let first = &files[0];
        let content = first.content();
        let why = content.and_then(|content| dimensions(&content)).err();
        let why = format!(
            "cannot be read, nor can others beside it: {}",
            why.unwrap_or_default()
        );
        return Err(Error::input(first.place(), why));
    }
    let sizes: Vec<[usize; 2]> = found.iter().map(|(size, _)| *size).collect();
    let channels = if found.iter().any(|(_, has_colours)| *has_colours) {
        3
    } else {
        1
    };
    let [height, width] = reading.size.unwrap_or_else(|| handy(usual(&sizes)));
    Ok(ImageShape {
        height,
        width,
        channels: reading.channels.unwrap_or(channels),
    })
}

/// A size whose longer side and whose proportions are in the middle of those of pictures.
fn usual(sizes: &[[usize; 2]]) -> [usize; 2] {
    let median = |of: &dyn Fn(&[usize; 2]) -> f64| {
        let mut values: Vec<f64> = sizes.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let longer = median(&|[height, width]| *height.max(width) as f64);
    let upright = median(&|[height, width]| *height as f64 / *width as f64);
    [longer * upright.min(1.0), longer / upright.max(1.0)]
        .map(|side| side.round().max(1.0) as usize)
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
fn key(files: &[PictureFile], digests: &[String], reading: &Reading) -> String {
    let names = files.iter().zip(digests).map(|(file, digest)| {
        let name = file.name.to_string_lossy();
        format!("{digest} {name}\n")
    });
    let names: String = names.collect();
    let Reading {
        size,
        channels,
        fit,
        ..
    } = reading;
    let how = format!("{size:?} {channels:?} {fit:?}\n");
    sha256(&[how.as_bytes(), names.as_bytes()])
}

/// What is kept under a key: in memory, where it is no more than `most` bytes.
fn kept(key: &str, most: u64) -> Option<Decoded> {
    cache::read(&cache::file(key)?, key, most)
}

/// Keeps what was decoded under a key, if there is a place for it.
fn keep(key: &str, shape: ImageShape, pixels: &[u8], bad: &[(usize, String)]) -> Result<()> {
    let Some(file) = cache::file(key) else {
        return Ok(());
    };
    let mut writer = Writer::create(&file, key, shape)?;
    let mut images = pixels.chunks_exact(shape.values());
    images.try_for_each(|image| writer.push(image))?;
    writer.finish(bad)
}

/// Decodes pictures that memory has room for, and keeps them, if it can and `check` is content with what could not be read.
fn decode_into_memory(
    files: &[PictureFile],
    (key, shape, fit): (&str, ImageShape, Fit),
    check: impl Fn(&[(usize, String)]) -> Result<()>,
    notify: &mut dyn FnMut(Notice),
) -> Result<Decoded> {
    let mut pixels = Vec::with_capacity(files.len() * shape.values());
    let take = |image: &[u8]| {
        pixels.extend_from_slice(image);
        Ok(())
    };
    let bad = decode_all(files, (shape, fit), take, notify)?;
    check(&bad)?;
    if let Err(error) = keep(key, shape, &pixels, &bad) {
        notify(Notice::Warning(format!(
            "decoded pictures cannot be cached ({error}); they will be decoded each time"
        )));
    }
    Ok(Decoded {
        shape,
        pixels: pixels.into(),
        bad,
    })
}

/// Decodes pictures that memory has no room for into the file that keeps them.
fn decode_into_file(
    files: &[PictureFile],
    (key, shape, fit): (&str, ImageShape, Fit),
    check: impl Fn(&[(usize, String)]) -> Result<()>,
    notify: &mut dyn FnMut(Notice),
) -> Result<Decoded> {
    let room = (files.len() * shape.values()) as f64 / f64::from(1 << 30);
    let hint = format!(
        "decoded, the pictures are {room:.1} GiB, more than half of the free memory, and must be kept there; \
         a smaller --image-size takes less"
    );
    let unkept = |error: Error| error.hint(&hint);
    let no_place = || Error::failed("the user's cache folder", "there is none");
    let file = cache::file(key).ok_or_else(no_place).map_err(unkept)?;
    let mut writer = Writer::create(&file, key, shape).map_err(unkept)?;
    let take = |image: &[u8]| writer.push(image).map_err(unkept);
    let bad = decode_all(files, (shape, fit), take, notify)?;
    check(&bad)?;
    writer.finish(&bad).map_err(unkept)?;
    let why = "its pictures are not what was written";
    cache::read(&file, key, 0).ok_or_else(|| Error::failed(file.display(), why))
}

/// Hands over the pixels of each picture that can be read, one after the other; the numbers of the others, and why.
fn decode_all(
    files: &[PictureFile],
    (shape, how): (ImageShape, Fit),
    mut take: impl FnMut(&[u8]) -> Result<()>,
    notify: &mut dyn FnMut(Notice),
) -> Result<Vec<(usize, String)>> {
    let image = |file: &PictureFile| {
        let content = file.content()?;
        Ok::<_, String>(fit(decode(&content)?, shape, how))
    };
    let (mut number, mut bad) = (0, Vec::new());
    in_chunks(files, "decoding pictures", notify, image, |image| {
        match image {
            Ok(image) => take(&image)?,
            Err(why) => bad.push((number, why)),
        }
        number += 1;
        Ok(())
    })?;
    Ok(bad)
}

/// Which files could not be read, and why: the first of them.
fn in_words(bad: &[(usize, String)], files: &[PictureFile]) -> String {
    let named = bad.iter().take(NAMED).map(|(number, why)| {
        let name = files[*number].name.display().to_string();
        format!("{}: {why}", name.escape_debug())
    });
    let named: Vec<String> = named.collect();
    let more = match bad.len() - named.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!(
        "{} of {} pictures cannot be read: {}{more}",
        bad.len(),
        files.len(),
        named.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_size_is_in_the_middle() {
        assert_eq!(usual(&[[218, 178]; 5]), [218, 178]);
        let photos = [[85, 130], [84, 130], [200, 40], [90, 128], [86, 131]];
        assert_eq!(usual(&photos), [85, 130]);
    }

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

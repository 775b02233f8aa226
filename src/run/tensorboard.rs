//! Event files for TensorBoard: the metrics and pictures of a run once more, in its format.
//!
//! A file is a list of records: the length of a content, the content, and a sum of each
//! (<https://www.tensorflow.org/tutorials/load_data/tfrecord>). A content is an `Event` of Protocol Buffers, with a
//! `Summary` of values (`event.proto` and `summary.proto` of <https://github.com/tensorflow/tensorboard>). Training and
//! test have a folder each, which TensorBoard takes for two runs: it draws them in one chart.
//!
//! `metrics.jsonl` and the pictures beside it are what holds. From those the files are made anew each time that a
//! training begins or goes on; then each metric is added as it comes.

use super::dir::RunDir;
use super::metrics::{Metric, SplitName};
use super::names::LOCK;
use crate::checksum::crc32c;
use crate::files;
use crate::protobuf::Message;
use crate::{Error, Result};
use image::ImageDecoder;
use image::codecs::png::PngDecoder;
use std::fs::File;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What the names of event files begin with, by which TensorBoard knows them; and what those of ours end with.
const EVENTS: (&str, &str) = ("events.out.tfevents.", ".vae");
/// What the first event of a file says of it.
const VERSION: &str = "brain.Event:2";
/// No picture of a run is larger.
const LARGEST_PICTURE: u64 = 256 << 20;

/// The event files of a run, open at their ends.
#[derive(Debug)]
pub struct EventFiles {
    run: RunDir,
    train: EventFile,
    test: EventFile,
}

impl EventFiles {
    /// Makes the files of a run anew that tell of `metrics` and the pictures of their steps; those that were there are
    /// emptied.
    ///
    /// # Errors
    ///
    /// If a file cannot be written, or a picture cannot be read.
    pub fn open(run: &RunDir, metrics: &[Metric]) -> Result<Self> {
        let mut files = Self {
            run: run.clone(),
            train: EventFile::create(&run.events("train"))?,
            test: EventFile::create(&run.events("test"))?,
        };
        // Their times are those of the pictures, and of the run's beginning.
        let mut time = modified(&run.path().join(LOCK));
        for metric in metrics {
            time = modified(&run.sample(metric.step)).or(time);
            files.write(metric, time.unwrap_or_else(SystemTime::now))?;
        }
        files.train.retire_others()?;
        files.test.retire_others()?;
        Ok(files)
    }

    /// Adds a metric, and the pictures of its step if it is one of training.
    ///
    /// # Errors
    ///
    /// If a file cannot be written, or a picture cannot be read.
    pub fn push(&mut self, metric: &Metric) -> Result<()> {
        self.write(metric, SystemTime::now())
    }

    fn write(&mut self, metric: &Metric, time: SystemTime) -> Result<()> {
        let mut values = scalars(metric);
        let file = match metric.split {
            SplitName::Test => &mut self.test,
            SplitName::Train => {
                let step = metric.step;
                values.extend(picture("reconstructions", &self.run.reconstruction(step))?);
                values.extend(picture("samples", &self.run.sample(step))?);
                &mut self.train
            }
        };
        let summary = Message::new().messages(1, &values);
        file.append(event(time, metric.step).message(5, &summary))
    }
}

/// An event file, open at its end.
#[derive(Debug)]
struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new file in a folder that is made if need be, named after the time, as TensorBoard has it.
    fn create(folder: &Path) -> Result<Self> {
        files::create_folder(folder)?;
        let now = SystemTime::now();
        let name = format!("{}{:010}{}", EVENTS.0, seconds(now) as u64, EVENTS.1);
        let path = folder.join(name);
        let file = File::create(&path).map_err(|error| cannot_write(&path, &error))?;
        let mut events = Self { path, file };
        events.append(event(now, 0).text(3, VERSION))?;
        // A session starts at step 0: who watches forgets what the file before this one said.
        events.append(event(now, 0).message(7, &Message::new().integer(1, 1)))?;
        Ok(events)
    }

    fn append(&mut self, event: Message) -> Result<()> {
        let written = self.file.write_all(&record(&event.into_bytes()));
        written.map_err(|error| cannot_write(&self.path, &error))
    }

    /// Empties the event files before this one: who watches one finds no more in it, and goes on to this one; of a file
    /// that is gone TensorBoard would wait for more. Those that are empty already are removed.
    fn retire_others(&self) -> Result<()> {
        let folder = self.path.parent().map(std::fs::read_dir);
        for entry in folder.into_iter().flatten().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_ours = name.starts_with(EVENTS.0) && name.ends_with(EVENTS.1);
            if !is_ours || path == self.path {
                continue;
            }
            match std::fs::metadata(&path).is_ok_and(|file| file.len() == 0) {
                true => files::remove(&path)?,
                false => drop(File::create(&path).map_err(|error| cannot_write(&path, &error))?),
            }
        }
        Ok(())
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::failed(path.display(), format!("cannot be written: {error}"))
}

/// A content as a record: its length, the sum of that, itself, and its sum.
fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let sum = |bytes: &[u8]| masked(crc32c(bytes)).to_le_bytes();
    [&length[..], &sum(&length), content, &sum(content)].concat()
}

/// A sum as records have it, so that sums of what holds sums stay good.
fn masked(sum: u32) -> u32 {
    sum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The beginning of an `Event`.
fn event(time: SystemTime, step: u64) -> Message {
    Message::new()
        .double(1, seconds(time))
        .integer(2, step as i64)
}

/// The numbers of a metric, each a `Summary.Value` under its name in `metrics.jsonl`.
fn scalars(metric: &Metric) -> Vec<Message> {
    let numbers = [
        ("loss", Some(metric.loss)),
        ("reconstruction", metric.reconstruction),
        ("squared_error", Some(metric.squared_error)),
        ("kl", Some(metric.kl)),
        ("beta", metric.beta),
        ("learning_rate", metric.learning_rate),
        ("images_per_second", metric.images_per_second),
    ];
    let there = numbers
        .into_iter()
        .filter_map(|(name, number)| Some((name, number?)));
    there
        .map(|(name, number)| Message::new().text(1, name).float(2, number as f32))
        .collect()
}

/// A PNG as a `Summary.Value`; none if there is no such file, or it is no picture.
fn picture(name: &str, path: &Path) -> Result<Option<Message>> {
    if !files::is_taken(path) {
        return Ok(None);
    }
    let png = files::read(path, LARGEST_PICTURE)?;
    let Ok(decoder) = PngDecoder::new(Cursor::new(&png)) else {
        return Ok(None);
    };
    let (width, height) = decoder.dimensions();
    let channels = decoder.color_type().channel_count();
    let image = Message::new()
        .integer(1, height.into())
        .integer(2, width.into())
        .integer(3, channels.into())
        .bytes(4, &png);
    Ok(Some(Message::new().text(1, name).message(4, &image)))
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|file| file.modified())
        .ok()
}

//! Published data sets from the Hugging Face hub.
//!
//! Three steps: `hf-hub` fetches two Parquet files into the cache that all Hugging Face programs
//! share, they are compared with the checksums the hub gave for them, and `candle-datasets`
//! decodes them. A file that is not what it should be is removed from that cache and fetched once
//! more; if it were left there, every later start would trip over it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use candle_core::Tensor;
use hf_hub::progress::{DownloadEvent, ProgressEvent, ProgressHandler};
use hf_hub::{HFClient, HFClientSync, HFError, HFRepositorySync, RepoTypeDataset};

use super::sets::{Published, Repository};
use crate::checksum::sha256;
use crate::data::dataset::{Dataset, Split};
use crate::data::shape::ImageShape;
use crate::data::source::Notice;
use crate::patience::{Pulse, patiently, quietly};
use crate::{Error, Result};

/// The revision of a repository in which candle-datasets expects its files.
const REVISION: &str = "refs/convert/parquet";

/// How often a request that finds nobody, or a server in trouble, is repeated.
const RETRIES: usize = 2;
/// How long the hub may be silent, in seconds, unless `HF_HUB_DOWNLOAD_TIMEOUT` says otherwise. The
/// hub client itself would wait for ever.
const SILENCE: u64 = 30;
/// How long decoding may take, in seconds. It takes a few.
const DECODING: u64 = 60;
/// How often a download that takes its time says how far it is.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// A data set from the cache of the hub client, else from the hub.
pub(super) fn fetch(set: &'static Published, notify: &mut dyn FnMut(Notice)) -> Result<Dataset> {
    let unusable = |error| match error {
        HFError::Url(why) => Error::input("HF_ENDPOINT", format!("this is not an address: {why}"))
            .hint("it is usually not set, or https://huggingface.co"),
        error => Error::failed("the Hugging Face hub client", explain(&error)),
    };
    let client = HFClient::builder()
        .retry_max_attempts(RETRIES)
        .build()
        .map_err(unusable)?;
    let endpoint = client.endpoint().to_owned();
    let kept = client.cache_dir().join(set.hub.folder());
    let client = HFClientSync::from_inner(client).map_err(unusable)?;

    let mut first = true;
    loop {
        let files = fetch_files(set, &client, &endpoint, notify)?;
        let why = match verify(&set.hub, &files).and_then(|()| decode(set)) {
            Ok(dataset) => return Ok(dataset),
            Err(why) => why,
        };
        discard(set, &kept)?;
        if !first {
            return Err(failure(
                set,
                &endpoint,
                format!("what arrives is damaged: {why}"),
            ));
        }
        first = false;
        notify(Notice::Warning(format!(
            "the copy of {} in {} is damaged ({why}); downloading it again",
            set.title,
            kept.display()
        )));
    }
}

/// The local paths of the two files, downloaded if need be.
fn fetch_files(
    set: &'static Published,
    client: &HFClientSync,
    endpoint: &str,
    notify: &mut dyn FnMut(Notice),
) -> Result<Vec<PathBuf>> {
    let repository = client.dataset(set.hub.owner, set.hub.name);
    let mut announced = false;
    let mut paths = Vec::new();
    for file in set.hub.files {
        let local = repository
            .download_file()
            .filename(file)
            .revision(REVISION)
            .local_files_only(true)
            .send();
        if let Ok(path) = local {
            paths.push(path);
            continue;
        }
        if offline() {
            let why = "HF_HUB_OFFLINE is set, and there is no good copy on this machine";
            return Err(failure(set, endpoint, why));
        }
        if !announced {
            announced = true;
            notify(Notice::Note(format!(
                "downloading {} from {endpoint} (about {} MB)",
                set.title, set.hub.megabytes
            )));
        }
        let path = download(repository.clone(), file, notify);
        paths.push(path.map_err(|why| failure(set, endpoint, why))?);
    }
    Ok(paths)
}

/// Downloads one file, and says now and then how far it is.
fn download(
    repository: HFRepositorySync<RepoTypeDataset>,
    file: &'static str,
    notify: &mut dyn FnMut(Notice),
) -> std::result::Result<PathBuf, String> {
    let limit = silence();
    let mut last_report = Instant::now();
    let report = |arrived, size| {
        if last_report.elapsed() >= REPORT_EVERY {
            last_report = Instant::now();
            let (arrived, size) = (arrived as f64 / 1e6, size as f64 / 1e6);
            notify(Notice::Note(format!(
                "{arrived:.1} of {size:.1} MB of {file} have arrived"
            )));
        }
    };
    let work = move |pulse| {
        repository
            .download_file()
            .filename(file)
            .revision(REVISION)
            .progress(pulse)
            .send()
    };
    match patiently(limit, work, report) {
        Ok(result) => result.map_err(|error| explain(&error)),
        Err(RecvTimeoutError::Timeout) => Err(format!("no answer for {limit} seconds")),
        Err(RecvTimeoutError::Disconnected) => Err("the hub client crashed".into()),
    }
}

/// Whether the user told all Hugging Face programs to stay off the network.
fn offline() -> bool {
    std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| {
        ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
    })
}

/// How long the hub may be silent.
fn silence() -> u64 {
    std::env::var("HF_HUB_DOWNLOAD_TIMEOUT")
        .ok()
        .and_then(|value| value.parse().ok())
        .filter(|&seconds| seconds > 0)
        .unwrap_or(SILENCE)
}

/// Compares each file with the sum that the hub promised: the client names files after it.
///
/// This must come before decoding. The Parquet reader repeats some errors for ever, and
/// candle-datasets asks it again for as long as it gets an answer.
fn verify(hub: &Repository, files: &[PathBuf]) -> std::result::Result<(), String> {
    for (file, path) in hub.files.iter().zip(files) {
        let explain = |error| format!("{file}: {error}");
        let blob = fs::canonicalize(path).map_err(explain)?;
        let content = fs::read(&blob).map_err(explain)?;
        let name = blob.file_name().unwrap_or_default().to_string_lossy();
        let named_after_sum = name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
        if named_after_sum && sha256(&[&content]) != name.to_ascii_lowercase() {
            return Err(format!("{file} does not have the checksum the hub gave"));
        }
    }
    Ok(())
}

/// Decodes the files in the hub client's cache; the result is the data set, or an error.
fn decode(set: &'static Published) -> std::result::Result<Dataset, String> {
    // candle-datasets panics on a picture that it cannot decode.
    let loaded = quietly(|| patiently(DECODING, |_| (set.hub.decode)(), |_, _| ()));
    let loaded = loaded
        .map_err(|_| "it cannot be decoded")?
        .map_err(first_line)?;
    let split = |images, labels| split(images, labels, set.shape).map_err(first_line);
    let dataset = Dataset {
        train: split(&loaded.train_images, &loaded.train_labels)?,
        test: split(&loaded.test_images, &loaded.test_labels)?,
        name: set.dataset_name(),
    };
    set.check(&dataset)?;
    Ok(dataset)
}

/// Turns candle's numbers, 0 to 1, back into the bytes they were made from.
///
/// # Shapes
///
/// Grey images are (count, rows x columns); those in colour are (count, channels, columns, rows), for so candle-datasets
/// turns them.
fn split(images: &Tensor, labels: &Tensor, shape: ImageShape) -> candle_core::Result<Split> {
    let images = match images.rank() {
        4 => images.permute((0, 3, 2, 1))?,
        _ => images.clone(),
    };
    let count = images.dim(0)?;
    let mut pixels = Vec::with_capacity(images.elem_count());
    // In blocks, because all of them as f32 are hundreds of MB, once more.
    const BLOCK: usize = 1000;
    for start in (0..count).step_by(BLOCK) {
        let block = images.narrow(0, start, BLOCK.min(count - start))?;
        let values = block.flatten_all()?.to_vec1::<f32>()?;
        pixels.extend(values.iter().map(|value| (value * 255.0).round() as u8));
    }
    let labels = labels.to_vec1::<u8>()?;
    Ok(Split {
        pixels: pixels.into(),
        labels,
        shape,
    })
}

/// Removes the repository from the hub client's cache.
fn discard(set: &Published, kept: &Path) -> Result<()> {
    match fs::remove_dir_all(kept) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::failed(
            kept.display(),
            format!(
                "this copy of {} is damaged and cannot be removed: {error}",
                set.title
            ),
        )
        .hint("remove it by hand")),
        _ => Ok(()),
    }
}

impl<T: Send> ProgressHandler for Pulse<T> {
    fn on_progress(&self, event: &ProgressEvent) {
        let (arrived, size) = match event {
            ProgressEvent::Download(DownloadEvent::Start { total_bytes, .. }) => (0, *total_bytes),
            ProgressEvent::Download(DownloadEvent::AggregateProgress {
                bytes_completed,
                total_bytes,
                ..
            }) => (*bytes_completed, *total_bytes),
            ProgressEvent::Download(DownloadEvent::Progress { files }) => files
                .last()
                .map_or((0, 0), |file| (file.bytes_completed, file.total_bytes)),
            _ => return,
        };
        self.beat(arrived, size);
    }
}

/// The error of a download.
fn failure(set: &Published, endpoint: &str, why: impl std::fmt::Display) -> Error {
    let what = format!("downloading {} from {endpoint}", set.title);
    Error::failed(what, why).hint(format!(
        "check the network and HF_ENDPOINT; or {}; or use built-in digits: --data synthetic",
        set.instead
    ))
}

impl Repository {
    /// The folder of the repository in the hub client's cache.
    fn folder(&self) -> String {
        let parts = ["datasets", self.owner, self.name];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("--")
    }
}

/// What went wrong, in a few words: the hub client's own messages leave out the cause.
fn explain(error: &HFError) -> String {
    match error {
        HFError::Http { context } => format!("it answers {}", context.status),
        HFError::EntryNotFound { path, .. } => format!("it has no file {path}"),
        HFError::Io(error) => {
            format!("the hub client's cache cannot be written: {error} (HF_HOME moves it)")
        }
        HFError::CacheLockTimeout { path } => format!(
            "another program seems to be downloading it ({} is locked)",
            path.display()
        ),
        HFError::Request { source, .. } => {
            let mut cause: &dyn std::error::Error = source;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            match source.is_body() || source.is_decode() {
                true => format!("the connection broke: {}", first_line(cause)),
                false => first_line(cause),
            }
        }
        other => first_line(other),
    }
}

/// An error's message without what may follow it: candle appends backtraces if asked to make them.
fn first_line(error: impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().into()
}

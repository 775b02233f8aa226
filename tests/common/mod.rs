//! A place to run the program in: a folder of its own, with tiny data and the config of a tiny model.

#![allow(dead_code)] // Each file of tests uses its part of this.

pub mod browser;
pub mod wire;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use vae::data::idx::write_folder;
use vae::data::{Dataset, ImageShape, Split};

/// A model of some thousand weights, trained in a blink.
pub const TINY: &str = r#"{
  "data": "data", "steps": 30, "batch_size": 8, "latent_dim": 3, "warmup_steps": 5, "learning_rate": 0.02, "beta": 0.1,
  "image_every": 10, "save_every": 10, "eval_every": 20,
  "encoder": [
    {"conv": {"channels": 4, "kernel": 4, "stride": 2, "padding": 1, "activation": "relu"}},
    {"dense": {"features": 16, "activation": {"leaky_relu": 0.1}}}
  ],
  "decoder": [
    {"dense": {"features": 196, "activation": "relu"}},
    {"reshape": [4, 7, 7]},
    {"conv_transpose": {"channels": 4, "kernel": 4, "stride": 2, "padding": 1, "activation": "relu"}},
    {"conv_transpose": {"channels": 1, "kernel": 4, "stride": 2, "padding": 1, "activation": "sigmoid"}}
  ]
}"#;

/// Has the programs that a test starts hear signals, also where the tests themselves were started to ignore one, as a
/// script's background jobs are: what a process catches, its children do by default.
#[cfg(unix)]
fn hear_signals() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use std::sync::{Arc, Once, atomic::AtomicBool};

    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            let always = Arc::new(AtomicBool::new(true));
            signal_hook::flag::register_conditional_default(signal, always).unwrap();
        }
    });
}

/// Sends a signal, named as `kill` names it.
#[cfg(unix)]
pub fn signal(child: &std::process::Child, signal: &str) {
    let kill = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

/// A safetensors file of ours with its checksum made good again, so that something else is wrong with it.
pub fn sealed_again(mut file: Vec<u8>) -> Vec<u8> {
    let name = br#"\"sha256\":\""#;
    let place = file.windows(name.len()).position(|part| part == name);
    if let Some(place) = place.map(|place| place + name.len())
        && file.len() >= place + 64
    {
        let digest = file[place..place + 64].to_vec();
        vae::run::weights::seal(&mut file, &digest);
    }
    file
}

/// Says plainly that the test at hand is skipped, past the harness that would swallow it.
pub fn skip(why: &str) {
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    let line = format!("SKIPPED: {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// The folder that an environment variable names; if it is not set, the test which wants it is skipped.
pub fn given(variable: &str, holding: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        skip(&format!("{variable} is not set to a folder with {holding}"));
    }
    folder
}

/// The Python that an environment variable names, if it has these modules; else the test which wants it is skipped.
pub fn python(variable: &str, modules: &str) -> Option<PathBuf> {
    let Some(python) = std::env::var_os(variable).map(PathBuf::from) else {
        skip(&format!("{variable} is not set to a Python with {modules}"));
        return None;
    };
    let import = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .output();
    if !import.is_ok_and(|output| output.status.success()) {
        skip(&format!("{} cannot import {modules}", python.display()));
        return None;
    }
    Some(python)
}

/// A temporary folder that holds `data/` (200 training and 50 test images) and `tiny.json`.
pub struct Place(TempDir);

/// What a run of the program left on its streams.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code, as a shell has it: 128 and the number of the signal that ended it, if one did.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub time: Duration,
}

impl Place {
    pub fn new() -> Self {
        #[cfg(unix)]
        hear_signals();
        let place = Self(TempDir::new().unwrap());
        write_folder(&place.path("data"), &shapes()).unwrap();
        place.write("tiny.json", TINY);
        place
    }

    /// A place with a model in `run/`, trained a little.
    pub fn with_model() -> Self {
        let place = Self::new();
        place.ok("train --config tiny.json --out run");
        place
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The pictures in an array file, after a look at its header.
    pub fn array(&self, npy: &str, count: usize) -> Vec<f32> {
        let file = self.read(npy);
        assert_eq!(&file[..8], b"\x93NUMPY\x01\x00");
        let header = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
        assert_eq!(header % 64, 0);
        let expected =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, 28, 28), }}");
        let found = std::str::from_utf8(&file[10..header]).unwrap();
        assert_eq!(found.trim_end(), expected);
        let (values, rest) = file[header..].as_chunks::<4>();
        assert_eq!((values.len(), rest.len()), (count * 784, 0));
        values
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect()
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// `tiny.json` with some values changed, under another name.
    pub fn config(&self, name: &str, changes: &[(&str, Value)]) {
        let mut config = self.json("tiny.json");
        for (pointer, value) in changes {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            config.pointer_mut(parent).unwrap()[key] = value.clone();
        }
        self.write(name, config.to_string());
    }

    /// The program with arguments that are set apart by spaces. It sees no network and no cache.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vae"));
        command
            .args(line.split_whitespace())
            .current_dir(self.path(""))
            .stdin(Stdio::null())
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("home"))
            .env("HF_HOME", self.path("home"))
            .env_remove("HF_HUB_CACHE")
            .env("HF_HUB_OFFLINE", "1");
        command
    }

    pub fn vae(&self, line: &str) -> Outcome {
        let begun = Instant::now();
        let output = self.command(line).output().unwrap();
        Outcome::new(output, begun.elapsed())
    }

    /// Runs what has to succeed.
    #[track_caller]
    pub fn ok(&self, line: &str) -> Outcome {
        let outcome = self.vae(line);
        assert_eq!(outcome.code, Some(0), "vae {line}: {}", outcome.stderr);
        outcome
    }

    /// Runs what cannot work, and checks that it says so as every failure does and touches no file.
    #[track_caller]
    pub fn refused(&self, line: &str, code: i32, why: &str) {
        let before = self.files("");
        let outcome = self.vae(&format!("{line} --quiet"));
        let said = format!("vae {line}: {outcome:?}");
        assert_eq!(outcome.code, Some(code), "{said}");
        assert_eq!(outcome.stdout, "", "{said}");
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        assert!(lines[0].starts_with("error: "), "{said}");
        assert!(lines[1..].iter().all(|l| l.starts_with("hint: ")), "{said}");
        assert!(lines.len() <= 2, "{said}");
        assert!(outcome.stderr.contains(why), "no `{why}` in {said}");
        assert!(outcome.time < Duration::from_secs(10), "{said}");
        assert!(self.files("") == before, "files changed: {said}");
    }

    /// Checks that two runs left the same files, but for the speed in their metrics.
    #[track_caller]
    pub fn assert_same(&self, run: &str, other: &str) {
        assert_eq!(self.metrics(run), self.metrics(other));
        let files = [run, other].map(|run| {
            let mut files = self.files(run);
            files.remove("metrics.jsonl");
            files
        });
        let names = files
            .each_ref()
            .map(|files| files.keys().collect::<Vec<_>>());
        assert_eq!(names[0], names[1]);
        for (name, content) in &files[0] {
            assert!(files[1][name] == *content, "{name} differs");
        }
    }

    /// Columns and rows of a PNG file.
    pub fn size_of(&self, png: &str) -> (u32, u32) {
        let picture = image::load_from_memory_with_format(&self.read(png), image::ImageFormat::Png);
        let picture = picture.unwrap_or_else(|error| panic!("{png}: {error}"));
        (picture.width(), picture.height())
    }

    /// All files below a folder with their content.
    pub fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        fn visit(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    visit(root, &path, files);
                } else {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                    files.insert(name.into(), fs::read(&path).unwrap());
                }
            }
        }
        let (root, mut files) = (self.path(folder), BTreeMap::new());
        visit(&root, &root, &mut files);
        files
    }

    /// The lines of a run's metrics, without the one thing in them that depends on the machine.
    pub fn metrics(&self, run: &str) -> Vec<Value> {
        let text = self.text(&format!("{run}/metrics.jsonl"));
        let lines = text.lines().map(|line| {
            let mut metric: Value = serde_json::from_str(line).unwrap();
            metric.as_object_mut().unwrap().remove("images_per_second");
            metric
        });
        lines.collect()
    }
}

impl Outcome {
    pub fn new(output: Output, time: Duration) -> Self {
        Self {
            code: exit_code(output.status),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            time,
        }
    }
}

fn exit_code(status: ExitStatus) -> Option<i32> {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Some(128 + signal);
    }
    status.code()
}

/// Rows or columns of a grid of so many pictures: twice 28 pixels each, and a gap of 2.
pub fn grid(pictures: u32) -> u32 {
    pictures * 58 + 2
}

/// Bright rectangles of many sizes in many places.
fn shapes() -> Dataset {
    let image = |number: usize| {
        let [left, top] = [3 + number % 11, 3 + number * 7 % 11];
        let [width, height] = [2 + number * 5 % 9, 2 + number * 3 % 10];
        let ink = move |x, y| (left..left + width).contains(&x) && (top..top + height).contains(&y);
        let ImageShape { width, .. } = ImageShape::MNIST;
        (0..ImageShape::MNIST.values()).map(move |pixel| {
            if ink(pixel % width, pixel / width) {
                250
            } else {
                0
            }
        })
    };
    let split = |numbers: std::ops::Range<usize>| Split {
        labels: numbers.clone().map(|number| number as u8 % 10).collect(),
        pixels: numbers.flat_map(image).collect(),
        shape: ImageShape::MNIST,
    };
    Dataset {
        train: split(0..200),
        test: split(200..250),
        name: "shapes".into(),
    }
}

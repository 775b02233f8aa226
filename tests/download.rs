//! What the program does when the hub, the network or a cache is not as it should be.
//!
//! The scenarios with whole downloads need a stand-in for the hub: a folder with `serve.py`, which
//! serves MNIST's Parquet files on the loopback interface, named by `VAE_TEST_HUB`. Without it
//! they say that they are skipped. The others bring a small server of their own.

#![cfg(all(unix, feature = "download"))]

mod common;

use common::{TINY, given};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Nobody listens here.
const NOBODY: &str = "http://127.0.0.1:9";

/// A home folder of its own for each scenario, so that nothing is cached at first.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Our own cache.
    fn cache(&self) -> PathBuf {
        let caches = match cfg!(target_os = "macos") {
            true => "Library/Caches",
            false => "cache",
        };
        self.0.path().join(caches).join("vae/mnist")
    }

    /// The hub client's cache.
    fn hub_cache(&self) -> PathBuf {
        let hub = self.0.path().join("huggingface/hub");
        hub.join("datasets--ylecun--mnist")
    }

    /// The command that needs MNIST and does as little as possible with it.
    fn train(&self, endpoint: &str, data: &str) -> Command {
        let out = self.0.path().join("run");
        let _ = fs::remove_dir_all(&out);
        let config = self.0.path().join("tiny.json");
        fs::write(&config, TINY).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_vae"));
        command
            .args(["train", "--data", data, "--steps", "1", "--out"])
            .arg(out)
            .arg("--config")
            .arg(config)
            .env("HOME", self.0.path())
            .env("XDG_CACHE_HOME", self.0.path().join("cache"))
            .env("HF_HOME", self.0.path().join("huggingface"))
            .env("HF_ENDPOINT", endpoint);
        for name in [
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "HF_HUB_DOWNLOAD_TIMEOUT",
            "HF_TOKEN",
            "http_proxy",
            "HTTP_PROXY",
            "all_proxy",
            "ALL_PROXY",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// It works; what it had to say.
    fn succeeds(&self, endpoint: &str) -> String {
        succeeds(&mut self.train(endpoint, "mnist"))
    }

    /// It fails, in the proper way; what it had to say.
    fn fails(&self, endpoint: &str) -> String {
        fails(self.train(endpoint, "mnist").arg("--quiet"), 1)
    }
}

fn run(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    for ugly in ["panicked", "backtrace", "Traceback"] {
        assert!(!said.contains(ugly), "{said}");
    }
    (output, said)
}

fn succeeds(command: &mut Command) -> String {
    let (output, said) = run(command);
    assert_eq!(output.status.code(), Some(0), "{said}");
    said
}

fn fails(command: &mut Command, code: i32) -> String {
    let (output, said) = run(command);
    assert_eq!(output.status.code(), Some(code), "{said}");
    let errors = said.lines().filter(|line| line.starts_with("error: "));
    assert_eq!(errors.count(), 1, "{said}");
    assert!(
        said.lines().any(|line| line.starts_with("hint: ")),
        "{said}"
    );
    assert!(output.stdout.is_empty(), "a result was announced: {said}");
    said
}

#[track_caller]
fn assert_says(said: &str, expected: impl AsRef<Path>) {
    let expected = expected.as_ref().to_str().unwrap();
    assert!(said.contains(expected), "no `{expected}` in: {said}");
}

/// Changes one byte in the middle of a file.
fn damage(file: &Path) {
    let mut content = fs::read(file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 0xff;
    fs::write(file, content).unwrap();
}

// ---------------------------------------------------------------- with a small server of our own

/// What the small server answers.
#[derive(Clone, Copy)]
enum Answer {
    /// This status, without content.
    Status(&'static str),
    /// A thousand zeros instead of a file, under this ETag.
    Zeros(&'static str),
    /// A HEAD request is answered as if all were well, and the GET request is not.
    HeadOnly,
    /// Nothing, ever.
    Silence,
}

/// A server that gives the same answer to every request for as long as the test runs.
fn serve(answer: Answer) -> String {
    serve_with(move |stream, request| {
        let head = |status: &str, etag: &str, length: usize| {
            format!(
                "HTTP/1.1 {status}\r\nETag: \"{etag}\"\r\nX-Repo-Commit: {}\r\n\
                 Content-Length: {length}\r\nConnection: close\r\n\r\n",
                "1".repeat(40)
            )
        };
        let is_head = request.starts_with("HEAD");
        let (head, body) = match answer {
            Answer::Status(status) => (head(status, "x", 0), vec![]),
            Answer::Zeros(etag) => (head("200 OK", etag, 1000), vec![0; 1000]),
            Answer::HeadOnly if is_head => (head("200 OK", &"a".repeat(64), 1000), vec![0; 1000]),
            Answer::HeadOnly => (head("404 Not Found", "x", 5), b"gone\n".to_vec()),
            Answer::Silence => return thread::sleep(Duration::from_secs(600)),
        };
        let _ = stream.write_all(head.as_bytes());
        if !is_head {
            let _ = stream.write_all(&body);
        }
    })
}

fn serve_with(answer: impl Fn(&mut TcpStream, &str) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    request.push(byte[0]);
                }
                answer(&mut stream, &String::from_utf8_lossy(&request));
            });
        }
    });
    endpoint
}

#[test]
fn without_a_network_it_fails_soon_and_says_why() {
    let home = Home::new();
    let started = Instant::now();
    let said = home.fails(NOBODY);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_says(&said, format!("downloading MNIST from {NOBODY}"));
    assert_says(&said, "refused");
    assert_says(&said, "--data synthetic");
}

#[test]
fn without_a_network_auto_warns_and_records_the_built_in_digits() {
    let home = Home::new();
    let said = succeeds(&mut home.train(NOBODY, "auto"));
    let warning = said.lines().find(|line| line.starts_with("warning: "));
    let warning = warning.expect(&said);
    assert_says(warning, "MNIST");
    assert_says(warning, "refused");
    let config = fs::read_to_string(home.0.path().join("run/config.json")).unwrap();
    assert_says(&config, "synthetic");
}

#[test]
fn an_address_that_is_none_is_wrong_usage() {
    let said = fails(&mut Home::new().train("nonsense", "mnist"), 2);
    assert_says(&said, "HF_ENDPOINT");
}

#[test]
fn offline_means_offline() {
    let home = Home::new();
    let endpoint = serve_with(|_, _| panic!("asked although offline"));
    let said = fails(home.train(&endpoint, "mnist").env("HF_HUB_OFFLINE", "1"), 1);
    assert_says(&said, "HF_HUB_OFFLINE");
}

#[test]
fn a_server_in_trouble_is_quoted() {
    for status in ["500 Internal Server Error", "503 Service Unavailable"] {
        let home = Home::new();
        assert_says(&home.fails(&serve(Answer::Status(status))), status);
        assert!(!home.cache().exists());
    }
}

#[test]
fn a_server_without_the_file_is_told_from_one_in_trouble() {
    let home = Home::new();
    let said = home.fails(&serve(Answer::Status("404 Not Found")));
    assert_says(&said, "mnist/test/0000.parquet");
}

#[test]
fn what_is_not_mnist_is_never_kept() {
    const SUM: &str = "f09d522913b1ee5b01880e550c21621872a34e7c36200cd710c10b2a4d3c69bc";
    for answer in [
        Answer::Zeros(SUM),
        Answer::Zeros("not-a-checksum"),
        Answer::HeadOnly,
    ] {
        let home = Home::new();
        assert_says(&home.fails(&serve(answer)), "damaged");
        assert!(!home.cache().exists());
        assert!(!home.hub_cache().exists());
    }
}

#[test]
fn a_silent_server_is_given_up() {
    let home = Home::new();
    let endpoint = serve(Answer::Silence);
    let mut command = home.train(&endpoint, "mnist");
    let said = fails(command.env("HF_HUB_DOWNLOAD_TIMEOUT", "2"), 1);
    assert_says(&said, "no answer for 2 seconds");
}

// ------------------------------------------------------------------- with the stand-in for the hub

/// The stand-in for the hub, stopped when dropped.
struct Hub {
    server: Child,
    endpoint: String,
}

impl Hub {
    fn start(folder: &Path, fault: &str) -> Self {
        let mut server = Command::new("python3")
            .arg(folder.join("serve.py"))
            .args(["--fault", fault])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut endpoint = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut endpoint)
            .unwrap();
        let endpoint = endpoint.trim().to_owned();
        Self { server, endpoint }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The folder of the stand-in, if there is one.
fn hub_folder() -> Option<PathBuf> {
    given("VAE_TEST_HUB", "serve.py")
}

/// With a hub at fault, an error that says why; with a healthy one thereafter, MNIST; from then on,
/// no hub at all is needed.
fn recovers_from(fault: &str, why: &str) {
    let Some(folder) = hub_folder() else { return };
    let home = Home::new();
    let said = home.fails(&Hub::start(&folder, fault).endpoint);
    assert_says(&said, why);
    assert!(!home.cache().exists());
    let said = home.succeeds(&Hub::start(&folder, "none").endpoint);
    assert_says(&said, "downloading MNIST from http://127.0.0.1");
    assert!(!said.contains("warning"), "{said}");
    let said = home.succeeds(NOBODY);
    assert!(!said.contains("downloading"), "{said}");
}

#[test]
fn a_hub_that_breaks_off_does_no_lasting_harm() {
    recovers_from("truncate", "the connection broke");
}

#[test]
fn a_hub_that_sends_garbage_does_no_lasting_harm() {
    recovers_from("garbage", "damaged");
}

#[test]
fn a_hub_in_trouble_does_no_lasting_harm() {
    recovers_from("500", "500 Internal Server Error");
}

#[test]
fn a_hub_without_the_file_does_no_lasting_harm() {
    recovers_from("404", "no file");
}

#[test]
#[ignore = "takes five minutes"]
fn a_slow_hub_is_waited_for() {
    let Some(folder) = hub_folder() else { return };
    let said = Home::new().succeeds(&Hub::start(&folder, "slow").endpoint);
    assert_says(&said, "MB of mnist/train/0000.parquet have arrived");
}

#[test]
fn a_damaged_cache_is_replaced() {
    let Some(folder) = hub_folder() else { return };
    let home = Home::new();
    home.succeeds(&Hub::start(&folder, "none").endpoint);
    let file = home.cache().join("train-images-idx3-ubyte");
    let good = fs::read(&file).unwrap();
    let truncate = |file: &Path| fs::write(file, &good[..1000]).unwrap();
    let remove = |file: &Path| fs::remove_file(file).unwrap();
    for harm in [&damage as &dyn Fn(&Path), &truncate, &remove] {
        harm(&file);
        // The hub client's own copy is still good, so no hub is needed.
        let said = home.succeeds(NOBODY);
        assert_says(&said, "warning: ");
        assert_says(&said, home.cache());
        assert!(fs::read(&file).unwrap() == good);
        assert!(!home.succeeds(NOBODY).contains("warning"));
    }
}

#[test]
fn a_damaged_copy_of_the_hub_client_is_replaced() {
    let Some(folder) = hub_folder() else { return };
    let hub = Hub::start(&folder, "none");
    let home = Home::new();
    home.succeeds(&hub.endpoint);
    let blobs = || -> Vec<PathBuf> {
        let entries = fs::read_dir(home.hub_cache().join("blobs")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let remove = |file: &Path| fs::remove_file(file).unwrap();
    for harm in [&damage as &dyn Fn(&Path), &remove] {
        blobs().iter().for_each(|blob| harm(blob));
        fs::remove_dir_all(home.cache()).unwrap();
        let is_there = !blobs().is_empty();
        let said = home.succeeds(&hub.endpoint);
        assert_says(&said, "downloading MNIST");
        assert_eq!(said.contains("warning: "), is_there, "{said}");
        assert_eq!(said.contains(home.hub_cache().to_str().unwrap()), is_there);
        assert_eq!(blobs().len(), 2);
    }
    // The same without a hub to help; the next start with one succeeds.
    blobs().iter().for_each(|blob| damage(blob));
    fs::remove_dir_all(home.cache()).unwrap();
    assert_says(&home.fails(NOBODY), "refused");
    home.succeeds(&hub.endpoint);
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    let Some(folder) = hub_folder() else { return };
    let hub = Hub::start(&folder, "none");
    let home = Home::new();
    // A file where the folder should be.
    fs::create_dir_all(home.cache().parent().unwrap()).unwrap();
    fs::write(home.cache(), "in the way").unwrap();
    let said = home.succeeds(&hub.endpoint);
    assert_says(&said, "warning: ");
    assert_says(&said, home.cache());
}

/// A hub with its two files spoilt, under names that give no checksums.
fn serve_spoilt(folder: PathBuf, spoil: fn(&mut [u8])) -> String {
    serve_with(move |stream, request| {
        let split = match request.contains("/test/") {
            true => "test",
            false => "train",
        };
        let mut content = fs::read(folder.join(format!("mnist/{split}/0000.parquet"))).unwrap();
        spoil(&mut content);
        let head = format!(
            "HTTP/1.1 200 OK\r\nETag: \"spoilt-{split}\"\r\nX-Repo-Commit: {}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            "1".repeat(40),
            content.len()
        );
        let _ = stream.write_all(head.as_bytes());
        if request.starts_with("GET") {
            let _ = stream.write_all(&content);
        }
    })
}

/// A picture that cannot be decoded makes candle-datasets panic; that must not show.
#[test]
fn a_spoilt_picture_is_an_error_like_any_other() {
    let Some(folder) = hub_folder() else { return };
    let home = Home::new();
    let endpoint = serve_spoilt(folder, |content| {
        let picture = content.windows(4).position(|bytes| bytes == b"IDAT");
        content[picture.unwrap() + 20] ^= 0x55;
    });
    assert_says(&home.fails(&endpoint), "damaged: it cannot be decoded");
    assert!(!home.hub_cache().exists());
}

/// A spoilt page makes candle-datasets read it again and again, for ever.
#[test]
#[ignore = "takes two minutes"]
fn a_spoilt_page_is_an_error_like_any_other() {
    let Some(folder) = hub_folder() else { return };
    let home = Home::new();
    let endpoint = serve_spoilt(folder, |content| {
        let middle = content.len() / 3;
        content[middle..middle + 5000].fill(0x55);
    });
    assert_says(&home.fails(&endpoint), "damaged: it cannot be decoded");
    assert!(!home.hub_cache().exists());
}

//! What the program does when the hub, the network or a cache is not as it should be.
//!
//! The hub is a stand-in (`hub`) on the loopback interface. What it serves is small and made up where the download itself
//! is looked at: it ends in an error, for the program takes nothing but MNIST. Scenarios that end well need MNIST's four
//! files, in the folder that `VAE_TEST_MNIST` names; without it they say that they are skipped.

#![cfg(all(unix, feature = "download"))]

mod common;
mod hub;

use common::{Outcome, Place, given};
use hub::{FILES, Fault, File, Hub};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Nobody listens here.
const NOBODY: &str = "http://127.0.0.1:9";

/// A home of its own for each scenario, so that nothing is cached at first, from which the network is seen.
struct Home(Place);

impl Home {
    fn new() -> Self {
        let place = Place::new();
        fs::create_dir(place.path("home")).unwrap();
        Self(place)
    }

    /// Our own cache.
    fn cache(&self) -> PathBuf {
        let caches = match cfg!(target_os = "macos") {
            true => "home/Library/Caches",
            false => "home",
        };
        self.0.path(caches).join("vae/mnist")
    }

    /// The hub client's cache.
    fn hub_cache(&self) -> PathBuf {
        self.0.path("home/hub/datasets--ylecun--mnist")
    }

    /// The files that a later start could take for MNIST. The hub client leaves others as well, and never reads them:
    /// its locks, and what had arrived when a connection broke.
    fn kept(&self) -> Vec<String> {
        let files = self.0.files("home").into_keys();
        let is_kept = |file: &String| !file.ends_with(".lock") && !file.ends_with(".incomplete");
        files.filter(is_kept).collect()
    }

    /// The command that needs MNIST and does as little as possible with it.
    fn train(&self, endpoint: &str, data: &str) -> Command {
        let _ = fs::remove_dir_all(self.0.path("run"));
        let line = format!("train --config tiny.json --data {data} --steps 1 --out run");
        let mut command = self.0.command(&line);
        command.env("HF_ENDPOINT", endpoint);
        for name in [
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "HF_HUB_DOWNLOAD_TIMEOUT",
            "HF_TOKEN",
            "http_proxy",
            "HTTP_PROXY",
            "https_proxy",
            "HTTPS_PROXY",
            "all_proxy",
            "ALL_PROXY",
            "no_proxy",
            "NO_PROXY",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// It works; what it had to say.
    #[track_caller]
    fn succeeds(&self, endpoint: &str) -> String {
        succeeds(&mut self.train(endpoint, "mnist"))
    }

    /// It fails, in the proper way, and keeps nothing; what it had to say.
    #[track_caller]
    fn fails(&self, endpoint: &str) -> String {
        let said = fails(self.train(endpoint, "mnist").arg("--quiet"), 1);
        assert_says(&said, format!("downloading MNIST from {endpoint}"));
        assert_says(&said, "--data synthetic");
        assert_eq!(self.kept(), [""; 0], "{said}");
        said
    }

    /// Where it may choose, it warns, and takes the built-in digits; why.
    #[track_caller]
    fn falls_back(&self, endpoint: &str) -> String {
        let said = succeeds(&mut self.train(endpoint, "auto"));
        let mut lines = said.lines();
        let warning = lines.rfind(|line| line.starts_with("warning: "));
        let warning = warning.expect(&said).to_owned();
        assert_says(&warning, format!("downloading MNIST from {endpoint}"));
        assert_says(&self.0.text("run/config.json"), "synthetic");
        assert_eq!(self.kept(), [""; 0], "{said}");
        warning
    }
}

#[track_caller]
fn run(command: &mut Command) -> Outcome {
    let begun = Instant::now();
    let outcome = Outcome::new(command.output().unwrap(), begun.elapsed());
    for ugly in ["panicked", "backtrace", "Traceback"] {
        assert!(!outcome.stderr.contains(ugly), "{outcome:?}");
    }
    outcome
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome.stderr
}

#[track_caller]
fn fails(command: &mut Command, code: i32) -> String {
    let outcome = run(command);
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    // A result that is announced would be on stdout.
    assert_eq!(outcome.stdout, "", "{outcome:?}");
    for start in ["error: ", "hint: "] {
        let lines = outcome.stderr.lines();
        let count = lines.filter(|line| line.starts_with(start)).count();
        assert_eq!(count, 1, "{start} in {outcome:?}");
    }
    outcome.stderr
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

/// Some hundred bright rectangles, as the hub would have them.
fn made_up() -> [File; 2] {
    hub::files(&Place::new().path("data"))
}

/// MNIST as the hub would have it, if its four files are there.
fn mnist() -> Option<&'static [File; 2]> {
    static MNIST: OnceLock<[File; 2]> = OnceLock::new();
    let folder = given("VAE_TEST_MNIST", "MNIST's four files")?;
    Some(MNIST.get_or_init(|| hub::files(&folder)))
}

// ------------------------------------------------------------------------------------ without a hub

#[test]
fn without_a_network_it_fails_soon_and_says_why() {
    let begun = Instant::now();
    assert_says(&Home::new().fails(NOBODY), "refused");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn without_a_network_auto_warns_and_records_the_built_in_digits() {
    assert_says(&Home::new().falls_back(NOBODY), "refused");
}

#[test]
fn an_address_that_is_none_is_wrong_usage() {
    let said = fails(&mut Home::new().train("nonsense", "mnist"), 2);
    assert_says(&said, "HF_ENDPOINT");
}

#[test]
fn a_proxy_is_asked_instead() {
    // Nobody has this address: only the proxy can be asked for it.
    for (variable, hub, request) in [
        (
            "http_proxy",
            "http://hub.invalid",
            "HEAD http://hub.invalid/",
        ),
        (
            "HTTP_PROXY",
            "http://hub.invalid",
            "HEAD http://hub.invalid/",
        ),
        (
            "all_proxy",
            "http://hub.invalid",
            "HEAD http://hub.invalid/",
        ),
        (
            "https_proxy",
            "https://hub.invalid",
            "CONNECT hub.invalid:443 ",
        ),
        (
            "HTTPS_PROXY",
            "https://hub.invalid",
            "CONNECT hub.invalid:443 ",
        ),
    ] {
        let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = proxy.local_addr().unwrap();
        let asked = std::thread::spawn(move || {
            let (connection, _) = proxy.accept().unwrap();
            let mut line = String::new();
            BufReader::new(connection).read_line(&mut line).unwrap();
            line
        });
        let home = Home::new();
        let mut command = home.train(hub, "mnist");
        let said = fails(
            command
                .env(variable, format!("http://{address}"))
                .arg("--quiet"),
            1,
        );
        assert_says(&said, format!("downloading MNIST from {hub}"));
        // Should nobody have asked, somebody does now.
        let _ = TcpStream::connect(address);
        let line = asked.join().unwrap();
        assert!(line.starts_with(request), "{variable}: {line}");
    }
}

#[test]
fn an_address_without_a_proxy_is_asked_itself() {
    let home = Home::new();
    let hub = Hub::start(&made_up(), Fault::None);
    let mut command = home.train(&hub.endpoint, "mnist");
    fails(
        command
            .env("http_proxy", NOBODY)
            .env("no_proxy", "127.0.0.1"),
        1,
    );
    assert_eq!(hub.downloads(), [FILES, FILES].concat());
}

#[test]
fn offline_means_offline() {
    let home = Home::new();
    let hub = Hub::start(&made_up(), Fault::None);
    let mut command = home.train(&hub.endpoint, "mnist");
    let said = fails(command.env("HF_HUB_OFFLINE", "1"), 1);
    assert_says(&said, "HF_HUB_OFFLINE");
    assert_eq!(hub.requests(), 0);
}

// ----------------------------------------------------------------------------- with made-up pictures

/// With a hub at fault, an error that says why, and nothing kept. Where it may choose, the built-in digits.
#[track_caller]
fn fails_or_falls_back(fault: Fault, why: &str) {
    let hub = Hub::start(&made_up(), fault);
    let home = Home::new();
    assert_says(&home.fails(&hub.endpoint), why);
    assert_says(&home.falls_back(&hub.endpoint), why);
}

#[test]
fn what_is_not_mnist_is_downloaded_twice_and_never_kept() {
    let home = Home::new();
    let hub = Hub::start(&made_up(), Fault::None);
    let said = fails(&mut home.train(&hub.endpoint, "mnist"), 1);
    let announced = format!("downloading MNIST from {} (about 16 MB)", hub.endpoint);
    assert_eq!(said.matches(&announced).count(), 2, "{said}");
    assert_eq!(hub.downloads(), [FILES, FILES].concat());
    // Only what has been decoded can be told from MNIST.
    assert_says(&said, "damaged: train-images-idx3-ubyte is not MNIST's");
    assert_eq!(home.kept(), [""; 0]);
    assert_says(&home.falls_back(&hub.endpoint), "is not MNIST's");
}

#[test]
fn a_connection_that_breaks_is_an_error() {
    fails_or_falls_back(Fault::Truncated, "the connection broke");
}

#[test]
fn a_file_without_the_checksum_of_the_hub_is_an_error() {
    let why = "damaged: mnist/test/0000.parquet does not have the checksum the hub gave";
    fails_or_falls_back(Fault::Garbage, why);
}

#[test]
fn a_server_in_trouble_is_quoted() {
    let status = "500 Internal Server Error";
    fails_or_falls_back(Fault::Status(status), &format!("it answers {status}"));
}

#[test]
fn a_server_without_the_file_is_told_from_one_in_trouble() {
    let why = "it has no file mnist/test/0000.parquet";
    fails_or_falls_back(Fault::Status("404 Not Found"), why);
}

#[test]
fn rarer_faults_are_errors_as_well() {
    for (fault, why) in [
        (
            Fault::Status("503 Service Unavailable"),
            "503 Service Unavailable",
        ),
        (Fault::NamelessGarbage, "damaged: Parquet error"),
        (Fault::Gone, "damaged"),
    ] {
        let hub = Hub::start(&made_up(), fault);
        assert_says(&Home::new().fails(&hub.endpoint), why);
    }
}

#[test]
fn a_silent_server_is_given_up() {
    let home = Home::new();
    let hub = Hub::start(&made_up(), Fault::Silent);
    let mut command = home.train(&hub.endpoint, "mnist");
    let said = fails(command.env("HF_HUB_DOWNLOAD_TIMEOUT", "2"), 1);
    assert_says(&said, "no answer for 2 seconds");
    assert_eq!(home.kept(), [""; 0]);
}

/// For longer than it may be silent, and with word of how far it is.
#[test]
fn a_slow_server_is_waited_for() {
    let home = Home::new();
    let hub = Hub::start(&made_up(), Fault::Slow);
    let mut child = home
        .train(&hub.endpoint, "mnist")
        .env("HF_HUB_DOWNLOAD_TIMEOUT", "2")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let report = "MB of mnist/test/0000.parquet have arrived";
    assert!(lines.any(|line| line.unwrap().contains(report)));
    hub.hurry();
    let rest: Vec<String> = lines.map(|line| line.unwrap()).collect();
    assert_says(&rest.join("\n"), "is not MNIST's");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// A picture that cannot be decoded makes candle-datasets panic; that must not show.
#[test]
fn a_spoilt_picture_is_an_error_like_any_other() {
    let spoil = |content: &mut [u8]| {
        let picture = content.windows(4).position(|bytes| bytes == b"IDAT");
        content[picture.unwrap() + 10] ^= 0x55;
    };
    let files = made_up().map(|file| file.spoilt(spoil));
    let said = Home::new().fails(&Hub::start(&files, Fault::None).endpoint);
    assert_says(&said, "damaged: it cannot be decoded");
}

/// A spoilt page makes candle-datasets read it again and again, for ever.
#[test]
#[ignore = "takes two minutes"]
fn a_spoilt_page_is_an_error_like_any_other() {
    let spoil = |content: &mut [u8]| {
        let middle = content.len() / 3;
        content[middle..middle + 1000].fill(0x55);
    };
    let files = made_up().map(|file| file.spoilt(spoil));
    let said = Home::new().fails(&Hub::start(&files, Fault::None).endpoint);
    assert_says(&said, "damaged: it cannot be decoded");
}

// --------------------------------------------------------------------------------------- with MNIST

/// With a hub at fault, an error that says why; with a healthy one thereafter, MNIST; from then on,
/// no hub at all is needed.
#[track_caller]
fn recovers_from(fault: Fault, why: &str) {
    let Some(files) = mnist() else { return };
    let home = Home::new();
    assert_says(&home.fails(&Hub::start(files, fault).endpoint), why);
    let hub = Hub::start(files, Fault::None);
    let said = home.succeeds(&hub.endpoint);
    assert_says(&said, format!("downloading MNIST from {}", hub.endpoint));
    assert_eq!(hub.downloads(), FILES);
    assert!(!said.contains("warning"), "{said}");
    let said = home.succeeds(NOBODY);
    assert!(!said.contains("downloading"), "{said}");
}

#[test]
fn a_hub_that_breaks_off_does_no_lasting_harm() {
    recovers_from(Fault::Truncated, "the connection broke");
}

#[test]
fn a_hub_that_sends_garbage_does_no_lasting_harm() {
    recovers_from(Fault::Garbage, "damaged");
}

#[test]
fn a_hub_in_trouble_does_no_lasting_harm() {
    let status = "500 Internal Server Error";
    recovers_from(Fault::Status(status), status);
}

#[test]
fn a_hub_without_the_file_does_no_lasting_harm() {
    recovers_from(Fault::Status("404 Not Found"), "no file");
}

#[test]
fn a_damaged_cache_is_replaced() {
    let Some(files) = mnist() else { return };
    let home = Home::new();
    home.succeeds(&Hub::start(files, Fault::None).endpoint);
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
    let Some(files) = mnist() else { return };
    let hub = Hub::start(files, Fault::None);
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
    let Some(files) = mnist() else { return };
    let home = Home::new();
    // A file where the folder should be.
    fs::create_dir_all(home.cache().parent().unwrap()).unwrap();
    fs::write(home.cache(), "in the way").unwrap();
    let said = home.succeeds(&Hub::start(files, Fault::None).endpoint);
    assert_says(&said, "warning: ");
    assert_says(&said, home.cache());
}

/// The hub's own files, where there are copies of them: written by another program, in another way.
#[test]
fn the_files_of_the_hub_itself_are_mnist() {
    let Some(folder) = given("VAE_TEST_HUB", "mnist/{train,test}/0000.parquet") else {
        return;
    };
    let files = FILES.map(|file| File::new(fs::read(folder.join(file)).unwrap()));
    let said = Home::new().succeeds(&Hub::start(&files, Fault::None).endpoint);
    assert!(!said.contains("warning"), "{said}");
}

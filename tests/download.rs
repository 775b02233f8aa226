//! What the program does when the hub, the network or a cache is not as it should be.
//!
//! The hub is a stand-in (`hub`) on the loopback interface. What it serves is small and made up where the download itself
//! is looked at: it ends in an error, for the program takes nothing but MNIST as that. Scenarios that end well need MNIST's four
//! files, in the folder that `VAE_TEST_MNIST` names; without it they say that they are skipped.

#![cfg(all(unix, feature = "download"))]

mod common;
mod hub;
mod parquet_files;

use common::{Outcome, Place, given};
use hub::{CIFAR_10, FASHION_MNIST, FILES, Fault, File, Hub};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use vae::checksum::sha256;
use vae::data::idx::read_folder;
use vae::data::{Dataset, ImageShape, Split};

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

    /// Our own cache of MNIST.
    fn cache(&self) -> PathBuf {
        self.cache_of("mnist")
    }

    /// Our own cache of a data set.
    fn cache_of(&self, name: &str) -> PathBuf {
        let caches = match cfg!(target_os = "macos") {
            true => "home/Library/Caches",
            false => "home",
        };
        self.0.path(caches).join("vae").join(name)
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
    assert_says(
        &said,
        "damaged: it has 200 training images of 28x28; MNIST has 60000",
    );
    assert_eq!(home.kept(), [""; 0]);
    assert_says(&home.falls_back(&hub.endpoint), "MNIST has 60000 of 28x28");
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
    assert_says(&rest.join("\n"), "MNIST has 60000 of 28x28");
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

// -------------------------------------------------------------------------- data sets of other names

/// So many images of a shape, of which the first is given and the others are a few made-up ones again and again.
fn images(count: usize, shape: ImageShape, first: Vec<u8>) -> Split {
    let made_up = |number: usize| (0..shape.values()).map(move |at| (at * (number % 7 + 3)) as u8);
    let others = (1..count).flat_map(made_up);
    Split {
        pixels: first.into_iter().chain(others).collect(),
        labels: (0..count).map(|number| (number % 10) as u8).collect(),
        shape,
    }
}

fn data_set([train, test]: [usize; 2], shape: ImageShape, first: &[u8]) -> Dataset {
    Dataset {
        train: images(train, shape, first.to_vec()),
        test: images(test, shape, first.to_vec()),
        name: "made up".into(),
    }
}

const IN_COLOUR: ImageShape = ImageShape {
    height: 32,
    width: 32,
    channels: 3,
};

/// A picture with a red corner at the upper right, a green one at the lower left, and blue between them.
fn with_corners() -> Vec<u8> {
    let pixel = |at: usize| match (at / 32, at % 32) {
        (0..8, 24..) => [250, 10, 20],
        (24.., 0..8) => [30, 240, 40],
        _ => [5, 60, 200],
    };
    (0..32 * 32).flat_map(pixel).collect()
}

/// The first of a data set's training images that are cached, and all labels.
fn cached(home: &Home, name: &str) -> Dataset {
    read_folder(&home.cache_of(name)).unwrap()
}

/// A small model of pictures in colour.
const TINY_IN_COLOUR: &str = r#"{"batch_size": 8, "latent_dim": 3, "encoder": [{"dense": {"features": 8}}],
    "decoder": [{"dense": {"features": 3072, "activation": "sigmoid"}}]}"#;

#[test]
fn cifar_10_is_had_by_name_upright_and_in_its_colours() {
    let home = Home::new();
    home.0.write("tiny.json", TINY_IN_COLOUR);
    let files = hub::files_of(&data_set([50_000, 10_000], IN_COLOUR, &with_corners()));
    let hub = Hub::serving(CIFAR_10, &files, Fault::None);
    let said = succeeds(&mut home.train(&hub.endpoint, "cifar-10"));
    let announced = format!("downloading CIFAR-10 from {} (about 144 MB)", hub.endpoint);
    assert_says(&said, announced);
    assert_says(
        &said,
        "CIFAR-10: 50000 training and 10000 test images of 32x32x3",
    );
    assert_says(&said, "labels: 0 airplane, 1 automobile, 2 bird");
    assert!(!said.contains("warning"), "{said}");
    assert_eq!(hub.downloads(), CIFAR_10.files);
    let config = home.0.json("run/config.json");
    assert_eq!(config["data"], "cifar-10");
    assert_eq!(config["provenance"]["dataset"], "CIFAR-10");
    assert_eq!(config["labels"][9], "truck");
    let dataset = cached(&home, "cifar-10");
    assert!(*dataset.train.image(0).unwrap() == with_corners());
    assert!(*dataset.test.image(0).unwrap() == with_corners());
    assert_eq!(
        dataset.train.labels[..12],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    );
    // From the cache, without a hub; by every command.
    assert!(!succeeds(&mut home.train(NOBODY, "cifar-10")).contains("downloading"));
    home.0.ok("reconstruct --n 2 --model run --out out.png");
}

#[test]
fn fashion_mnist_is_had_by_name_and_kept_under_checksums() {
    let home = Home::new();
    let shape = ImageShape::MNIST;
    let first: Vec<u8> = (0..shape.values()).map(|at| (at % 28 * 9) as u8).collect();
    let made_up = data_set([60_000, 10_000], shape, &first);
    let hub = Hub::serving(FASHION_MNIST, &hub::files_of(&made_up), Fault::None);
    let said = succeeds(&mut home.train(&hub.endpoint, "fashion-mnist"));
    assert_says(
        &said,
        "Fashion-MNIST: 60000 training and 10000 test images\n",
    );
    assert_says(&said, "labels: 0 T-shirt/top, 1 Trouser");
    assert_eq!(hub.downloads(), FASHION_MNIST.files);
    let dataset = cached(&home, "fashion-mnist");
    assert!(dataset.train == made_up.train && dataset.test == made_up.test);
    let cache = home.cache_of("fashion-mnist");
    let sums = fs::read_to_string(cache.join("SHA256SUMS")).unwrap();
    let images = fs::read(cache.join("train-images-idx3-ubyte")).unwrap();
    let line = format!("{}  train-images-idx3-ubyte\n", sha256(&[&images]));
    assert!(sums.starts_with(&line), "{sums}");
    // What is damaged is noticed, and replaced from the hub client's own copy.
    for file in [
        "train-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
        "SHA256SUMS",
    ] {
        damage(&cache.join(file));
        let said = succeeds(&mut home.train(NOBODY, "fashion-mnist"));
        assert_says(&said, "warning: the cached copy of Fashion-MNIST in ");
        assert!(!succeeds(&mut home.train(NOBODY, "fashion-mnist")).contains("warning"));
    }
    assert_eq!(fs::read_to_string(cache.join("SHA256SUMS")).unwrap(), sums);
}

#[test]
fn a_data_set_of_other_numbers_or_shape_is_refused() {
    let small = data_set([200, 50], ImageShape::MNIST, &[0; 784]);
    for (repository, name, why) in [
        (
            FASHION_MNIST,
            "fashion-mnist",
            "it has 200 training images of 28x28; Fashion-MNIST has 60000 of 28x28",
        ),
        (CIFAR_10, "cifar-10", "damaged: "),
    ] {
        let home = Home::new();
        if repository.files == CIFAR_10.files {
            home.0.write("tiny.json", TINY_IN_COLOUR);
        }
        let hub = Hub::serving(repository, &hub::files_of(&small), Fault::None);
        let said = fails(&mut home.train(&hub.endpoint, name), 1);
        assert_says(&said, why);
        assert_says(&said, "--data FOLDER");
        assert_eq!(home.kept(), [""; 0]);
        let said = fails(home.train(NOBODY, name).arg("--quiet"), 1);
        assert_says(&said, format!("from {NOBODY}: "));
    }
}

//! A stand-in for the Hugging Face hub, on the loopback interface, in good order or at fault.
//!
//! It answers as the hub does where a data set is asked for: two Parquet files, each under its SHA-256 sum. They are made
//! of any images, so that a few serve where what counts is the download, and MNIST's own where it has to end well.

use crate::parquet_files::{Picture, of_pictures};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use vae::checksum::sha256;
use vae::data::idx::read_folder;
use vae::data::{Dataset, ImageShape, Split};

/// A data set of the hub.
#[derive(Debug, Clone, Copy)]
pub struct Repository {
    name: &'static str,
    /// The one for tests is asked for first.
    pub files: [&'static str; 2],
}

/// The names of MNIST's files.
pub const FILES: [&str; 2] = ["mnist/test/0000.parquet", "mnist/train/0000.parquet"];
pub const MNIST: Repository = Repository {
    name: "ylecun/mnist",
    files: FILES,
};
pub const FASHION_MNIST: Repository = Repository {
    name: "zalando-datasets/fashion_mnist",
    files: [
        "fashion_mnist/test/0000.parquet",
        "fashion_mnist/train/0000.parquet",
    ],
};
pub const CIFAR_10: Repository = Repository {
    name: "cifar10",
    files: [
        "plain_text/test/0000.parquet",
        "plain_text/train/0000.parquet",
    ],
};

impl Repository {
    /// The number of a file, if a path after the hub's own address is that of one.
    fn file_at(&self, path: &str) -> Option<usize> {
        let folder = format!("/datasets/{}/resolve/refs%2Fconvert%2Fparquet/", self.name);
        let name = path.strip_prefix(&folder)?;
        self.files.iter().position(|file| *file == name)
    }
}

/// The version of the data set.
const COMMIT: &str = "1111111111111111111111111111111111111111";
const NOT_FOUND: &str = "404 Not Found";

/// What is wrong with a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Every request is answered with this status.
    Status(&'static str),
    /// The connection closes after half of a file.
    Truncated,
    /// A file has its length and its checksum, and is nothing but zeros.
    Garbage,
    /// The same under a name that is no checksum.
    NamelessGarbage,
    /// The files are announced, and not there.
    Gone,
    /// The files come byte by byte, until [`Hub::hurry`].
    Slow,
    /// No request is ever answered.
    Silent,
}

/// One of the files.
#[derive(Debug, Clone)]
pub struct File {
    content: Vec<u8>,
    /// What the hub calls this version of it: the SHA-256 sum.
    etag: String,
}

impl File {
    pub fn new(content: Vec<u8>) -> Self {
        let etag = sha256(&[&content]);
        Self { content, etag }
    }

    /// Changes the file on the hub's own disk: its sum is that of the changed file.
    pub fn spoilt(mut self, spoil: impl Fn(&mut [u8])) -> Self {
        spoil(&mut self.content);
        Self::new(self.content)
    }
}

/// The two files as the hub would have them, in the order of [`FILES`], from a folder of four IDX files.
pub fn files(folder: &Path) -> [File; 2] {
    files_of(&read_folder(folder).unwrap())
}

/// The same of a data set.
pub fn files_of(dataset: &Dataset) -> [File; 2] {
    [&dataset.test, &dataset.train].map(|split| File::new(parquet(split)))
}

/// A row for each image: a PNG file, no path, and the label.
fn parquet(split: &Split) -> Vec<u8> {
    // Many of a made-up data set are the same.
    let mut made: HashMap<Cow<[u8]>, Picture> = HashMap::new();
    let rows = (0..split.len()).map(|at| {
        let pixels = split.image(at).unwrap();
        let picture = made.entry(pixels.clone());
        let picture = picture.or_insert_with(|| png(&pixels, split.shape).into());
        (picture.clone(), split.labels[at].into())
    });
    // Picture files get no smaller.
    of_pictures(&rows.collect::<Vec<_>>(), None, false)
}

fn png(pixels: &[u8], shape: ImageShape) -> Vec<u8> {
    let [width, height] = [shape.width, shape.height].map(|size| size as u32);
    let colours = match shape.channels {
        1 => ExtendedColorType::L8,
        _ => ExtendedColorType::Rgb8,
    };
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(pixels, width, height, colours)
        .unwrap();
    file
}

/// The server. It runs for as long as the tests do.
pub struct Hub {
    pub endpoint: String,
    state: Arc<State>,
}

struct State {
    repository: Repository,
    files: [File; 2],
    fault: Fault,
    hurry: AtomicBool,
    requests: AtomicUsize,
    downloads: Mutex<Vec<&'static str>>,
}

impl Hub {
    /// A hub that has MNIST.
    pub fn start(files: &[File; 2], fault: Fault) -> Self {
        Self::serving(MNIST, files, fault)
    }

    pub fn serving(repository: Repository, files: &[File; 2], fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            repository,
            files: files.clone(),
            fault,
            hurry: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            downloads: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that goes away in the middle of an answer is no concern of the hub's.
                thread::spawn(move || state.answer(stream));
            }
        });
        Self { endpoint, state }
    }

    /// A slow hub is slow no longer.
    pub fn hurry(&self) {
        self.state.hurry.store(true, Ordering::Relaxed);
    }

    /// How often it was asked for anything.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Which files were asked for, in order, but for questions about them.
    pub fn downloads(&self) -> Vec<&'static str> {
        self.state.downloads.lock().unwrap().clone()
    }
}

impl State {
    /// Answers one request, and closes the connection.
    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let request = read_request(&stream)?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut words = request.split_whitespace();
        let (method, path) = (words.next(), words.next().unwrap_or_default());
        let is_get = method == Some("GET");
        let number = self.repository.file_at(path);
        if let Some(number) = number
            && is_get
        {
            let name = self.repository.files[number];
            self.downloads.lock().unwrap().push(name);
        }
        match (self.fault, number) {
            (Fault::Status(status), _) => without_content(&mut stream, status),
            // Until the client hangs up.
            (Fault::Silent, _) => io::copy(&mut stream, &mut io::sink()).map(|_| ()),
            (Fault::Gone, _) if is_get => without_content(&mut stream, NOT_FOUND),
            (_, None) => without_content(&mut stream, NOT_FOUND),
            (_, Some(number)) => {
                let part = self.send_head(&mut stream, number, &request)?;
                match is_get {
                    true => self.send(&mut stream, &self.files[number].content[part]),
                    false => Ok(()),
                }
            }
        }
    }

    /// Says what comes: all of a file, or the part of it that was asked for.
    fn send_head(
        &self,
        stream: &mut TcpStream,
        number: usize,
        request: &str,
    ) -> io::Result<Range<usize>> {
        let file = &self.files[number];
        let whole = file.content.len();
        let etag = match self.fault {
            Fault::NamelessGarbage => "not-a-checksum",
            _ => &file.etag,
        };
        let (status, part) = match wanted_part(request, whole) {
            Some(part) => ("206 Partial Content", part),
            None => ("200 OK", 0..whole),
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nETag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\nAccept-Ranges: bytes\r\n\
             Content-Length: {}\r\nConnection: close\r\n",
            part.len()
        )?;
        if part.len() < whole {
            let last = part.end - 1;
            write!(
                stream,
                "Content-Range: bytes {}-{last}/{whole}\r\n",
                part.start
            )?;
        }
        stream.write_all(b"\r\n")?;
        Ok(part)
    }

    fn send(&self, stream: &mut TcpStream, content: &[u8]) -> io::Result<()> {
        match self.fault {
            Fault::Truncated => stream.write_all(&content[..content.len() / 2]),
            Fault::Garbage | Fault::NamelessGarbage => stream.write_all(&vec![0; content.len()]),
            Fault::Slow => {
                let mut rest = content;
                while !self.hurry.load(Ordering::Relaxed)
                    && let Some((byte, others)) = rest.split_first()
                {
                    stream.write_all(&[*byte])?;
                    rest = others;
                    thread::sleep(Duration::from_millis(100));
                }
                stream.write_all(rest)
            }
            _ => stream.write_all(content),
        }
    }
}

/// The lines of a request, up to the empty one that ends it.
fn read_request(stream: &TcpStream) -> io::Result<String> {
    let mut lines = BufReader::new(stream).lines();
    let mut request = String::new();
    while let Some(line) = lines.next().transpose()?
        && !line.is_empty()
    {
        request += &line;
        request.push('\n');
    }
    Ok(request)
}

/// The part of a file that a request asks for, if it does not want all of it.
fn wanted_part(request: &str, whole: usize) -> Option<Range<usize>> {
    let request = request.to_ascii_lowercase();
    let mut lines = request.lines();
    let bytes = lines.find_map(|line| line.strip_prefix("range: bytes="))?;
    let (first, last) = bytes.split_once('-')?;
    let end = last.parse().map_or(whole, |last: usize| last + 1);
    Some(first.parse().ok()?..end.min(whole))
}

fn without_content(stream: &mut TcpStream, status: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

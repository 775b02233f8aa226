//! Folders of IDX files: good ones, and every way in which one can be bad.

mod common;

use common::given;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use vae::data::{Dataset, ImageShape, Reading, Source, Split, idx, mnist};
use vae::{Error, ErrorKind};

const TRAIN_IMAGES: &str = idx::FILES[0];
const TRAIN_LABELS: &str = idx::FILES[1];

/// Three images to learn from and two to be tested on, no two bytes in a row alike.
fn dataset() -> Dataset {
    let split = |count: usize| Split {
        pixels: (0..count * ImageShape::MNIST.values())
            .map(|i| (i * 7 % 251) as u8)
            .collect(),
        labels: (0..count).map(|i| i as u8).collect(),
        shape: ImageShape::MNIST,
    };
    Dataset {
        train: split(3),
        test: split(2),
        name: "three and two".into(),
    }
}

/// A folder that holds it.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    idx::write_folder(folder.path(), &dataset()).unwrap();
    folder
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// The error of reading a folder; it must be about the input.
fn error(folder: &Path) -> Error {
    let error = idx::read_folder(folder).expect_err("this folder should be refused");
    assert_eq!(error.kind, ErrorKind::Input, "{error}");
    error
}

/// The error of reading a good folder in which one file's content is replaced.
fn error_with(file: &str, content: &[u8]) -> String {
    error_in(&folder(), file, content)
}

/// The same in a folder that is at hand.
fn error_in(folder: &TempDir, file: &str, content: &[u8]) -> String {
    fs::write(folder.path().join(file), content).unwrap();
    let error = error(folder.path()).to_string();
    assert!(error.contains(file), "the file is not named: {error}");
    error
}

fn header(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let folder = folder();
    let read = idx::read_folder(folder.path()).unwrap();
    assert_eq!(
        (&read.train, &read.test),
        (&dataset().train, &dataset().test)
    );
    assert!(read.name.contains(&folder.path().display().to_string()));
    // Nothing but the four files is left.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[test]
fn raw_zipped_dotted_and_misnamed_files_are_the_same_data() {
    let raw = folder();
    let expected = idx::read_folder(raw.path()).unwrap();
    let dotted = |file: &str| file.replacen("-idx", ".idx", 1);
    for (variant, names) in [
        ("zipped", idx::FILES.map(|file| format!("{file}.gz"))),
        (
            "dotted",
            idx::FILES.map(|file| format!("{}.gz", dotted(file))),
        ),
        ("zipped, but not called so", idx::FILES.map(str::to_owned)),
    ] {
        let folder = TempDir::new().unwrap();
        for (file, name) in idx::FILES.iter().zip(names) {
            let content = gzip(&fs::read(raw.path().join(file)).unwrap());
            fs::write(folder.path().join(name), content).unwrap();
        }
        let read = idx::read_folder(folder.path()).unwrap();
        assert_eq!(read.train, expected.train, "{variant}");
        assert_eq!(read.test, expected.test, "{variant}");
        assert_eq!(read.digest(), expected.digest(), "{variant}");
    }
}

#[test]
fn the_digest_is_that_of_the_files_in_a_row() {
    // cat train-images-idx3-ubyte train-labels-idx1-ubyte \
    //     t10k-images-idx3-ubyte t10k-labels-idx1-ubyte | sha256sum
    let expected = "581e09338abd09c8b9e5b2c416f113113f6bad3aaa109a8ce5bad316bd56ceb8";
    assert_eq!(dataset().digest(), expected);
    let mut changed = dataset();
    changed.test.labels[1] = 7;
    assert_ne!(changed.digest(), expected);
}

#[test]
fn a_file_that_ends_early_is_refused_at_every_length() {
    let whole = fs::read(folder().path().join(TRAIN_IMAGES)).unwrap();
    for length in [0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 800, whole.len() - 1] {
        let why = error_with(TRAIN_IMAGES, &whole[..length]);
        let expected = match length < 16 {
            true => format!("it ends after {length} bytes, within its header of 16"),
            false => format!("3 images, 2368 bytes in all; the file has {length}"),
        };
        assert!(why.contains(&expected), "{why}");
    }
    let whole = fs::read(folder().path().join(TRAIN_LABELS)).unwrap();
    for length in 0..whole.len() {
        error_with(TRAIN_LABELS, &whole[..length]);
    }
}

#[test]
fn a_zipped_file_that_ends_early_is_refused_at_every_length() {
    let folder = folder();
    let raw = fs::read(folder.path().join(TRAIN_IMAGES)).unwrap();
    let whole = gzip(&raw);
    for length in 0..whole.len() {
        error_in(&folder, TRAIN_IMAGES, &whole[..length]);
    }
    // The same with a whole gzip stream around too little.
    let why = error_with(TRAIN_IMAGES, &gzip(&raw[..1000]));
    assert!(
        why.contains("2368 bytes in all; it ends after 1000"),
        "{why}"
    );
    let why = error_with(TRAIN_IMAGES, &gzip(&raw[..10]));
    assert!(why.contains("within its header"), "{why}");
}

#[test]
fn a_damaged_zipped_file_is_refused() {
    let mut content = gzip(&fs::read(folder().path().join(TRAIN_IMAGES)).unwrap());
    let checksum = content.len() - 8;
    content[checksum] ^= 1;
    let why = error_with(TRAIN_IMAGES, &content);
    assert!(why.contains("gzip data are damaged"), "{why}");
}

#[test]
fn more_than_was_promised_is_refused() {
    let mut content = fs::read(folder().path().join(TRAIN_IMAGES)).unwrap();
    content.push(0);
    let why = error_with(TRAIN_IMAGES, &content);
    assert!(
        why.contains("2368 bytes in all; the file has 2369"),
        "{why}"
    );
    let why = error_with(TRAIN_IMAGES, &gzip(&content));
    assert!(why.contains("2368 bytes in all; there are more"), "{why}");
}

#[test]
fn a_wrong_magic_number_is_refused() {
    let labels = fs::read(folder().path().join(TRAIN_LABELS)).unwrap();
    let why = error_with(TRAIN_IMAGES, &labels);
    assert!(why.contains("starts with 0x00000801"), "{why}");
    assert!(why.contains("images starts with 0x00000803"), "{why}");
    error_with(TRAIN_LABELS, b"<!DOCTYPE html><html></html>");
    // Floats instead of bytes.
    error_with(TRAIN_IMAGES, &header(&[0x0d03, 3, 28, 28]));
}

#[test]
fn images_of_another_size_are_read_if_all_have_it() {
    for (rows, columns) in [(0, 0), (28, 0), (1025, 28), (u32::MAX, u32::MAX)] {
        let why = error_with(TRAIN_IMAGES, &header(&[0x0803, 3, rows, columns]));
        assert!(why.contains(&format!("{rows} x {columns}")), "{why}");
    }
    let folder = folder();
    let of = |file: &str, count: u32| {
        let mut content = header(&[0x0803, count, 5, 7]);
        content.extend((0..count * 35).map(|i| i as u8));
        fs::write(folder.path().join(file), content).unwrap();
    };
    of(TRAIN_IMAGES, 3);
    let why = error(folder.path()).to_string();
    assert!(
        why.contains("its training images are 5x7, its test images 28x28"),
        "{why}"
    );
    of(idx::FILES[2], 2);
    let read = idx::read_folder(folder.path()).unwrap();
    assert_eq!((read.shape().height, read.shape().width), (5, 7));
    assert_eq!(read.train.image(1)[0], 35);
}

#[test]
fn no_images_at_all_are_refused() {
    let why = error_with(TRAIN_IMAGES, &header(&[0x0803, 0, 28, 28]));
    assert!(why.contains("it holds no images"), "{why}");
    let why = error_with(TRAIN_LABELS, &header(&[0x0801, 0]));
    assert!(why.contains("it holds no labels"), "{why}");
}

#[test]
fn a_header_that_promises_too_much_is_refused_at_once() {
    let mut content = header(&[0x0803, u32::MAX, 28, 28]);
    content.resize(100, 0);
    let started = std::time::Instant::now();
    let why = error_with(TRAIN_IMAGES, &content);
    assert!(
        why.contains("4294967295 images, 3367254359296 bytes in all; the file has 100"),
        "{why}"
    );
    let why = error_with(TRAIN_IMAGES, &gzip(&content));
    assert!(why.contains("more than"), "{why}");
    assert!(why.contains("bytes of gzip can hold"), "{why}");
    assert!(started.elapsed().as_secs() < 1);
}

/// A file as long as its header says (it has holes instead of zeros), but of absurd size.
#[test]
#[cfg(target_os = "linux")]
fn a_file_that_keeps_an_absurd_promise_is_refused_too() {
    let folder = folder();
    let mut file = File::create(folder.path().join(TRAIN_LABELS)).unwrap();
    file.write_all(&header(&[0x0801, u32::MAX])).unwrap();
    file.set_len(8 + u64::from(u32::MAX)).unwrap();
    let why = error(folder.path()).to_string();
    assert!(why.contains("the most is 10000000"), "{why}");
}

#[test]
fn labels_must_be_as_many_as_images() {
    let content = [header(&[0x0801, 2]), vec![1, 2]].concat();
    let why = error_with(TRAIN_LABELS, &content);
    assert!(why.contains("2 labels for 3 images"), "{why}");
}

#[test]
fn training_images_are_all_that_is_needed() {
    let folder = folder();
    let without = |file: &str| {
        fs::remove_file(folder.path().join(file)).unwrap();
        idx::read_folder(folder.path())
    };
    assert_eq!(without(idx::FILES[3]).unwrap().test.labels, [0; 2]);
    assert!(without(idx::FILES[2]).unwrap().test.is_empty());
    assert_eq!(without(TRAIN_LABELS).unwrap().train.labels, [0; 3]);
    let error = without(TRAIN_IMAGES).unwrap_err();
    assert_eq!(error.what, folder.path().display().to_string());
    assert!(error.why.contains(TRAIN_IMAGES), "{error}");
    let hint = error.hint.expect("a hint");
    assert!(idx::FILES.iter().all(|file| hint.contains(file)), "{hint}");
}

#[test]
fn a_folder_instead_of_a_file_is_no_file() {
    let folder = folder();
    let path = folder.path().join(TRAIN_IMAGES);
    let content = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(error(folder.path()).why.contains(TRAIN_IMAGES));
    // Some archives hold such folders next to the files, spelt with a dot.
    fs::write(folder.path().join("train-images.idx3-ubyte"), content).unwrap();
    assert_eq!(
        idx::read_folder(folder.path()).unwrap().train,
        dataset().train
    );
}

#[test]
fn a_file_or_nothing_instead_of_a_folder_is_refused() {
    let folder = folder();
    let file = error(&folder.path().join(TRAIN_IMAGES));
    assert!(file.why.contains("not a folder"), "{file}");
    let nothing = error(&folder.path().join("nowhere"));
    assert!(nothing.why.contains("no such folder"), "{nothing}");
}

#[test]
fn sources_are_written_as_they_are_read() {
    for (text, source) in [
        ("auto", Source::Auto),
        ("mnist", Source::Mnist),
        ("synthetic", Source::Synthetic),
        ("./mnist", Source::Folder("./mnist".into())),
        ("/data/fashion", Source::Folder("/data/fashion".into())),
    ] {
        assert_eq!(text.parse::<Source>(), Ok(source.clone()));
        assert_eq!(source.to_string(), text);
        let json = serde_json::to_string(&source).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Source>(&json).unwrap(), source);
    }
    assert_eq!("".parse::<Source>().unwrap_err().kind, ErrorKind::Input);
    assert_eq!(Source::default(), Source::Auto);
}

#[test]
fn a_folder_of_other_data_is_not_called_mnist() {
    let folder = folder();
    let source = Source::Folder(folder.path().into());
    let reading = Reading::default();
    let loaded = vae::data::load(&source, &reading, &mut |notice| panic!("{notice:?}")).unwrap();
    assert_eq!(loaded.source, source);
    let read = loaded.dataset;
    assert!(read.name.starts_with("IDX files in "), "{}", read.name);
}

#[test]
fn the_real_mnist_is_recognised() {
    let Some(folder) = given("VAE_TEST_MNIST", "MNIST's four files") else {
        return;
    };
    let source = Source::Folder(folder);
    let reading = Reading::default();
    let loaded = vae::data::load(&source, &reading, &mut |notice| panic!("{notice:?}")).unwrap();
    let read = loaded.dataset;
    assert_eq!(read.name, mnist::NAME);
    assert_eq!((read.train.len(), read.test.len()), (60_000, 10_000));
    assert_eq!(read.train.labels[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    assert_eq!(
        read.digest(),
        "b2d8f5bf39174ee5ffeefa97e42d673c35432b411bb5d1f74fbbeddae7f1690a"
    );
    // One pixel makes the difference.
    let mut changed = read;
    changed.test.pixels[0] ^= 1;
    let why = mnist::check(&changed).unwrap_err();
    assert!(why.contains("t10k-images"), "{why}");
}

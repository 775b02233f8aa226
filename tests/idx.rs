//! Folders of IDX files: good ones, and every way in which one can be bad.

mod common;

use common::given;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use vae::data::published::{CIFAR_10, FASHION_MNIST, MNIST};
use vae::data::{Dataset, ImageShape, Reading, Source, Split, idx};
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
    assert_eq!(dataset().digest().unwrap(), expected);
    let mut changed = dataset();
    changed.test.labels[1] = 7;
    assert_ne!(changed.digest().unwrap(), expected);
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
    // Bytes of which no number is one.
    error_with(TRAIN_IMAGES, &header(&[0x0903, 3, 28, 28]));
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
    assert_eq!(read.train.image(1).unwrap()[0], 35);
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

/// A file of numbers of a type: its code, its name, and how it writes a number.
type Typed = (u8, &'static str, fn(f64) -> Vec<u8>);

const TYPES: [Typed; 5] = [
    (0x08, "ubyte", |v| vec![v as u8]),
    (0x0b, "short", |v| (v as i16).to_be_bytes().into()),
    (0x0c, "int", |v| (v as i32).to_be_bytes().into()),
    (0x0d, "float", |v| (v as f32).to_be_bytes().into()),
    (0x0e, "double", |v| v.to_be_bytes().into()),
];

fn typed((code, _, bytes): Typed, sizes: &[u32], values: &[f64]) -> Vec<u8> {
    let mut file = header(&[u32::from(code) << 8 | sizes.len() as u32]);
    file.extend(header(sizes));
    file.extend(values.iter().flat_map(|&value| bytes(value)));
    file
}

#[test]
fn numbers_of_every_type_are_pixels_and_labels() {
    let values: Vec<f64> = (0..3 * 784).map(|i| f64::from(i % 256)).collect();
    let bytes: Vec<u8> = values.iter().map(|&value| value as u8).collect();
    let read = |images: Typed, values: &[f64], labels: Typed| {
        let folder = TempDir::new().unwrap();
        let write = |name: String, content: Vec<u8>| {
            fs::write(folder.path().join(name), content).unwrap();
        };
        let content = typed(images, &[3, 28, 28], values);
        write(format!("train-images-idx3-{}", images.1), content);
        // The first of each row counts.
        let rows = typed(labels, &[3, 2], &[7.0, 200.0, 8.0, 201.0, 255.0, 0.0]);
        write(format!("train-labels-idx2-{}.gz", labels.1), gzip(&rows));
        idx::read_folder(folder.path()).unwrap().train
    };
    for (images, labels) in TYPES.into_iter().zip(TYPES.into_iter().rev()) {
        let train = read(images, &values, labels);
        assert_eq!(train.labels, [7, 8, 255], "{}", labels.1);
        assert!(train.into_bytes().unwrap() == bytes, "{}", images.1);
    }
    // Fractions of which none is above 1 are shares.
    let shares: Vec<f64> = values.iter().map(|value| value / 255.0).collect();
    for images in &TYPES[3..] {
        let read = read(*images, &shares, TYPES[2]).into_bytes();
        assert!(read.unwrap() == bytes);
    }
}

#[test]
fn other_numbers_than_pixels_and_labels_are_refused() {
    let [_, short, int, float, double] = TYPES;
    for (kind, value) in [
        (float, f64::NAN),
        (double, f64::INFINITY),
        (double, -0.5),
        (float, 255.5),
        (short, -1.0),
        (int, 256.0),
    ] {
        let mut values = vec![0.0; 784];
        values[500] = value;
        let why = error_with(TRAIN_IMAGES, &typed(kind, &[1, 28, 28], &values));
        assert!(why.contains(&format!("a pixel is {value}")), "{why}");
    }
    for value in [-1.0, 256.0] {
        let why = error_with(TRAIN_LABELS, &typed(int, &[3], &[0.0, 1.0, value]));
        assert!(why.contains("labels from 0 to 255"), "{why}");
    }
    for (sizes, expected) in [
        (&[3, 28, 28, 2][..], "the shape [3, 28, 28, 2]"),
        (&[3, 28, 28, u32::MAX], "the shape [3, 28, 28, 4294967295]"),
        (&[3, 1025, 28, 3], "1025"),
        (&[0, 28, 28, 3], "it holds no images"),
        (&[u32::MAX, 28, 28, 3], "bytes in all; the file has"),
    ] {
        for kind in TYPES {
            let content = typed(kind, sizes, &[0.0; 100]);
            let why = error_with(TRAIN_IMAGES, &content);
            assert!(why.contains(expected), "{why}");
        }
    }
    for (sizes, expected) in [
        (&[3, 0][..], "0 numbers each"),
        (&[3, 65], "65 numbers each"),
        (&[u32::MAX, 64], "bytes in all; the file has"),
        (&[0, 8], "it holds no labels"),
        (&[3, 1, 1], "starts with 0x"),
    ] {
        let why = error_with(TRAIN_LABELS, &typed(int, sizes, &[0.0; 3]));
        assert!(why.contains(expected), "{why}");
    }
    let whole = typed(double, &[3, 28, 28, 1], &[0.5; 3 * 784]);
    for length in [0, 3, 4, 16, 19, 20, 27, whole.len() - 1] {
        let why = error_with(TRAIN_IMAGES, &whole[..length]);
        assert!(
            why.contains("ends after") || why.contains("the file has"),
            "{why}"
        );
    }
    // Types of numbers that no images have.
    for magic in [0x0903, 0x0a03, 0x0f03, 0x10803, 0x0805, 0x0802] {
        let why = error_with(TRAIN_IMAGES, &header(&[magic, 3, 28, 28]));
        assert!(why.contains(&format!("starts with 0x{magic:08x}")), "{why}");
    }
}

#[test]
fn images_in_colour_are_written_and_read() {
    let shape = ImageShape {
        height: 4,
        width: 5,
        channels: 3,
    };
    let split = |count: usize| Split {
        pixels: (0..count * shape.values())
            .map(|i| (i % 251) as u8)
            .collect(),
        labels: (0..count).map(|i| i as u8).collect(),
        shape,
    };
    let colours = Dataset {
        train: split(3),
        test: split(2),
        name: "colours".into(),
    };
    let folder = TempDir::new().unwrap();
    idx::write_folder(folder.path(), &colours).unwrap();
    assert!(folder.path().join("t10k-images-idx4-ubyte").is_file());
    let read = idx::read_folder(folder.path()).unwrap();
    assert_eq!((read.train, read.test), (colours.train, colours.test));
}

/// Files as EMNIST and QMNIST call them, each of other images.
fn several() -> TempDir {
    let folder = TempDir::new().unwrap();
    let images = |number: u8| [header(&[0x0803, 2, 28, 28]), vec![number; 2 * 784]].concat();
    let labels = |number: u8| [header(&[0x0801, 2]), vec![number; 2]].concat();
    for (number, set) in [
        (10, "emnist-letters"),
        (20, "emnist-digits"),
        (30, "qmnist"),
    ] {
        for (half, number) in [("train", number), ("test", number + 1)] {
            let write = |name: &str, content: &[u8]| {
                let name = format!("{set}-{half}-{name}.gz");
                fs::write(folder.path().join(name), gzip(content)).unwrap();
            };
            write("images-idx3-ubyte", &images(number));
            if set == "qmnist" {
                let row = [u32::from(number), 9, 9, 9, 9, 9, 9, 9];
                write(
                    "labels-idx2-int",
                    &[header(&[0x0c02, 2, 8]), header(&row), header(&row)].concat(),
                );
            } else {
                write("labels-idx1-ubyte", &labels(number));
            }
        }
    }
    folder
}

#[test]
fn files_are_known_by_their_own_names() {
    let folder = several();
    let refused = error(folder.path());
    for name in ["emnist-digits", "emnist-letters", "qmnist"] {
        let name = format!("{name}-train-images-idx3-ubyte.gz");
        assert!(refused.why.contains(&name), "{refused}");
    }
    let hint = refused.hint.expect("a hint");
    let chosen = folder
        .path()
        .join("emnist-digits-train-images-idx3-ubyte.gz");
    assert!(
        hint.ends_with(&format!("--data {}", chosen.display())),
        "{hint}"
    );
    for (set, number) in [
        ("emnist-letters", 10),
        ("emnist-digits", 20),
        ("qmnist", 30),
    ] {
        let path = folder
            .path()
            .join(format!("{set}-train-images-idx3-ubyte.gz"));
        let read = idx::read_folder(&path).unwrap();
        assert_eq!(
            (
                read.train.image(0).unwrap()[0],
                read.test.image(0).unwrap()[0]
            ),
            (number, number + 1)
        );
        assert_eq!(
            (read.train.labels, read.test.labels),
            (vec![number; 2], vec![number + 1; 2])
        );
    }
    // One alone needs not be named, wherever archives have it.
    let alone = TempDir::new().unwrap();
    let below = alone.path().join("EMNIST/raw");
    fs::create_dir_all(&below).unwrap();
    for entry in fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with("emnist-letters")
        {
            fs::copy(entry.path(), below.join(entry.file_name())).unwrap();
        }
    }
    assert_eq!(idx::read_folder(alone.path()).unwrap().test.labels, [11; 2]);
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
    let file = error(&folder.path().join(TRAIN_LABELS));
    assert!(file.why.contains("not a folder"), "{file}");
    let nothing = error(&folder.path().join("nowhere"));
    assert!(nothing.why.contains("no such folder"), "{nothing}");
}

#[test]
fn sources_are_written_as_they_are_read() {
    for (text, source) in [
        ("auto", Source::Auto),
        ("mnist", Source::Published(&MNIST)),
        ("fashion-mnist", Source::Published(&FASHION_MNIST)),
        ("cifar-10", Source::Published(&CIFAR_10)),
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
    assert_eq!(read.title(), "MNIST, verified");
    assert_eq!((read.train.len(), read.test.len()), (60_000, 10_000));
    assert_eq!(read.train.labels[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    assert_eq!(
        read.digest().unwrap(),
        "b2d8f5bf39174ee5ffeefa97e42d673c35432b411bb5d1f74fbbeddae7f1690a"
    );
    // One pixel makes the difference.
    let mut changed = read;
    let mut pixels = changed.test.clone().into_bytes().unwrap();
    pixels[0] ^= 1;
    changed.test.pixels = pixels.into();
    let why = MNIST.check(&changed).unwrap_err();
    assert!(why.contains("t10k-images"), "{why}");
}

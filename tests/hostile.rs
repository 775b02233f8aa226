//! Files from strangers: valid ones, changed at random, for each kind that the program reads.
//!
//! None may be a panic, a hang, or an allocation out of proportion. Ten thousand of each kind are tried;
//! `VAE_TEST_CASES=1000000 cargo test --release --test hostile` tries more. A case depends on its
//! number alone.

mod common;
#[cfg(feature = "download")]
mod parquet_files;

use candle_core::Device;
use common::{Place, sealed_again};
use flate2::Compression;
use flate2::write::GzEncoder;
use image::ImageFormat;
use peak_alloc::PeakAlloc;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use vae::config::Config;
use vae::data::idx::{read_folder, write_folder};
use vae::data::latents::{self, Encoded, Form, LOG_VARIANCE, MEAN, Wanted};
#[cfg(feature = "download")]
use vae::data::parquet::rows;
use vae::data::{Dataset, Fit, ImageShape, Reading, Split, arrays, npy, npz, pictures};
use vae::model::architecture::Architecture;
use vae::picture::photo::read_ink;
use vae::run::{Checkpoint, ModelName, load_model, parse_metrics};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What is counted is of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// What any file may cost beside its own size: buffers, tables, messages.
const SLACK: usize = 512 << 10;

/// Numbers that break promises: of lengths, sizes and counts.
const NUMBERS: [u32; 9] = [
    0,
    1,
    7,
    28,
    0x7f,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
];
/// Words that break texts.
const WORDS: [&[u8]; 12] = [
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"0",
    b"null",
    b"{",
    b"]",
    b"\"",
    b"\\u0000",
    b"\xff",
    b"[[[[[[[[",
    b"18446744073709551615",
];

/// A valid file with one to four changes.
fn changed(valid: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut file = valid.to_vec();
    for _ in 0..random.random_range(1..=4) {
        // Headers are where the promises are.
        let end = match random.random_bool(0.5) {
            true => file.len().min(64),
            false => file.len(),
        };
        let position = random.random_range(0..=end);
        let stretch = position..(position + random.random_range(0..32)).min(file.len());
        let number = NUMBERS[random.random_range(0..NUMBERS.len())];
        match random.random_range(0..8) {
            0 if position < file.len() => file[position] ^= 1 << random.random_range(0..8),
            1 if position < file.len() => file[position] = random.random(),
            2 => file.truncate(position),
            3 => drop(file.drain(stretch)),
            4 => {
                let copy = file[stretch].to_vec();
                file.splice(position..position, copy);
            }
            5 => {
                let bytes = match random.random_bool(0.5) {
                    true => number.to_be_bytes(),
                    false => number.to_le_bytes(),
                };
                file.splice(position..(position + 4).min(file.len()), bytes);
            }
            6 => {
                let word = WORDS[random.random_range(0..WORDS.len())];
                file.splice(position..position, word.iter().copied());
            }
            _ => {
                let word = WORDS[random.random_range(0..WORDS.len())];
                file.splice(stretch, word.iter().copied());
            }
        }
    }
    file
}

/// Gives changed files to `read`; it may allocate `factor` times the file's size and `SLACK`.
fn attack(
    valid: &[&[u8]],
    factor: usize,
    slack: usize,
    mut read: impl FnMut(&[u8], &mut ChaCha8Rng),
) {
    let cases = std::env::var("VAE_TEST_CASES").map_or(10_000, |cases| cases.parse().unwrap());
    for case in 0..cases {
        let mut random = ChaCha8Rng::seed_from_u64(case);
        let file = changed(valid[random.random_range(0..valid.len())], &mut random);
        let (begun, before) = (Instant::now(), ALLOCATOR.current_usage());
        ALLOCATOR.reset_peak_usage();
        let call = std::panic::AssertUnwindSafe(|| read(&file, &mut random));
        let outcome = std::panic::catch_unwind(call);
        let allocated = ALLOCATOR.peak_usage().saturating_sub(before);
        assert!(
            outcome.is_ok(),
            "case {case}: {:?}",
            String::from_utf8_lossy(&file)
        );
        let allowed = factor * file.len() + slack;
        assert!(
            allocated <= allowed,
            "case {case}: {allocated} bytes for {} bytes, which begin {:?}",
            file.len(),
            String::from_utf8_lossy(&file[..file.len().min(64)])
        );
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "case {case} took {:?}",
            begun.elapsed()
        );
    }
}

fn alone() -> impl Drop {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digits() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let split = |images: usize| Split {
        pixels: (0..images * ImageShape::MNIST.values())
            .map(|i| (i % 251) as u8)
            .collect(),
        labels: (0..images).map(|i| i as u8 % 10).collect(),
        shape: ImageShape::MNIST,
    };
    let dataset = Dataset {
        train: split(3),
        test: split(2),
        name: "digits".into(),
    };
    write_folder(folder.path(), &dataset).unwrap();
    folder
}

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Puts a file in the place of another, for as long as `read` runs.
fn in_place_of(path: &Path, file: &[u8], read: impl FnOnce()) {
    let valid = std::fs::read(path).unwrap();
    std::fs::write(path, file).unwrap();
    read();
    std::fs::write(path, valid).unwrap();
}

#[test]
fn idx_files() {
    let (_alone, folder) = (alone(), digits());
    let valid = FILES.map(|name| std::fs::read(folder.path().join(name)).unwrap());
    attack(
        &valid.each_ref().map(|file| &file[..]),
        4,
        SLACK,
        |file, random| {
            let path = folder.path().join(FILES[random.random_range(0..4)]);
            in_place_of(&path, file, || drop(read_folder(folder.path())));
        },
    );
}

#[test]
fn idx_files_of_other_types() {
    let (_alone, folder) = (alone(), digits());
    let file = |magic: u32, sizes: &[u32], body: Vec<u8>| {
        let numbers = [&[magic], sizes].concat();
        let header: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
        [header, body].concat()
    };
    let images = |magic, sizes: &[u32], value: &[u8]| file(magic, sizes, value.repeat(60));
    let valid = [
        images(0x0b03, &[3, 4, 5], &7i16.to_be_bytes()),
        images(0x0c03, &[3, 4, 5], &7i32.to_be_bytes()),
        images(0x0d03, &[3, 4, 5], &0.5f32.to_be_bytes()),
        images(0x0e03, &[3, 4, 5], &0.5f64.to_be_bytes()),
        images(0x0804, &[1, 4, 5, 3], &[9]),
        file(0x0c02, &[3, 8], 5i32.to_be_bytes().repeat(24)),
        file(0x0b01, &[3], 5i16.to_be_bytes().repeat(3)),
    ];
    for name in FILES {
        let _ = std::fs::remove_file(folder.path().join(name));
    }
    let valid = valid.each_ref().map(|file| &file[..]);
    std::fs::write(folder.path().join(FILES[0]), valid[2]).unwrap();
    std::fs::write(folder.path().join(FILES[1]), valid[5]).unwrap();
    // Numbers of two bytes are held as numbers of four, and as pixels.
    attack(&valid, 5, SLACK, |file, random| {
        let path = folder.path().join(FILES[random.random_range(0..2)]);
        in_place_of(&path, file, || drop(read_folder(folder.path())));
    });
}

#[test]
fn gzipped_files() {
    let (_alone, folder) = (alone(), digits());
    let zipped = |name: &str| {
        let raw = folder.path().join(name);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&std::fs::read(&raw).unwrap()).unwrap();
        std::fs::remove_file(raw).unwrap();
        let zipped = encoder.finish().unwrap();
        std::fs::write(folder.path().join(format!("{name}.gz")), &zipped).unwrap();
        zipped
    };
    let valid = FILES.map(zipped);
    // A small file can promise much, and keep it: a thousand times its size.
    attack(
        &valid.each_ref().map(|file| &file[..]),
        1100,
        SLACK,
        |file, random| {
            let name = format!("{}.gz", FILES[random.random_range(0..4)]);
            let path = folder.path().join(name);
            in_place_of(&path, file, || drop(read_folder(folder.path())));
        },
    );
}

#[test]
fn configs() {
    let _alone = alone();
    let texts = [
        include_str!("../configs/mnist.json"),
        include_str!("../configs/article.json"),
        common::TINY,
    ];
    attack(&texts.map(str::as_bytes), 16, SLACK, |file, _| {
        if let Ok(config) = Config::parse(&String::from_utf8_lossy(file), "config")
            && config.validate().is_ok()
        {
            let _ = Architecture::plan(&config);
        }
    });
}

#[test]
fn weights_and_checkpoints() {
    let (_alone, place) = (alone(), Place::with_model());
    let (model, checkpoint) = (
        place.read("run/model.safetensors"),
        place.read("run/checkpoint.safetensors"),
    );
    let path = place.path("stranger");
    attack(&[&model, &checkpoint], 8, SLACK, |file, random| {
        let file = match random.random_bool(0.8) {
            true => sealed_again(file.to_vec()),
            false => file.to_vec(),
        };
        std::fs::write(&path, file).unwrap();
        drop(load_model(&ModelName::Path(path.clone()), &Device::Cpu));
        if let Ok(mut checkpoint) = Checkpoint::read(&path) {
            drop(checkpoint.take_model(&Device::Cpu));
        }
    });
}

#[test]
fn pictures() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture");
    let grey = image::GrayImage::from_fn(40, 30, |x, y| image::Luma([(x * y) as u8]));
    let colours = image::RgbaImage::from_fn(20, 30, |x, y| image::Rgba([x as u8, y as u8, 7, 200]));
    let encoded = |picture: image::DynamicImage, format| {
        let mut file = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        file.into_inner()
    };
    let valid = [
        encoded(grey.clone().into(), image::ImageFormat::Png),
        encoded(colours.into(), image::ImageFormat::Png),
        encoded(grey.into(), image::ImageFormat::Jpeg),
    ];
    // A picture can be packed 2048 times, and is held in a few forms.
    let factor = 8 * 2048;
    let valid = valid.each_ref().map(|file| &file[..]);
    attack(&valid, factor, SLACK, |file, _| {
        std::fs::write(&path, summed_again(file.to_vec())).unwrap();
        drop(read_ink(&path, ImageShape::MNIST));
    });
}

/// A PNG file with the checksums of its parts made good again, so that something else is wrong with it.
fn summed_again(mut file: Vec<u8>) -> Vec<u8> {
    let mut place = 8;
    while let Some(&[a, b, c, d]) = file.get(place..).and_then(|rest| rest.first_chunk()) {
        let data = place + 8..(place + 8).saturating_add(u32::from_be_bytes([a, b, c, d]) as usize);
        if data.end + 4 > file.len() || !file.starts_with(b"\x89PNG") {
            break;
        }
        let mut sum = flate2::Crc::new();
        sum.update(&file[place + 4..data.end]);
        file[data.end..data.end + 4].copy_from_slice(&sum.sum().to_be_bytes());
        place = data.end + 4;
    }
    file
}

#[test]
fn metrics() {
    let (_alone, place) = (alone(), Place::with_model());
    let valid = place.read("run/metrics.jsonl");
    let path = place.path("run/metrics.jsonl");
    attack(&[&valid], 16, SLACK, |file, _| {
        drop(parse_metrics(&String::from_utf8_lossy(file), 25, &path));
    });
}

#[test]
fn latent_vectors() {
    let _alone = alone();
    let encoded = Encoded {
        latent_dim: 3,
        parts: vec![
            (MEAN, (0..60).map(|i| i as f32 / 7.0).collect()),
            (LOG_VARIANCE, vec![-1.0; 60]),
        ],
        labels: Some((0..20).collect()),
    };
    let wanted = Wanted {
        most: 100_000,
        labels: true,
    };
    let forms = [Form::Npz, Form::Npy, Form::Csv, Form::Jsonl];
    let mut valid: Vec<Vec<u8>> = forms
        .map(|form| latents::write(&encoded, form).unwrap())
        .into();
    let compressed = include_bytes!("fixtures/latents/savez_compressed.npz");
    valid.extend([
        compressed.to_vec(),
        include_bytes!("fixtures/latents/fortran.npy").to_vec(),
    ]);
    let valid: Vec<&[u8]> = valid.iter().map(Vec::as_slice).collect();
    // An archive can be packed a thousand times, and its bytes are held as numbers of four.
    attack(&valid, 6 * 1100, SLACK, |file, _| {
        drop(latents::read(file, wanted, "file"))
    });
}

#[test]
fn arrays_of_images() {
    let (_alone, folder) = (alone(), tempfile::tempdir().unwrap());
    let pixels: Vec<u8> = (0..4 * 6 * 5).map(|i| (i * 7) as u8).collect();
    let images = npy::bytes(&pixels, &[4, 6, 5]);
    let labels = npy::bytes(&[0, 1, 2, 3], &[4]);
    let fractions: Vec<f32> = pixels
        .iter()
        .map(|&pixel| f32::from(pixel) / 255.0)
        .collect();
    let arrays = [
        ("x_train", images.clone()),
        ("y_train", labels.clone()),
        ("x_test", images.clone()),
    ];
    let valid = [
        npz::write(arrays.into_iter()).unwrap(),
        npy::floats(&fractions, &[4, 3, 2, 5]),
        images,
    ];
    let path = folder.path().join("arrays.npz");
    let valid = valid.each_ref().map(|file| &file[..]);
    // Bytes are held as numbers of four, and may be packed a thousand times.
    attack(&valid, 8 * 1100, SLACK, |file, _| {
        std::fs::write(&path, file).unwrap();
        drop(arrays::read(&path, &Reading::default()));
    });
}

#[test]
fn pictures_of_other_formats() {
    let _alone = alone();
    let picture =
        image::RgbImage::from_fn(30, 20, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    let formats = [
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::Gif,
    ];
    let valid = formats.map(|format| {
        let mut file = std::io::Cursor::new(Vec::new());
        image::DynamicImage::from(picture.clone())
            .write_to(&mut file, format)
            .unwrap();
        file.into_inner()
    });
    let shape = ImageShape {
        height: 8,
        width: 8,
        channels: 3,
    };
    let valid = valid.each_ref().map(|file| &file[..]);
    // Of one colour, they may be of 64 MiB whatever their size; that is held in a few forms.
    attack(&valid, 8 * 2048, 256 << 20, |file, _| {
        if let Ok(picture) = pictures::decode(file) {
            drop(pictures::fit(picture, shape, Fit::Pad));
        }
    });
}

#[cfg(feature = "download")]
#[test]
fn parquet_files() {
    let (_alone, folder) = (alone(), tempfile::tempdir().unwrap());
    let picture = image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8, y as u8, 5]));
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).unwrap();
    let rows: Vec<_> = (0..8)
        .map(|label| (png.get_ref().clone().into(), label))
        .collect();
    let names = r#"["a", "b", "c", "d", "e", "f", "g", "h"]"#;
    let valid = [
        parquet_files::of_pictures(&rows, None, false),
        parquet_files::of_pictures(&rows, Some(names), false),
        parquet_files::of_pictures(&rows, None, true),
    ];
    let valid = valid.each_ref().map(|file| &file[..]);
    let path = folder.path().join("pictures.parquet");
    // A page may be packed as pictures may, and is a megabyte whatever its size.
    attack(&valid, 2 * 2048, 8 << 20, |file, _| {
        std::fs::write(&path, file).unwrap();
        drop(rows::read(&path));
    });
}

/// Two gigabytes of a page, or as many values in a dictionary, in a file of a few hundred bytes.
#[cfg(feature = "download")]
#[test]
fn a_page_that_promises_too_much_is_refused() {
    let (_alone, folder) = (alone(), tempfile::tempdir().unwrap());
    let rows: Vec<_> = (0..8)
        .map(|label| (vec![label as u8; 90].into(), label))
        .collect();
    let valid = parquet_files::of_pictures(&rows, None, true);
    // Magic; then of the first page its type, its size, its size in the file and, in a structure, its values.
    assert_eq!(&valid[..7], b"PAR1\x15\x04\x15");
    let values = valid.windows(3).position(|bytes| bytes == [0x4c, 0x15, 16]);
    let path = folder.path().join("pictures.parquet");
    for place in [7, values.unwrap() + 2] {
        let end = place + valid[place..].iter().position(|&byte| byte < 0x80).unwrap() + 1;
        let mut file = valid.clone();
        file.splice(place..end, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
        std::fs::write(&path, file).unwrap();
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        let error = rows::read(&path).unwrap_err();
        assert!(
            error.why.contains("promises more than its bytes can hold"),
            "{error}"
        );
        assert!(ALLOCATOR.peak_usage() - before < 4 << 20);
    }
}

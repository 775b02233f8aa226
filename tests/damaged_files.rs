//! Damaged files are refused: at once, in one line, with nothing touched.

mod common;

use candle_core::Device;
use common::{Place, sealed_again};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs::File;
use vae::ErrorKind;
use vae::run::{Checkpoint, ModelName, load_model};

const IMAGES: &str = "data/train-images-idx3-ubyte";
const LABELS: &str = "data/train-labels-idx1-ubyte";

/// A PNG file that says it is this wide and high, and ends there.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 0, 0, 0, 0]);
    let mut sum = flate2::Crc::new();
    sum.update(&chunk);
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(chunk);
    png.extend(sum.sum().to_be_bytes());
    png
}

#[test]
fn data_that_are_damaged() {
    let place = Place::new();
    let refused = |why| place.refused("train --config tiny.json --out new", 2, why);
    let (images, labels) = (place.read(IMAGES), place.read(LABELS));
    let header = |numbers: [u32; 4]| numbers.map(u32::to_be_bytes).concat();
    let with_header = |numbers| [&header(numbers)[..], &images[16..]].concat();

    for (content, why) in [
        (
            images[..images.len() - 1].to_vec(),
            "its header promises 200 images",
        ),
        (
            [&images[..], &[0]].concat(),
            "its header promises 200 images",
        ),
        (images[..10].to_vec(), "ends after 10 bytes"),
        (vec![], "ends after 0 bytes"),
        (with_header([0x0801, 200, 28, 28]), "starts with 0x00000801"),
        (
            with_header([0x0803, u32::MAX, 28, 28]),
            "promises 4294967295 images",
        ),
        (with_header([0x0803, 0, 28, 28]), "it holds no images"),
        (
            with_header([0x0803, 200, 14, 56]),
            "its training images are 14x56, its test images 28x28",
        ),
        (
            with_header([0x0803, 200, u32::MAX, u32::MAX]),
            "its images are 4294967295 x",
        ),
        (b"\x1f\x8b\x08 and no more".to_vec(), "gzip"),
        (b"<html>404</html>".to_vec(), "it is a web page"),
    ] {
        place.write(IMAGES, content);
        refused(why);
    }
    place.write(IMAGES, &images);

    // Labels for half of the images.
    let half = [
        &0x0801u32.to_be_bytes()[..],
        &100u32.to_be_bytes(),
        &labels[8..108],
    ]
    .concat();
    place.write(LABELS, half);
    refused("100 labels for 200 images");
    place.write(LABELS, &labels);

    let data = |source: &str, why| {
        place.refused(
            &format!("train --config tiny.json --out new --data {source}"),
            2,
            why,
        );
    };
    data("nowhere", "nowhere: there is no such folder");
    data("tiny.json", "tiny.json: this is not a folder");
    data(".", "holds no pictures");
}

#[test]
fn pictures_that_are_none() {
    let place = Place::with_model();
    image::GrayImage::new(64, 64)
        .save(place.path("whole.png"))
        .unwrap();
    let whole = place.read("whole.png");
    place.write("text.png", "no picture");
    place.write("empty.png", "");
    place.write("short.png", &whole[..whole.len() / 2]);
    place.write("huge.png", png_header(100_000, 100_000));
    place.write("large.png", png_header(16_000, 16_000));
    for name in [
        "text.png",
        "empty.png",
        "short.png",
        "huge.png",
        "large.png",
        "missing.png",
        "data",
    ] {
        // A good picture before it changes nothing.
        for before in ["", "whole.png"] {
            let line = format!("reconstruct --model run --out strip.png {before} {name}");
            place.refused(&line, 2, &format!("error: {name}: "));
        }
    }
}

#[test]
fn weights_that_are_damaged() {
    let place = Place::with_model();
    let file = place.read("run/model.safetensors");
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let refused = |content: &[u8], why: &str| {
        place.write("broken", content);
        place.refused("sample --model broken", 2, why);
    };
    for length in [
        0,
        4,
        8,
        100,
        header - 1,
        header,
        header + 1,
        file.len() / 2,
        file.len() - 1,
    ] {
        refused(&file[..length], "error: broken: ");
    }
    refused(&[&file[..], &[0]].concat(), "error: broken: ");
    refused(&[0x5a; 5000], "error: broken: ");
    refused(b"PK\x03\x04 this is something else", "error: broken: ");
    // A length beyond all memory, a header that is no JSON, one without our configuration.
    refused(&[&[0xff; 8], &file[8..]].concat(), "error: broken: ");
    refused(&[&file[..8], b"!", &file[9..]].concat(), "error: broken: ");
    refused(
        b"\x02\0\0\0\0\0\0\0{}",
        "has no configuration in its header",
    );
    let infinite = [&file[..file.len() - 4], &f32::INFINITY.to_le_bytes()].concat();
    refused(&infinite, "does not fit its checksum");
    refused(&sealed_again(infinite), "not finite");

    File::create(place.path("sparse"))
        .unwrap()
        .set_len(3 << 30)
        .unwrap();
    let outcome = place.vae("sample --quiet --model sparse");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("is larger than"), "{outcome:?}");
}

#[test]
fn no_length_and_no_flipped_byte_of_a_file_goes_unnoticed() {
    let place = Place::with_model();
    for name in ["run/checkpoint.safetensors", "run/model.safetensors"] {
        let path = place.path(name);
        let read = || match name.contains("model") {
            true => load_model(&ModelName::Path(path.clone()), &Device::Cpu).map(|_| ()),
            false => Checkpoint::read(&path).map(|_| ()),
        };
        read().unwrap();
        let file = place.read(name);
        let noticed = |what: &str| {
            let error = read().expect_err(what);
            assert_eq!(error.kind, ErrorKind::Input, "{what}: {error}");
            assert!(error.to_string().contains(name), "{what}: {error}");
        };
        let shorter = File::options().write(true).open(&path).unwrap();
        for length in (0..file.len()).rev() {
            shorter.set_len(length as u64).unwrap();
            noticed(&format!("{length} bytes"));
        }
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..2_000 {
            let position = random.random_range(0..file.len());
            let mut flipped = file.clone();
            flipped[position] ^= random.random_range(1..=255_u8);
            std::fs::write(&path, flipped).unwrap();
            noticed(&format!("byte {position} flipped"));
            if position % 100 == 0 {
                let line = match name.contains("model") {
                    true => "sample --model run",
                    false => "train --resume run --steps 40",
                };
                place.refused(line, 2, &format!("error: {name}: "));
            }
        }
        std::fs::write(&path, file).unwrap();
    }
}

#[test]
fn checkpoints_that_are_damaged() {
    let place = Place::with_model();
    let file = place.read("run/checkpoint.safetensors");
    for length in [0, 8, 200, file.len() / 2, file.len() - 1] {
        place.write("run/checkpoint.safetensors", &file[..length]);
        let why = "error: run/checkpoint.safetensors: ";
        place.refused("train --resume run --steps 40", 2, why);
    }
    // Weights alone are no checkpoint.
    place.write(
        "run/checkpoint.safetensors",
        place.read("run/model.safetensors"),
    );
    place.refused(
        "train --resume run --steps 40",
        2,
        "error: run/checkpoint.safetensors: ",
    );

    place.write("run/checkpoint.safetensors", &file);
    place.write("run/metrics.jsonl", "no metric\n{}\n");
    place.refused("train --resume run --steps 40", 2, "metrics.jsonl line 1");
    place.write("run/config.json", "{");
    place.refused(
        "train --resume run --steps 40",
        2,
        "error: run/config.json: ",
    );
}

//! What cannot work is refused: at once, in one line, with nothing touched.

mod common;

use common::Place;
use serde_json::{Value, json};
use std::fs::File;

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
fn wrong_usage() {
    let place = Place::with_model();
    let train = "train --config tiny.json --out new";
    for (line, why) in [
        (
            format!("{train} --stepz 3"),
            "hint: a similar argument exists: '--steps'",
        ),
        ("trian".into(), "hint: a similar subcommand exists: 'train'"),
        (format!("{train} --steps many"), "'many' for '--steps"),
        (
            format!("{train} --device gpu"),
            "hint: a similar value exists: 'cpu'",
        ),
        (format!("{train} --data="), "--data"),
        ("train --config".into(), "--config <FILE>"),
        ("sample one.png two.png".into(), "two.png"),
        ("completions tcsh".into(), "tcsh"),
        (
            "reconstruct picture.png --n 3".into(),
            "cannot be used with",
        ),
        (
            "sample --model run --threads 0".into(),
            "'0' for '--threads",
        ),
        ("sample --model run --threads 100000".into(), "1..=1024"),
        ("sample --model run --n 0".into(), "'0' for '--n"),
        ("sample --model run --n 1000000000000".into(), "1..=100000"),
        ("sample --model run --columns 0".into(), "--columns"),
        (
            "sample --model run --temperature NaN".into(),
            "--temperature: must be from 0",
        ),
        (
            "sample --model run --temperature -1".into(),
            "--temperature: must be from 0",
        ),
        ("sample --model run out.gif".into(), "hint: end it in .png"),
        ("sample --model run out".into(), "hint: end it in .png"),
        (
            "reconstruct --model run --out strip.jpg".into(),
            "must end in .png",
        ),
        ("reconstruct --model run --n 0".into(), "'0' for '--n"),
    ] {
        place.refused(&line, 2, why);
    }
    if cfg!(not(feature = "cuda")) {
        let line = "sample --model run --device cuda";
        place.refused(
            line,
            2,
            "hint: build with --features cuda, or use --device cpu",
        );
    }
    if cfg!(not(feature = "metal")) {
        let line = "sample --model run --device metal";
        place.refused(
            line,
            2,
            "hint: build with --features metal, or use --device cpu",
        );
    }
}

#[test]
fn numbers_out_of_range() {
    let place = Place::new();
    for (flag, why) in [
        ("--steps 0", "steps: must be"),
        ("--steps 1000000001", "steps: must be"),
        ("--batch-size 0", "batch_size: must be"),
        ("--batch-size 201", "200 training images"),
        ("--latent-dim 0", "latent_dim: must be"),
        ("--latent-dim 1000000000", "latent_dim: must be"),
        ("--learning-rate NaN", "learning_rate: must be above 0"),
        ("--learning-rate inf", "learning_rate: must be above 0"),
        ("--learning-rate -1", "learning_rate: must be above 0"),
        ("--learning-rate 0", "learning_rate: must be above 0"),
        ("--beta NaN", "beta: must be from 0"),
        ("--beta -1", "beta: must be from 0"),
        ("--image-every 0", "image_every: must be"),
        ("--save-every 0", "save_every: must be"),
        ("--eval-every 0", "eval_every: must be"),
    ] {
        place.refused(
            &format!("train --config tiny.json --out new {flag}"),
            2,
            why,
        );
    }
}

#[test]
fn configs_that_are_none() {
    let place = Place::new();
    let files: [(&str, &[u8], &str); 9] = [
        (
            "typo.json",
            br#"{"learning_rat": 0.1}"#,
            "hint: did you mean `learning_rate`?",
        ),
        (
            "deep.json",
            br#"{"encoder": [{"cnov": {}}]}"#,
            "hint: did you mean `conv`?",
        ),
        (
            "kind.json",
            br#"{"steps": "many"}"#,
            "kind.json: invalid type",
        ),
        (
            "minus.json",
            br#"{"batch_size": -8}"#,
            "minus.json: invalid value",
        ),
        ("text.json", b"steps = 100", "text.json: expected value"),
        ("half.json", br#"{"steps": 1"#, "half.json: EOF"),
        ("empty.json", b"", "empty.json: EOF"),
        (
            "binary.json",
            b"\x00\xff\xfe\x80",
            "binary.json: is not a text file",
        ),
        ("list.json", b"[1, 2]", "list.json: invalid"),
    ];
    for (name, content, why) in files {
        place.write(name, content);
        place.refused(&format!("train --config {name} --out new"), 2, why);
    }
    place.write("nested.json", "[".repeat(100_000));
    let huge = File::create(place.path("huge.json")).unwrap();
    huge.set_len(5 << 20).unwrap();
    for (name, why) in [
        ("nested.json", "nested.json: "),
        ("huge.json", "is larger than"),
        ("data", "data: cannot be read"),
        ("missing.json", "missing.json: cannot be read"),
    ] {
        place.refused(&format!("train --config {name} --out new"), 2, why);
    }
}

#[test]
fn models_that_cannot_be() {
    let place = Place::new();
    let conv = |key: &str, value: Value| (format!("/encoder/0/conv/{key}"), value);
    let dense = |key: &str, value: Value| (format!("/decoder/0/dense/{key}"), value);
    let huge = json!(1_000_000_000_000u64);
    let cases = [
        (
            conv("channels", huge.clone()),
            "encoder layer 1: channels must be",
        ),
        (
            conv("channels", json!(u64::MAX)),
            "encoder layer 1: channels must be",
        ),
        (
            conv("channels", json!(0)),
            "encoder layer 1: channels must be",
        ),
        (
            conv("kernel", huge.clone()),
            "encoder layer 1: kernel must be",
        ),
        (
            conv("kernel", json!(60)),
            "encoder layer 1: a kernel of 60 is larger",
        ),
        (conv("stride", json!(0)), "encoder layer 1: stride must be"),
        (
            conv("padding", huge.clone()),
            "encoder layer 1: padding must be",
        ),
        (
            conv("dropout", json!(1)),
            "encoder layer 1: dropout must be",
        ),
        (
            conv("dropout", json!(-0.5)),
            "encoder layer 1: dropout must be",
        ),
        (
            conv("activation", json!({"leaky_relu": 1e30})),
            "slope of leaky_relu",
        ),
        (
            conv("activation", json!("rellu")),
            "hint: did you mean `relu`?",
        ),
        (
            dense("features", huge.clone()),
            "decoder layer 1: features must be",
        ),
        (
            dense("features", json!(195)),
            "decoder layer 2: cannot reshape 195 values to 4x7x7",
        ),
        (
            ("/decoder/1/reshape".into(), json!([u64::MAX, 3, 9])),
            "decoder layer 2: cannot",
        ),
        (
            ("/decoder".into(), json!([])),
            "decoder: must end with 784 values",
        ),
        (
            (
                "/encoder".into(),
                json!(vec![json!({"dense": {"features": 9}}); 65]),
            ),
            "65 layers",
        ),
        (("/latent_dim".into(), huge), "latent_dim: must be"),
    ];
    for ((pointer, value), why) in cases {
        place.config("model.json", &[(&pointer, value)]);
        place.refused("train --config model.json --out new", 2, why);
    }
    // Each layer is possible, all of them together are not.
    let wide = json!([{"dense": {"features": 400_000}}, {"dense": {"features": 784}}]);
    place.config(
        "model.json",
        &[("/decoder", wide.clone()), ("/encoder", wide)],
    );
    place.refused("train --config model.json --out new", 2, "the model: has ");
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
            "its images are 14 x 56 pixels",
        ),
        (
            with_header([0x0803, 200, u32::MAX, u32::MAX]),
            "its images are 4294967295 x",
        ),
        (b"\x1f\x8b\x08 and no more".to_vec(), "gzip"),
        (b"<html>404</html>".to_vec(), "starts with 0x3c68746d"),
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
    std::fs::remove_file(place.path(LABELS)).unwrap();
    refused("no file train-labels-idx1-ubyte in it");
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
    data(".", "no file train-images-idx3-ubyte in it");
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
    refused(&infinite, "not finite");

    File::create(place.path("sparse"))
        .unwrap()
        .set_len(3 << 30)
        .unwrap();
    let outcome = place.vae("sample --quiet --model sparse");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("is larger than"), "{outcome:?}");
}

#[test]
fn no_flipped_bit_in_a_header_is_a_panic() {
    let place = Place::with_model();
    let file = place.read("run/model.safetensors");
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    for position in (0..header).step_by(header / 60) {
        let mut flipped = file.clone();
        flipped[position] ^= 1 << (position % 7);
        place.write("flipped", flipped);
        let outcome = place.vae("sample --quiet --n 1 --model flipped");
        assert!(
            matches!(outcome.code, Some(0 | 2)),
            "byte {position}: {outcome:?}"
        );
        assert!(
            outcome.stderr.lines().count() <= 2,
            "byte {position}: {outcome:?}"
        );
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

#[test]
fn models_that_are_not_there() {
    let place = Place::new();
    for command in ["sample", "reconstruct"] {
        place.refused(command, 2, "hint: train one first: vae train");
        place.refused(
            &format!("{command} --model nowhere"),
            2,
            "nowhere: does not exist",
        );
        place.refused(
            &format!("{command} --model data"),
            2,
            "data/model.safetensors: does not",
        );
        place.refused(
            &format!("{command} --model tiny.json"),
            2,
            "error: tiny.json: ",
        );
    }
}

#[test]
fn places_that_cannot_be_written() {
    let place = Place::with_model();
    for line in [
        "train --config tiny.json --out tiny.json",
        "train --config tiny.json --out tiny.json/run",
        // Found before any data is loaded, which would take its time.
        "train --data synthetic --out tiny.json/run",
        "sample --model run tiny.json/out.png",
        "sample --model run tiny.json/out.npy",
        "sample --model run tiny.json/out/",
        "reconstruct --model run --out tiny.json/out.png",
    ] {
        place.refused(line, 1, "error: tiny.json");
    }
    std::fs::create_dir_all(place.path("taken/000000.png")).unwrap();
    place.refused("sample --model run taken/", 1, "error: taken/000000.png: ");
    place.refused(
        "reconstruct --model run --out taken/000000.png",
        1,
        "cannot be written",
    );
    place.write("runs", "a file");
    place.refused("train --data synthetic", 1, "error: runs: ");
}

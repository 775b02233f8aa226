//! What cannot work is refused: at once, in one line, with nothing touched.

mod common;

use common::Place;
use serde_json::{Value, json};
use std::fs::File;

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
        ("sample --model run --threads 1025".into(), "1..=1024"),
        ("sample --model run --n 0".into(), "'0' for '--n"),
        ("sample --model run --n 100001".into(), "1..=100000"),
        ("sample --model run --n 1000000000000".into(), "1..=100000"),
        ("sample --model run --columns 0".into(), "--columns"),
        ("sample --model run --columns 10001".into(), "1..=10000"),
        (
            "sample --model run --temperature NaN".into(),
            "--temperature: must be from 0",
        ),
        (
            "sample --model run --temperature -1".into(),
            "--temperature: must be from 0",
        ),
        (
            "sample --model run --temperature 100.5".into(),
            "--temperature: must be from 0 to 100, found 100.5",
        ),
        ("sample --model run out.gif".into(), "hint: end it in .png"),
        ("sample --model run out".into(), "hint: end it in .png"),
        (
            "reconstruct --model run --out strip.jpg".into(),
            "must end in .png",
        ),
        ("reconstruct --model run --n 0".into(), "'0' for '--n"),
        ("reconstruct --model run --n 10001".into(), "1..=10000"),
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
fn keys_out_of_range_or_at_odds() {
    let place = Place::new();
    for (key, value, why) in [
        (
            "ema_decay",
            json!(1),
            "ema_decay: must be from 0 to below 1",
        ),
        ("weight_decay", json!(-1), "weight_decay: must be from 0"),
        (
            "max_gradient_norm",
            json!(0),
            "max_gradient_norm: must be above 0",
        ),
        ("free_bits", json!(-1), "free_bits: must be from 0"),
        (
            "train_importance_samples",
            json!(0),
            "train_importance_samples: must be",
        ),
        (
            "train_importance_samples",
            json!(1001),
            "train_importance_samples",
        ),
        (
            "beta_schedule",
            json!({"linear": 0}),
            "beta_schedule: must be",
        ),
        ("beta_schedule", json!({"cyclic": -1}), "invalid value"),
        ("beta_schedule", json!("linear"), "expected newtype variant"),
        ("likelihood", json!("poisson"), "unknown variant `poisson`"),
        ("binarize", json!("twice"), "unknown variant `twice`"),
    ] {
        place.config("bad.json", &[(&format!("/{key}"), value)]);
        place.refused("train --config bad.json --out new", 2, why);
    }
    let changes = [
        ("/train_importance_samples", json!(2)),
        ("/free_bits", json!(0.1)),
    ];
    place.config("bad.json", &changes);
    place.refused(
        "train --config bad.json --out new",
        2,
        "free_bits: must be 0",
    );
    let changes = [
        ("/likelihood", json!("bernoulli")),
        ("/decoder/3/conv_transpose/activation", json!("tanh")),
    ];
    place.config("bad.json", &changes);
    place.refused(
        "train --config bad.json --out new",
        2,
        "must end with a sigmoid",
    );
    assert!(!place.path("new").exists());
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
fn models_that_are_not_there() {
    let place = Place::new();
    for command in ["sample", "reconstruct"] {
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

//! Latent vectors out of the program, and into it.

mod common;

use common::{Place, grid};
use serde_json::json;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;

/// The pixels of a picture file.
fn pixels(place: &Place, png: &str) -> image::GrayImage {
    image::open(place.path(png)).unwrap().to_luma8()
}

#[test]
fn what_is_encoded_and_decoded_is_what_is_reconstructed() {
    let place = Place::with_model();
    place.ok("reconstruct --n 50 --model run");
    let kept = pixels(&place, "reconstructions.png");
    let outcome = place.ok("encode codes.npz --model run");
    assert_eq!(outcome.stdout, "codes.npz\n");
    let bytes = place.read("codes.npz").len();
    let said = format!(
        "50 images of 784 bytes, 39200 in all, are latent vectors of 3 numbers in {bytes} bytes"
    );
    assert!(outcome.stderr.contains(&said), "{}", outcome.stderr);
    place.ok("decode codes.npz out/ --model run");
    for image in 0..50 {
        let one = pixels(&place, &format!("out/{image:06}.png"));
        // Rows of sixteen originals, and below them what is kept of them; each pixel is shown as two by two.
        let (left, top) = (grid(image % 16), grid(2 * (image / 16) + 1));
        for (x, y, pixel) in one.enumerate_pixels() {
            assert_eq!(
                *pixel,
                *kept.get_pixel(left + 2 * x, top + 2 * y),
                "{image}: {x}, {y}"
            );
        }
    }

    place.ok("decode codes.npz all.npy --model run");
    let all = place.array("all.npy", 50);
    for (out, threads) in [("codes.npy", 1), ("codes.csv", 2), ("codes.jsonl", 3)] {
        place.ok(&format!("encode {out} --model run --threads {threads}"));
        place.ok(&format!("decode {out} again.npy --model run"));
        assert_eq!(place.array("again.npy", 50), all, "{out}");
    }
    place.ok("encode few.npz --n 7 --model run --threads 3");
    place.ok("decode few.npz few.npy --model run --threads 3");
    assert_eq!(place.array("few.npy", 7), all[..7 * 784]);
    // Without names, the same file and a grid.
    assert_eq!(place.ok("encode --n 7 --model run").stdout, "encoded.npz\n");
    place.ok("decode --model run --columns 7");
    assert_eq!(place.size_of("decoded.png"), (grid(7), grid(1)));
    place.ok("encode train.csv --split train --model run");
    assert_eq!(place.text("train.csv").lines().count(), 201);
}

#[test]
fn samples_of_posteriors_depend_on_the_seed() {
    let place = Place::with_model();
    for (out, flags) in [("a", ""), ("b", "--threads 3"), ("c", "--seed 1")] {
        place.ok(&format!("encode {out}.csv --sample --model run {flags}"));
    }
    let [a, b, c] = ["a.csv", "b.csv", "c.csv"].map(|name| place.text(name));
    assert!(a.starts_with("label,latent0,latent1,latent2\n"));
    assert!(a == b && a != c);
    place.ok("decode a.csv --model run");
}

#[test]
fn one_program_s_output_is_another_s_input() {
    let place = Place::with_model();
    place.ok("encode codes.npz --model run");
    place.ok("decode codes.npz expected.png --model run");

    let mut encode = place.command("encode - --model run --quiet");
    let mut encode = encode.stdout(Stdio::piped()).spawn().unwrap();
    let decode = place
        .command("decode - - --model run --quiet")
        .stdin(encode.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(encode.wait().unwrap().success() && decode.status.success());
    assert!(decode.stdout == place.read("expected.png"), "{decode:?}");

    place.ok("sample out.png --seed 3 --n 5 --model run");
    let sample = place
        .command("sample - --seed 3 --n 5 --model run")
        .output()
        .unwrap();
    assert!(sample.stdout == place.read("out.png"));
    let stdin = File::open(place.path("out.png")).unwrap();
    let reconstruct = |image: &str, stdin: Stdio| {
        let line = format!("reconstruct {image} --out - --model run");
        place.command(&line).stdin(stdin).output().unwrap().stdout
    };
    let of_file = reconstruct("out.png", Stdio::null());
    assert!(of_file.starts_with(b"\x89PNG"));
    assert!(reconstruct("-", stdin.into()) == of_file);
}

/// `script` gives a program a terminal.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_is_spared() {
    let place = Place::with_model();
    let program = env!("CARGO_BIN_EXE_vae");
    let on_a_terminal = |line: &str| {
        let command = format!("{program} {line} --model run --quiet");
        let mut script = std::process::Command::new("script");
        script
            .args(["-qec", &command, "/dev/null"])
            .current_dir(place.path(""));
        let output = script.stdin(Stdio::null()).output().ok()?;
        Some((
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        ))
    };
    let Some((code, shown)) = on_a_terminal("sample -") else {
        return common::skip("there is no program `script`");
    };
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("stdout: is a terminal"), "{shown}");
    let (code, shown) = on_a_terminal("encode own.png -").unwrap();
    assert_eq!(code, Some(2), "{shown}");
    place.ok("sample --n 1 --model run own/");
    let (code, shown) = on_a_terminal("encode own/000000.png -").unwrap();
    assert!(code == Some(0) && shown.contains("{\"mean\":["), "{shown}");
}

#[test]
fn files_of_numpy_and_pandas_are_read() {
    let place = Place::with_model();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/latents");
    let decoded = |name: &str| {
        let file = folder.join(name);
        place.ok(&format!("decode {} out.npy --model run", file.display()));
        place.array("out.npy", 4)
    };
    let expected = decoded("plain.npy");
    assert!(expected[..784] != expected[784..2 * 784]);
    for name in [
        "fortran.npy",
        "big_endian.npy",
        "savez.npz",
        "savez_compressed.npz",
        "savetxt.csv",
        "index.csv",
        "no_index.csv",
        "lines.jsonl",
    ] {
        assert_eq!(decoded(name), expected, "{name}");
    }
}

#[test]
fn labels_go_with_latent_vectors() {
    let place = Place::new();
    place.config("labels.json", &[("/conditional", json!(true))]);
    place.ok("train --config labels.json --out labels");
    place.ok("reconstruct --n 1 --model labels --out kept.png");
    for out in ["a.npz", "a.csv", "a.jsonl"] {
        place.ok(&format!("encode {out} --model labels"));
        place.ok(&format!("decode {out} out.npy --model labels"));
        place.ok(&format!("decode {out} same.npy --label 2 --model labels"));
        assert!(place.read("out.npy") != place.read("same.npy"), "{out}");
    }
    place.ok("encode a.npy --model labels");
    let why = "does not say what to draw, and the model wants to be told";
    place.refused("decode a.npy --model labels", 2, why);
    place.ok("decode a.npy --label 2 same_again.npy --model labels");
    assert!(place.read("same_again.npy") == place.read("same.npy"));
    place.ok("sample --n 2 --model labels own/");
    let own = "own/000000.png own/000001.png";
    // What they show the model finds out, and the file says it.
    place.ok(&format!("encode {own} guessed.csv --model labels"));
    place.ok("decode guessed.csv guessed.npy --model labels");
    place.ok(&format!("encode {own} b.csv --label 4 --model labels"));
    let lines = place.text("b.csv");
    assert!(
        lines.lines().skip(1).all(|line| line.starts_with("4,")),
        "{lines}"
    );
    place.write("c.csv", "label,mean0,mean1,mean2\n10,1,2,3\n");
    place.refused(
        "decode c.csv --model labels",
        2,
        "none of the model's labels",
    );
}

#[test]
fn what_cannot_be_encoded_or_decoded_is_said() {
    let place = Place::with_model();
    place.ok("sample --n 1 --model run own/");
    place.write("wide.csv", "1,2,3,4\n");
    place.write("bad.csv", "mean0,mean1,mean2\n1,2,3\n1,oops,3\n");
    place.write("empty.npy", "");
    place.write("huge.csv", "1,2,3\n3e38,3e38,-3e38\n");
    place.write("spaces.csv", "mean0 mean1 mean2\n1 2 3\n");
    for (line, why) in [
        (
            "encode codes.png",
            "codes.png: is a picture, not where latent vectors could go",
        ),
        (
            "encode own/000000.png",
            "is a picture, not where latent vectors could go",
        ),
        ("encode codes.bmp.zip", "is of no kind that can be written"),
        ("encode a.csv --seed 3", "--sample"),
        (
            "encode own/000000.png a.csv --split test",
            "--split: is for a data set",
        ),
        ("encode nothing.png a.csv", "nothing.png: cannot be read"),
        ("encode tiny.json a.csv", "is not a usable picture"),
        (
            "encode own/000000.png a.csv --n 3",
            "--n: is for a data set",
        ),
        (
            "encode own/000000.png a.csv --data data",
            "--data: is for a data set",
        ),
        ("encode a.csv --label 3", "the model was not told labels"),
        ("decode huge.csv", "vector 1 (from 0 on) is too far out"),
        ("decode spaces.csv", "set apart by commas"),
        (
            "decode wide.csv",
            "its vectors have 4 numbers; the model's have 3",
        ),
        (
            "decode bad.csv",
            "bad.csv: line 3, mean1: `oops` is no number",
        ),
        ("decode empty.npy", "it is empty"),
        ("decode nothing.npy", "nothing.npy: cannot be read"),
        (
            "decode own/000000.png",
            "it is neither an array nor a table of numbers",
        ),
        (
            "decode bad.csv out.bmp",
            "is of no kind that can be written",
        ),
        ("decode wide.csv --label 3", "the model was not told labels"),
    ] {
        place.refused(&format!("{line} --model run"), 2, why);
    }
}

//! Drawings from mixtures that are fitted to where the encoder puts images.

mod common;

use common::Place;
use serde_json::json;

/// The files of mixtures that are kept.
fn kept(place: &Place) -> Vec<String> {
    let files = place.files("").into_keys();
    files
        .filter(|file| file.contains("vae/mixtures/"))
        .collect()
}

#[test]
fn a_mixture_is_fitted_once_and_kept() {
    let place = Place::with_model();
    place.ok("sample --seed 1 --n 6 --model run prior.npy");
    place.ok("sample --seed 1 --n 6 --model run --from prior same.npy");
    assert!(place.read("same.npy") == place.read("prior.npy"));
    assert_eq!(kept(&place).len(), 0);
    let from_posterior = |flags: &str, out: &str| {
        let line = format!("sample --seed 1 --n 6 --model run --from posterior {flags} {out}");
        (place.ok(&line), place.array(out, 6))
    };
    let (_, fitted) = from_posterior("--threads 1", "fitted.npy");
    assert!(fitted != place.array("prior.npy", 6));
    let [file] = &kept(&place)[..] else {
        panic!("{:?}", kept(&place));
    };
    let content = place.read(file);
    assert_eq!(from_posterior("", "again.npy").1, fitted);
    assert!(place.read(file) == content);

    // One that is damaged is fitted again, on any number of threads to the same bytes.
    place.write(file, &content[..content.len() / 2]);
    let (outcome, refitted) = from_posterior("--threads 3", "again.npy");
    assert!(
        outcome.stderr.contains("the cached mixture is damaged"),
        "{}",
        outcome.stderr
    );
    assert_eq!(refitted, fitted);
    assert!(place.read(file) == content);

    // Of other data, or another model, it is another.
    place.ok("sample --n 1 --model run --from posterior --data synthetic one.npy");
    assert_eq!(kept(&place).len(), 2);
    place.ok("train --config tiny.json --seed 3 --out other");
    place.ok("sample --n 1 --model other --from posterior one.npy");
    assert_eq!(kept(&place).len(), 3);
    place.refused(
        "sample --model run --data data",
        2,
        "--data: is for --from posterior",
    );
}

#[test]
fn each_label_has_a_mixture_of_its_own() {
    let place = Place::new();
    place.config(
        "labels.json",
        &[("/conditional", json!(true)), ("/classes", json!(11))],
    );
    place.ok("train --config labels.json --out labels");
    let drawn = |label: u8, from: &str| {
        place.ok(&format!(
            "sample --seed 1 --n 2 --label {label} --from {from} --model labels out.npy"
        ));
        place.array("out.npy", 2)
    };
    assert!(drawn(3, "posterior") != drawn(3, "prior"));
    assert!(drawn(3, "posterior") != drawn(4, "posterior"));
    // No image shows a 10: what it is drawn from is the unit normal distribution.
    drawn(10, "posterior");
    place.ok("sample --each-label 2 --from posterior --model labels each.png");
}

#[test]
fn a_lower_temperature_draws_what_is_more_alike() {
    let place = Place::with_model();
    let spread = |temperature: &str| {
        place.ok(&format!(
            "sample --n 64 --seed 2 --from posterior --temperature {temperature} --model run out.npy"
        ));
        let pictures = place.array("out.npy", 64);
        let mean = |pixel: usize| pictures.iter().skip(pixel).step_by(784).sum::<f32>() / 64.0;
        let means: Vec<f32> = (0..784).map(mean).collect();
        let from_mean = pictures.iter().zip(means.iter().cycle());
        from_mean
            .map(|(value, mean)| (value - mean).powi(2))
            .sum::<f32>()
    };
    assert!(spread("0.3") < spread("1"));
}

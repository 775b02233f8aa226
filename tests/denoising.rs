//! Models that learn to take noise away.

mod common;

use common::{Place, given, grid};
use serde_json::json;

/// The squared errors that `vae reconstruct` tells of, with the noise and without.
fn errors(stderr: &str) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for line in stderr
        .lines()
        .filter(|line| line.contains(" with its noise, KL "))
    {
        let (_, numbers) = line.split_once(": squared error ").unwrap();
        let (kept, rest) = numbers.split_once(", ").unwrap();
        let (noisy, _) = rest.split_once(' ').unwrap();
        sums[0] += noisy.parse::<f64>().unwrap();
        sums[1] += kept.parse::<f64>().unwrap();
    }
    sums
}

#[test]
fn pictures_have_a_row_for_the_noise() {
    let place = Place::new();
    for noise in ["gaussian", "salt_and_pepper", "masked"] {
        place.config("noise.json", &[("/noise", json!({ noise: 0.4 }))]);
        place.ok(&format!("train --config noise.json --out {noise}"));
        let strip = format!("{noise}/reconstructions/step-000030.png");
        assert_eq!(place.size_of(&strip), (grid(16), grid(3)));
        let outcome = place.ok(&format!(
            "reconstruct --n 20 --model {noise} --out {noise}.png"
        ));
        assert_eq!(place.size_of(&format!("{noise}.png")), (grid(16), grid(6)));
        let [noisy, _] = errors(&outcome.stderr);
        assert!(noisy > 0.0, "{}", outcome.stderr);
        // As often as one looks, the same noise; and as much as one asks for.
        place.ok(&format!(
            "reconstruct --n 20 --model {noise} --out again.png"
        ));
        assert!(place.read("again.png") == place.read(&format!("{noise}.png")));
        let outcome = place.ok(&format!("reconstruct --n 20 --model {noise} --noise 0.9"));
        assert!(errors(&outcome.stderr)[0] > noisy, "{}", outcome.stderr);
        place.refused(
            &format!("reconstruct --model {noise} --noise -0.1"),
            2,
            "--noise: must be from 0",
        );
    }
    place.refused(
        "reconstruct --model masked --noise 1.5",
        2,
        "--noise: must be from 0 to 1",
    );
}

#[test]
fn one_s_own_pictures_are_taken_as_noisy_as_they_are() {
    let place = Place::with_model();
    place.config("noise.json", &[("/noise", json!({"gaussian": 0.4}))]);
    place.ok("train --config noise.json --out noise");
    place.ok("sample --n 1 --model run own/");
    place.ok("reconstruct own/000000.png --model noise --out own.png");
    assert_eq!(place.size_of("own.png"), (grid(1), grid(2)));
    place.ok("reconstruct own/000000.png --model noise --noise 0.5 --out own.png");
    assert_eq!(place.size_of("own.png"), (grid(1), grid(3)));
    // A model that learnt without any can be shown some, too.
    place.ok("reconstruct own/000000.png --model run --noise 0.5 --out own.png");
    assert_eq!(place.size_of("own.png"), (grid(1), grid(3)));
}

#[test]
fn most_of_the_noise_goes() {
    let Some(folder) = given("VAE_TEST_MNIST", "MNIST's four files") else {
        return;
    };
    let place = Place::new();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/denoise.json");
    let data = folder.display();
    place.ok(&format!(
        "train --config {config} --data {data} --steps 400 --out run"
    ));
    let outcome = place.ok("reconstruct --n 1000 --model run");
    let [noisy, kept] = errors(&outcome.stderr);
    assert!(kept < 0.25 * noisy, "{kept} of {noisy}");
}

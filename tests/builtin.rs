//! The model that comes with the program: everything can be tried before anything is trained.

mod common;

use common::{Place, given, grid};
use serde_json::Value;

const SAID: &str = "nothing has been trained below runs/ yet: this is the built-in model";

#[test]
fn digits_are_drawn_before_anything_is_trained() {
    let place = Place::new();
    let outcome = place.ok("sample --n 64 --seed 1 out.png");
    assert!(outcome.stderr.contains(SAID), "{}", outcome.stderr);
    assert_eq!(place.size_of("out.png"), (grid(8), grid(8)));
    // Asked for by its name it is the same, and nothing needs to be said.
    let outcome = place.ok("sample --n 64 --seed 1 --model builtin same.png");
    assert!(!outcome.stderr.contains(SAID), "{}", outcome.stderr);
    assert!(place.read("out.png") == place.read("same.png"));
    place.ok("sample --label 7 --n 4 sevens.npy");
    let sevens = place.array("sevens.npy", 4);
    let ink: f32 = sevens.iter().sum::<f32>() / 4.0;
    assert!(
        (40.0..160.0).contains(&ink),
        "a seven of {ink} pixels of ink"
    );
}

#[test]
fn a_run_of_ones_own_comes_first() {
    let place = Place::new();
    place.ok("train --config tiny.json");
    let outcome = place.ok("sample --n 4 --seed 1 own.npy");
    assert!(!outcome.stderr.contains("built-in"), "{}", outcome.stderr);
    place.ok("sample --n 4 --seed 1 --model builtin builtin.npy");
    assert!(place.read("own.npy") != place.read("builtin.npy"));
}

/// A picture of a digit that the model drew itself it takes for that digit, without being told.
#[test]
fn ones_own_pictures_are_taken_for_what_they_show() {
    let place = Place::new();
    place.ok("sample --each-label 1 --seed 4 --temperature 0.5 digits/");
    let pictures: Vec<_> = (0..10).map(|n| format!("digits/00000{n}.png")).collect();
    let pictures = pictures.join(" ");
    let outcome = place.ok(&format!("reconstruct {pictures}"));
    for digit in 0..10 {
        let taken = format!("digits/00000{digit}.png (taken for a {digit}): squared error ");
        assert!(outcome.stderr.contains(&taken), "{}", outcome.stderr);
    }
    // What it took them for goes with their latent vectors, and so do the pictures that come of those.
    place.ok(&format!("encode {pictures} digits.csv"));
    place.ok("decode digits.csv digits.npy");
    place.ok(&format!("encode {pictures} digits.npz"));
    place.ok("decode digits.npz again.npy");
    assert!(place.read("digits.npy") == place.read("again.npy"));
    let kept = place.array("digits.npy", 10);
    for (digit, kept) in kept.chunks(784).enumerate() {
        let drawn = image::open(place.path(format!("digits/00000{digit}.png")));
        let drawn = drawn.unwrap().into_luma8();
        let error = drawn.iter().zip(kept);
        let error: f32 = error
            .map(|(&drawn, kept)| (f32::from(drawn) / 255.0 - kept).powi(2))
            .sum();
        assert!(error < 12.0, "{digit}: {error}");
    }
}

#[test]
fn the_latent_space_is_shown_of_it() {
    let place = Place::new();
    for line in [
        "latent traverse --data synthetic --out out.png",
        "latent interpolate seed:1 seed:2 --out walk.gif",
        "latent interpolate 0 1 --data synthetic --out two.png",
        "latent scatter --data synthetic --out scatter.svg",
        "reconstruct --data synthetic",
        "evaluate --data synthetic --importance-samples 2 --samples 0",
    ] {
        let outcome = place.ok(line);
        assert!(outcome.stderr.contains(SAID), "{line}: {}", outcome.stderr);
    }
}

#[test]
fn a_folder_of_its_name_is_reached_by_its_path() {
    let place = Place::new();
    place.refused("sample --model ./builtin", 2, "./builtin: does not exist");
    place.ok("train --config tiny.json --out builtin");
    place.ok("sample --n 2 --seed 1 --model ./builtin own.npy");
    place.ok("sample --n 2 --seed 1 --model builtin builtin.npy");
    assert!(place.read("own.npy") != place.read("builtin.npy"));
}

#[test]
fn its_digits_are_as_good_as_is_said() {
    let Some(folder) = given("VAE_TEST_MNIST", "MNIST's four files") else {
        return;
    };
    let place = Place::new();
    let line = format!(
        "evaluate --json --importance-samples 0 --samples 2000 --model builtin --data {}",
        folder.display()
    );
    let found: Value = serde_json::from_str(&place.ok(&line).stdout).unwrap();
    let drawings = &found["samples"]["drawings"];
    let recognised = drawings["recognised"].as_f64().unwrap();
    assert!(recognised > 0.94, "{found}");
    let loss = found["loss"].as_f64().unwrap();
    assert!(loss < 23.0, "{found}");
}

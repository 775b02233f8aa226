//! Models learn: some minutes of training, cut to some seconds.

mod common;

use candle_core::Device;
use common::{Place, given};
use serde_json::{Value, json};
use vae::data::{npy, npz};

/// The loss on the test images after `steps` steps of the default model.
fn test_loss(data: &str, steps: u64) -> f64 {
    let place = Place::new();
    let eval = steps / 2;
    place.ok(&format!(
        "train --data {data} --steps {steps} --eval-every {eval} --out run"
    ));
    let metrics = place.text("run/metrics.jsonl");
    let metrics: Vec<Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let tests = metrics.iter().filter(|metric| metric["split"] == "test");
    let losses: Vec<f64> = tests
        .map(|metric| metric["loss"].as_f64().unwrap())
        .collect();
    assert!(losses.last() < losses.first(), "{losses:?}");
    losses[losses.len() - 1]
}

#[test]
fn a_larger_beta_gives_up_squared_error_for_kl() {
    let place = Place::new();
    // Of the last test line.
    let terms = ["0.1", "1", "4"].map(|beta| {
        let line = format!("train --quiet --config tiny.json --steps 400 --beta {beta}");
        place.ok(&format!("{line} --image-every 400 --out run-{beta}"));
        let metrics = place.metrics(&format!("run-{beta}"));
        let last = metrics.last().unwrap();
        ["squared_error", "kl"].map(|key| last[key].as_f64().unwrap())
    });
    assert!(
        terms.is_sorted_by(|a, b| a[0] < b[0] && a[1] > b[1]),
        "{terms:?}"
    );
}

/// What a Gaussian learns is what its errors are: at its best, the variance of all their pixels.
#[test]
fn a_gaussian_learns_the_variance_of_its_errors() {
    let place = Place::new();
    place.config("gaussian.json", &[("/likelihood", json!("gaussian"))]);
    place.ok("train --config gaussian.json --steps 1500 --image-every 100 --out run");
    let metrics = place.metrics("run");
    // Of the images that it was learnt from: there are so few that others have larger errors.
    let mut last = metrics.iter().rev();
    let last = last.find(|metric| metric["split"] == "train").unwrap();
    let squared_error = last["squared_error"].as_f64().unwrap();
    let (_, vae) =
        vae::run::load_model(&vae::run::ModelName::Path(place.path("run")), &Device::Cpu).unwrap();
    let mut parameters = vae.parameters().iter();
    let (_, log_variance) = parameters
        .find(|(name, _)| name == "decoder.log_variance")
        .unwrap();
    let variance = f64::from(log_variance.to_vec1::<f32>().unwrap()[0]).exp();
    let ratio = variance / (squared_error / 784.0);
    assert!((0.9..1.1).contains(&ratio), "{variance} {squared_error}");
}

/// An image's squared distance from the mean image is about 53 in MNIST: what a model has to beat that
/// has learnt nothing of the single image.
#[test]
fn the_default_model_learns_mnist() {
    let Some(folder) = given("VAE_TEST_MNIST", "MNIST's four files") else {
        return;
    };
    let loss = test_loss(&folder.display().to_string(), 300);
    assert!(loss < 39.0, "{loss}");
}

#[test]
fn the_default_model_learns_synthetic_digits() {
    let loss = test_loss("synthetic", 300);
    assert!(loss < 39.0, "{loss}");
}

/// Grounds that run from one colour to another, each with a disc: colours, place and size by number.
fn discs(images: usize) -> Vec<u8> {
    const SIDE: usize = 64;
    let part = |number: usize, of: usize| ((number * 2_654_435_761 + of * 40_503) >> 7) % 256;
    let pixel = |image: usize, place: usize| -> [u8; 3] {
        let [row, column] = [place / SIDE, place % SIDE];
        let [x, y, radius] = [0, 1, 2].map(|of| part(image, of));
        let away = |at: usize, middle: usize| at.abs_diff(8 + middle * 48 / 256).pow(2);
        let is_disc = away(row, y) + away(column, x) < (5 + radius / 20).pow(2);
        std::array::from_fn(|channel| match is_disc {
            true => part(image, 3 + channel) as u8,
            false => {
                let [from, to] = [6, 9].map(|of| part(image, of + channel));
                ((from * (SIDE - row) + to * row) / SIDE) as u8
            }
        })
    };
    let pixels = (0..images * SIDE * SIDE).map(|at| pixel(at / (SIDE * SIDE), at % (SIDE * SIDE)));
    pixels.flatten().collect()
}

#[test]
fn the_model_for_pictures_learns_and_does_not_diverge() {
    let place = Place::new();
    let arrays = [("x_train", 1000), ("x_test", 100)];
    let arrays =
        arrays.map(|(name, images)| (name, npy::bytes(&discs(images), &[images, 64, 64, 3])));
    place.write("discs.npz", npz::write(arrays.into_iter()).unwrap());
    // As if there were many steps to come: where the rate falls soon, nothing diverges at any.
    let mut config: Value =
        serde_json::from_str(include_str!("../configs/pictures-64.json")).unwrap();
    config["schedule"] = json!("constant");
    place.write("config.json", config.to_string());
    place.ok("train --data discs.npz --config config.json --steps 300 --image-every 50 --out run");
    let metrics = place.metrics("run");
    let errors: Vec<f64> = metrics
        .iter()
        .map(|metric| metric["squared_error"].as_f64().unwrap())
        .collect();
    assert!(errors[errors.len() - 1] < 0.4 * errors[0], "{errors:?}");
}

/// Of what it draws with a unit normal prior alone, a classifier is sure of three in five.
#[test]
fn what_the_default_model_draws_is_recognised() {
    let Some(folder) = given("VAE_TEST_MNIST", "MNIST's four files") else {
        return;
    };
    let place = Place::new();
    place.ok(&format!(
        "train --data {} --steps 600 --out run",
        folder.display()
    ));
    let line = "evaluate --json --model run --importance-samples 0 --samples 2000";
    let found: Value = serde_json::from_str(&place.ok(line).stdout).unwrap();
    let samples = &found["samples"];
    let accuracy = samples["classifier_accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.985, "{accuracy}");
    let recognised = |set: &str| samples[set]["recognised"].as_f64().unwrap();
    assert!(recognised("test_images") > 0.95, "{samples}");
    assert!(recognised("drawings") > 0.8, "{samples}");
}

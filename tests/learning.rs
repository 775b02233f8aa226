//! The default model learns: some minutes of training, cut to some seconds.

mod common;

use candle_core::Device;
use common::{Place, given};
use serde_json::{Value, json};

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

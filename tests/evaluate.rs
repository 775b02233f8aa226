//! What `vae evaluate` finds, and how it says it.

mod common;

use common::Place;
use serde_json::{Value, json as value};

fn json(place: &Place, line: &str) -> Value {
    let outcome = place.ok(&format!("evaluate --json {line}"));
    assert_eq!(outcome.stdout.lines().count(), 1, "{}", outcome.stdout);
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn its_losses_are_those_of_the_last_evaluation_in_training() {
    let place = Place::with_model();
    let found = json(&place, "--model run --importance-samples 0 --samples 0");
    let metrics = place.metrics("run");
    let last = metrics.iter().rfind(|m| m["split"] == "test").unwrap();
    for key in ["squared_error", "kl", "loss"] {
        assert_eq!(found[key], last[key], "{key}");
    }
    let number = |key: &str| found[key].as_f64().unwrap();
    assert_eq!(number("elbo"), -number("squared_error") - number("kl"));
    assert_eq!(found["images"], 50);
    assert_eq!(found["split"], "test");
    let dataset = found["dataset"].as_str().unwrap();
    assert!(dataset.starts_with("IDX files in "), "{dataset}");
    assert!(found["nll"].is_null() && found["nll_standard_error"].is_null());
}

#[test]
fn under_another_likelihood_the_density_is_whole() {
    let place = Place::new();
    for (likelihood, binarize) in [("bernoulli", "dynamic"), ("gaussian", "none")] {
        let changes = [
            ("/likelihood", value!(likelihood)),
            ("/binarize", value!(binarize)),
            ("/ema_decay", value!(0.9)),
        ];
        place.config("other.json", &changes);
        place.ok(&format!("train --config other.json --out {likelihood}"));
        let line = format!("--model {likelihood} --importance-samples 64 --samples 20");
        let found = json(&place, &line);
        let metrics = place.metrics(likelihood);
        let last = metrics.iter().rfind(|m| m["split"] == "test").unwrap();
        for key in ["reconstruction", "squared_error", "kl", "loss"] {
            assert_eq!(found[key], last[key], "{key}");
        }
        assert_eq!(found["likelihood"], likelihood);
        assert_eq!(found["binarize"], binarize);
        let number = |key: &str| found[key].as_f64().unwrap();
        assert_eq!(number("elbo"), -number("reconstruction") - number("kl"));
        assert!(number("nll") < -number("elbo"), "{found}");
        let table = place.ok(&format!("evaluate {line}")).stdout;
        assert!(table.contains("reconstruction + 0.1 x KL"), "{table}");
    }
}

#[test]
fn it_says_all_that_it_promises() {
    let place = Place::with_model();
    let found = json(&place, "--model run --importance-samples 64 --samples 0");
    let number = |key: &str| {
        found[key]
            .as_f64()
            .unwrap_or_else(|| panic!("no {key}: {found}"))
    };
    // More samples are a closer bound, from above.
    assert!(number("nll") < -number("elbo"), "{found}");
    assert!(number("nll_standard_error") > 0.0);
    assert_eq!(number("importance_samples"), 64.0);
    assert_eq!(number("beta"), 0.1);
    let dimensions = found["dimensions"].as_array().unwrap();
    assert_eq!(dimensions.len(), 3);
    let of_each = |key: &str| -> Vec<f64> {
        let values = dimensions
            .iter()
            .map(|dimension| dimension[key].as_f64().unwrap());
        values.collect()
    };
    let kl = of_each("kl");
    assert!(kl.is_sorted_by(|a, b| a >= b), "{kl:?}");
    assert!(
        (kl.iter().sum::<f64>() - number("kl")).abs() < 1e-4,
        "{kl:?}"
    );
    let active = dimensions
        .iter()
        .filter(|dimension| dimension["active"] == true);
    assert_eq!(active.count() as f64, number("active_units"));
    for (activity, variance) in of_each("activity").iter().zip(of_each("variance")) {
        assert!(*activity >= 0.0 && variance > *activity);
    }
    for key in ["mean_norm", "largest_covariance", "kl_to_prior"] {
        assert!(
            found["aggregated_posterior"][key].as_f64().unwrap() >= 0.0,
            "{key}"
        );
    }
}

#[test]
fn its_names_are_those_of_the_page() {
    let place = Place::with_model();
    let found = json(&place, "--model run --importance-samples 8 --samples 20");
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, names) = page
        .split_once("With `--json` it prints one object: ")
        .unwrap();
    let (names, _) = names.split_once("\n\n").unwrap();
    let mut names: Vec<&str> = names.split('`').skip(1).step_by(2).collect();
    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(keys) => keys.iter().for_each(|(key, value)| {
                into.push(key.clone());
                collect(value, into);
            }),
            Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
            _ => {}
        }
    }
    let mut keys = Vec::new();
    collect(&found, &mut keys);
    keys.sort();
    keys.dedup();
    names.sort();
    names.dedup();
    assert_eq!(keys, names);
}

#[test]
fn the_same_seed_gives_the_same_figures_on_any_number_of_threads() {
    let place = Place::with_model();
    let line = "--model run --importance-samples 300 --samples 40";
    let found = json(&place, line);
    assert_eq!(found, json(&place, &format!("{line} --threads 1")));
    assert_eq!(found, json(&place, &format!("{line} --threads 3")));
    let other = json(&place, &format!("{line} --seed 7"));
    assert_ne!(found["nll"], other["nll"]);
    assert_eq!(found["loss"], other["loss"]);
}

#[test]
fn the_training_split_and_other_data_can_be_looked_at() {
    let place = Place::with_model();
    let line = "--model run --importance-samples 0 --samples 0";
    assert_eq!(
        json(&place, &format!("{line} --split train"))["images"],
        200
    );
    let other = json(&place, &format!("{line} --data synthetic"));
    assert_eq!(other["images"], 10_000);
    assert_eq!(other["dataset"], "synthetic digits");
    place.refused("evaluate --model nowhere", 2, "does not exist");
    place.refused(
        "evaluate --model run --importance-samples -1",
        2,
        "invalid value",
    );
}

#[test]
fn a_person_reads_a_table() {
    let place = Place::with_model();
    let outcome = place.ok("evaluate --model run --importance-samples 20 --samples 40");
    for said in [
        "run, 50 test images of ",
        "squared error ",
        "KL ",
        "loss ",
        "from 20 importance samples an image",
        "latent dimensions are active",
        "dimension       KL  activity      mean  variance",
        "nats from the prior",
        "for a classifier that is right on ",
        "  drawings ",
        "  from posterior ",
    ] {
        assert!(
            outcome.stdout.contains(said),
            "no `{said}` in {}",
            outcome.stdout
        );
    }
    assert!(
        outcome
            .stderr
            .starts_with("estimating the likelihood of 50 images")
    );
    let quiet = place.ok("evaluate --quiet --model run --importance-samples 20 --samples 40");
    assert_eq!((quiet.stdout, quiet.stderr), (outcome.stdout, "".into()));
    // The classifier is kept.
    let files = place.files("home").into_keys();
    let kept: Vec<String> = files
        .filter(|file| file.contains("vae/classifiers/"))
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let without = place.ok("evaluate --model run --importance-samples 0 --samples 0");
    assert!(!without.stdout.contains("-log p(x)"));
}

#[test]
fn pictures_are_compared_with_real_ones() {
    let place = Place::with_model();
    let line = "--model run --importance-samples 0 --samples 40";
    let found = json(&place, line);
    let samples = &found["samples"];
    assert!((0.0..=1.0).contains(&samples["classifier_accuracy"].as_f64().unwrap()));
    let counts = [
        ("test_images", 50),
        ("training_images", 200),
        ("reconstructions", 50),
        ("drawings", 40),
        ("posterior_drawings", 40),
    ];
    for (name, count) in counts {
        let set = &samples[name];
        assert_eq!(set["images"], count, "{name}");
        let share = |key: &str| set[key].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&share("recognised")), "{name}");
        let classes = set["classes"].as_array().unwrap();
        let sum: f64 = classes.iter().map(|share| share.as_f64().unwrap()).sum();
        assert!(classes.len() == 10 && (sum - 1.0).abs() < 1e-4, "{set}");
        assert!(
            (0.0..=10f64.ln() + 1e-6).contains(&share("class_entropy")),
            "{set}"
        );
        let is_compared = name != "test_images";
        for key in ["frechet_distance", "precision", "recall"] {
            assert_eq!(set[key].is_f64(), is_compared, "{name} {key}");
        }
        let nearest = &set["nearest_training_image"];
        let is_near = ["test_images", "drawings", "posterior_drawings"].contains(&name);
        assert_eq!(
            nearest["mean"].is_f64() && nearest["least"].is_f64(),
            is_near,
            "{name}"
        );
    }
    // These were trained on; what a model of some steps draws is farther from what there is.
    let distance = |name: &str| samples[name]["frechet_distance"].as_f64().unwrap();
    assert!(
        distance("training_images") < distance("drawings"),
        "{samples}"
    );
}

#[test]
fn a_classifier_is_kept_and_trained_again_if_that_is_damaged() {
    let place = Place::with_model();
    let line = "--model run --importance-samples 0 --samples 40";
    let found = json(&place, line);
    let files = place.files("home").into_keys();
    let file = files
        .into_iter()
        .find(|file| file.contains("vae/classifiers/"));
    let file = format!("home/{}", file.unwrap());
    let kept = place.read(&file);
    assert_eq!(json(&place, line), found);

    let mut damaged = kept.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    place.write(&file, damaged);
    let outcome = place.ok(&format!("evaluate --json {line}"));
    assert!(
        outcome.stderr.contains("the cached classifier is damaged"),
        "{outcome:?}"
    );
    assert_eq!(
        serde_json::from_str::<Value>(&outcome.stdout).unwrap(),
        found
    );
    assert!(
        place.read(&file) == kept,
        "trained again, to the same bytes"
    );
}

#[test]
fn labels_that_tell_nothing_apart_are_done_without() {
    let place = Place::with_model();
    for split in ["train", "t10k"] {
        let name = format!("data/{split}-labels-idx1-ubyte");
        let mut labels = place.read(&name);
        labels[8..].fill(3);
        place.write(&name, labels);
    }
    let outcome = place.ok("evaluate --json --model run --importance-samples 0");
    assert!(
        outcome.stderr.contains("tell no classes apart"),
        "{outcome:?}"
    );
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert!(found["samples"].is_null() && found["loss"].is_f64());
}

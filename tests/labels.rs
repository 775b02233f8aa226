//! Models that are told what images show, and asked for it.

mod common;

use common::{Place, given};
use serde_json::{Value, json};

/// A place with a conditional model in `run/`, trained a little.
fn place() -> Place {
    let place = Place::new();
    place.config("labels.json", &[("/conditional", json!(true))]);
    place.ok("train --config labels.json --out run");
    place
}

#[test]
fn a_label_is_asked_for_alone_or_beside_all_others() {
    let place = place();
    place.ok("sample --model run --seed 5 --each-label 3 all.npy");
    let all = place.array("all.npy", 30);
    let each = all.len() / 30;
    for label in [0, 7, 9] {
        place.ok(&format!(
            "sample --model run --seed 5 --label {label} --n 3 one.npy"
        ));
        let one = place.array("one.npy", 3);
        assert!(one == all[3 * label * each..][..3 * each], "{label}");
    }
    assert!(
        all[..each] != all[3 * each..][..each],
        "another label, another picture"
    );
    // Without a label, one after the other.
    place.ok("sample --model run --seed 5 --n 12 turn.npy");
    let turn = place.array("turn.npy", 12);
    assert!(turn[..each] == all[..each]);
    place.ok("sample --model run --seed 5 --label 1 --n 2 second.npy");
    let second = place.array("second.npy", 2);
    assert!(turn[each..2 * each] == second[each..]);
    // A row a label.
    place.ok("sample --model run --each-label 4 all.png");
    let picture = image::open(place.path("all.png")).unwrap();
    assert!(picture.height() > 2 * picture.width());
}

#[test]
fn what_cannot_be_asked_for_is_said() {
    let place = place();
    place.refused(
        "sample --model run --label 10",
        2,
        "--label: `10` is none of the model's labels: 0 to 9",
    );
    place.refused(
        "sample --model run --label x",
        2,
        "--label: `x` is none of the",
    );
    place.refused(
        "sample --model run --label 1 --each-label 2",
        2,
        "cannot be used with",
    );
    place.refused("sample --model run --each-label 0", 2, "--each-label");
    place.ok("train --config tiny.json --out plain");
    for line in [
        "sample --label 1",
        "sample --each-label 2",
        "reconstruct --label 1 a.png",
    ] {
        let line = format!("{line} --model plain");
        place.refused(&line, 2, "the model was not told labels");
    }
    place.config(
        "few.json",
        &[("/conditional", json!(true)), ("/classes", json!(3))],
    );
    place.refused(
        "train --config few.json --out few",
        2,
        "hint: train one that does: \"classes\": ",
    );
    assert!(!place.path("few").exists());
}

#[test]
fn pictures_are_reconstructed_with_their_labels() {
    let place = place();
    place.ok("reconstruct --model run --n 3 --out three.png");
    place.ok("sample --model run --n 1 own/");
    place.ok("reconstruct --model run own/000000.png --label 3 --out a.png");
    place.ok("reconstruct --model run own/000000.png --label 4 --out b.png");
    assert!(place.read("a.png") != place.read("b.png"));
    place.refused(
        "reconstruct --model run own/000000.png --label 11",
        2,
        "none of the model's labels",
    );
}

/// What the labels say needs not be said by latent vectors.
#[test]
fn labels_help_and_are_seen_in_what_is_asked_for() {
    let Some(folder) = given("VAE_TEST_MNIST", "MNIST's four files") else {
        return;
    };
    let place = Place::new();
    place.write("labels.json", r#"{"conditional": true}"#);
    let line = format!(
        "train --data {} --steps 600 --eval-every 600",
        folder.display()
    );
    place.ok(&format!("{line} --config labels.json --out told"));
    place.ok(&format!("{line} --out untold"));
    let loss = |run: &str| place.metrics(run).pop().unwrap()["loss"].as_f64().unwrap();
    assert!(
        loss("told") < loss("untold") - 1.0,
        "{} {}",
        loss("told"),
        loss("untold")
    );
    let line = "evaluate --json --importance-samples 0 --samples 2000 --model";
    let samples = |run: &str| -> Value {
        let found: Value =
            serde_json::from_str(&place.ok(&format!("{line} {run}")).stdout).unwrap();
        found["samples"].clone()
    };
    let shares = samples("told")["label_accuracy"].clone();
    let shares: Vec<f64> = shares
        .as_array()
        .unwrap()
        .iter()
        .map(|share| share.as_f64().unwrap())
        .collect();
    assert_eq!(shares.len(), 10);
    assert!(shares.iter().sum::<f64>() > 8.5, "{shares:?}");
    assert!(samples("untold")["label_accuracy"].is_null());
}

//! The same seed gives the same bytes, whatever else changes.

mod common;

use common::Place;
use serde_json::json;

/// Trains as `line` says, into a run of its own; the bytes of its weights.
#[track_caller]
fn weights(place: &Place, run: &str, line: &str) -> Vec<u8> {
    place.ok(&format!("train --out {run} {line}"));
    place.read(&format!("{run}/model.safetensors"))
}

/// Starts a training anew that gets a signal once it has saved something; whether that ended it.
#[cfg(unix)]
fn ended_by(place: &Place, line: &str, run: &str, signal: &str) -> bool {
    let _ = std::fs::remove_dir_all(place.path(run));
    let mut command = place.command(line);
    let command = command.stdout(std::process::Stdio::null());
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let checkpoint = place.path(run).join("checkpoint.safetensors");
    while child.try_wait().unwrap().is_none() && !checkpoint.exists() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(checkpoint.exists(), "{run} ended without a checkpoint");
    if child.try_wait().unwrap().is_none() {
        common::signal(&child, signal);
    }
    !child.wait().unwrap().success()
}

/// Convolutions of each kind with dropout, their padding uneven.
fn with_dropout(place: &Place) {
    let conv = |channels, stride, activation| {
        json!({"channels": channels, "kernel": 4, "stride": stride, "padding": "same",
               "activation": activation, "dropout": 0.2})
    };
    let encoder = json!([{"conv": conv(16, 2, "relu")}, {"conv": conv(32, 2, "relu")}]);
    let decoder = json!([
        {"dense": {"features": 49, "dropout": 0.1}},
        {"reshape": [1, 7, 7]},
        {"conv_transpose": conv(16, 2, "relu")},
        {"conv_transpose": conv(16, 1, "relu")},
        {"dense": {"features": 784, "activation": "sigmoid"}}
    ]);
    place.config(
        "dropout.json",
        &[("/encoder", encoder), ("/decoder", decoder)],
    );
}

/// Dense layers that no number of threads shares out evenly.
fn with_odd_sizes(place: &Place) {
    let dense = |features| json!({"dense": {"features": features, "activation": "relu"}});
    let pixels = json!({"dense": {"features": 784, "activation": "sigmoid"}});
    let changes = [
        ("/encoder", json!([dense(217), dense(65)])),
        ("/decoder", json!([dense(145), dense(1), dense(73), pixels])),
    ];
    place.config("odd.json", &changes);
}

/// Likelihoods, bounds, schedules, averages: all that is off by default.
fn with_everything(place: &Place) {
    place.config(
        "everything.json",
        &[
            ("/likelihood", json!("bernoulli")),
            ("/binarize", json!("dynamic")),
            ("/conditional", json!(true)),
            ("/noise", json!({"salt_and_pepper": 0.2})),
            ("/train_importance_samples", json!(3)),
            ("/beta_schedule", json!({"cyclic": 7})),
            ("/weight_decay", json!(0.1)),
            ("/max_gradient_norm", json!(50.0)),
            ("/ema_decay", json!(0.9)),
        ],
    );
    place.config(
        "gaussian.json",
        &[
            ("/likelihood", json!("gaussian")),
            ("/binarize", json!("threshold")),
            ("/noise", json!({"gaussian": 0.3})),
            ("/free_bits", json!(0.2)),
            ("/beta_schedule", json!({"linear": 20})),
            ("/ema_decay", json!(0.99)),
        ],
    );
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let place = Place::new();
    with_dropout(&place);
    with_everything(&place);
    for config in ["tiny", "dropout", "everything", "gaussian"] {
        let line = format!("--config {config}.json");
        let first = weights(&place, &format!("{config}-a"), &line);
        assert!(weights(&place, &format!("{config}-b"), &line) == first);
        assert!(weights(&place, &format!("{config}-c"), &format!("{line} --seed 1")) != first);

        let [mut a, mut b] = ["a", "b"].map(|run| place.files(&format!("{config}-{run}")));
        assert!(a.remove("metrics.jsonl").is_some() && b.remove("metrics.jsonl").is_some());
        assert!(a == b, "checkpoint, pictures and plot are the same too");
        let [a, b] = ["a", "b"].map(|run| place.metrics(&format!("{config}-{run}")));
        assert_eq!(a, b);
    }
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let place = Place::new();
    with_dropout(&place);
    with_odd_sizes(&place);
    with_everything(&place);
    for config in ["tiny", "dropout", "odd", "everything", "gaussian"] {
        let run = |threads: usize| format!("{config}-{threads}");
        for threads in [1, 2, 3, 8] {
            let line = format!("train --config {config}.json --threads {threads} --out");
            place.ok(&format!("{line} {}", run(threads)));
            place.assert_same(&run(threads), &run(1));
        }
    }
}

/// Models that come with the program, and others with all that is off by default: on any number of threads, saved at
/// each step or at the end only, interrupted, killed, resumed.
#[test]
fn the_models_of_the_program_come_to_the_same_bytes_on_every_way() {
    let place = Place::new();
    with_everything(&place);
    for config in ["mnist", "article", "everything", "gaussian"] {
        let file = match config {
            "mnist" | "article" => format!("{}/configs/{config}.json", env!("CARGO_MANIFEST_DIR")),
            _ => format!("{config}.json"),
        };
        let line = format!("train --config {file} --data data --steps 8 --image-every 2");
        let line = format!("{line} --save-every 1 --eval-every 4");
        let whole = format!("{config}-whole");
        place.ok(&format!("{line} --threads 1 --out {whole}"));
        for threads in [2, 3, 8] {
            let run = format!("{config}-{threads}");
            place.ok(&format!("{line} --threads {threads} --out {run}"));
            place.assert_same(&run, &whole);
        }
        let rarely = format!("--config {file} --data data --steps 8 --save-every 4");
        let rarely = weights(&place, &format!("{config}-rarely"), &rarely);
        assert!(rarely == place.read(&format!("{whole}/model.safetensors")));
        #[cfg(unix)]
        for signal in ["-INT", "-TERM", "-KILL"] {
            let run = format!("{config}{signal}");
            let line = format!("{line} --threads 2 --out {run}");
            // On a busy machine it may come to its end before the signal does.
            let ended = (0..20).any(|_| ended_by(&place, &line, &run, signal));
            assert!(ended, "{run} always came to its end");
            place.ok(&format!("train --resume {run} --threads 3"));
            place.assert_same(&run, &whole);
        }
    }
}

#[test]
fn how_often_a_run_is_saved_shown_and_tested_changes_no_byte() {
    let place = Place::new();
    let first = weights(&place, "run", "--config tiny.json");
    for (number, line) in [
        "--save-every 1",
        "--image-every 7",
        "--eval-every 3",
        "--image-every 1000 --save-every 1000 --eval-every 1000",
        "--quiet",
    ]
    .iter()
    .enumerate()
    {
        let line = format!("--config tiny.json {line}");
        assert!(
            weights(&place, &format!("run-{number}"), &line) == first,
            "{line}"
        );
    }
}

#[test]
fn where_the_data_lie_leaves_no_trace_in_the_weights() {
    let place = Place::new();
    let here = weights(&place, "here", "--config tiny.json");
    std::fs::create_dir(place.path("other")).unwrap();
    std::fs::rename(place.path("data"), place.path("other/place")).unwrap();
    let there = weights(&place, "there", "--config tiny.json --data ./other/place/");
    assert!(here == there);
}

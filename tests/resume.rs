//! Runs that are interrupted, continued, or go wrong.

mod common;

#[cfg(unix)]
use common::Outcome;
use common::Place;
use serde_json::json;

/// Starts a training, sends it `signal` once it has made some steps, and waits for its end.
#[cfg(unix)]
fn interrupted(place: &Place, line: &str, signal: &str) -> Outcome {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    let begun = std::time::Instant::now();
    let mut command = place.command(line);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut messages = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("\nstep ") {
        let length = messages.read_line(&mut said).unwrap();
        assert_ne!(length, 0, "it ended before its first step: {said}");
    }
    common::signal(&child, signal);
    messages.read_to_string(&mut said).unwrap();
    let mut output = child.wait_with_output().unwrap();
    output.stderr = said.into_bytes();
    Outcome::new(output, begun.elapsed())
}

/// The step after which a run says it was stopped.
#[cfg(unix)]
fn stopped_after(outcome: &Outcome) -> u64 {
    let (_, rest) = outcome
        .stderr
        .split_once("stopped and saved after step ")
        .unwrap();
    let (step, hint) = rest.split_once("; go on with: ").unwrap();
    assert_eq!(hint, "vae train --resume cut\n");
    step.parse().unwrap()
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_is_saved_and_resumes_as_if_nothing_had_happened() {
    let place = Place::new();
    place.config("dropout.json", &[("/encoder/1/dense/dropout", json!(0.3))]);
    // Should a busy machine send the signal too late, a longer run is interrupted.
    for steps in [400, 4_000, 40_000] {
        let line = format!("train --config dropout.json --steps {steps} --image-every 50");
        let cut = interrupted(&place, &format!("{line} --out cut"), "-INT");
        if cut.code == Some(0) {
            std::fs::remove_dir_all(place.path("cut")).unwrap();
            continue;
        }
        assert_eq!(
            (cut.code, cut.stdout.as_str()),
            (Some(130), "cut\n"),
            "{}",
            cut.stderr
        );
        let step = stopped_after(&cut);

        let resumed = place.ok("train --resume cut");
        assert_eq!(resumed.stdout, "cut\n");
        let said = format!("continuing after step {step}\n");
        assert!(resumed.stderr.contains(&said), "{}", resumed.stderr);
        place.ok(&format!("{line} --out whole"));
        return place.assert_same("cut", "whole");
    }
    panic!("no run was interrupted");
}

#[cfg(unix)]
#[test]
fn a_terminated_run_is_saved_and_resumes_to_any_step() {
    let place = Place::new();
    place.config("constant.json", &[("/schedule", json!("constant"))]);
    let line = "train --config constant.json --image-every 50 --save-every 1000 --eval-every 1000";
    let cut = interrupted(
        &place,
        &format!("{line} --steps 1000000 --out cut"),
        "-TERM",
    );
    assert_eq!(
        (cut.code, cut.stdout.as_str()),
        (Some(143), "cut\n"),
        "{}",
        cut.stderr
    );
    let steps = stopped_after(&cut) + 40;
    place.ok(&format!("train --resume cut --steps {steps}"));
    place.ok(&format!("{line} --steps {steps} --out whole"));
    place.assert_same("cut", "whole");
}

#[test]
fn a_run_that_was_killed_resumes_from_its_last_checkpoint() {
    let place = Place::new();
    place.config("constant.json", &[("/schedule", json!("constant"))]);
    place.ok("train --config constant.json --out whole");
    place.ok("train --config constant.json --out cut --steps 20");
    // It leaves what was written since the checkpoint, and perhaps half a line.
    let metrics = place.text("whole/metrics.jsonl");
    place.write("cut/metrics.jsonl", &metrics[..metrics.len() - 30]);
    place.ok("train --resume cut --steps 30");
    place.assert_same("cut", "whole");
}

#[test]
fn a_finished_run_is_continued_only_with_more_steps() {
    let place = Place::with_model();
    place.refused("train --resume run", 2, "has done 30 of 30 steps");
    place.refused("train --resume run --steps 30", 2, "--steps N");

    let resumed = place.ok("train --resume run --steps 45 --image-every 15");
    assert!(
        resumed.stderr.contains("continuing after step 30\n"),
        "{}",
        resumed.stderr
    );
    assert_eq!(place.json("run/config.json")["steps"], 45);
    let steps: Vec<_> = place
        .metrics("run")
        .iter()
        .map(|m| m["step"].clone())
        .collect();
    assert_eq!(steps, [10, 20, 20, 30, 30, 40, 45, 45]);
}

#[test]
fn resuming_keeps_what_decides_the_numbers() {
    let place = Place::with_model();
    for flag in [
        "--beta 2",
        "--seed 2",
        "--batch-size 9",
        "--learning-rate 0.1",
        "--latent-dim 4",
    ] {
        let line = format!("train --resume run --steps 40 {flag}");
        place.refused(&line, 2, "cannot be used with");
    }
    place.refused("train --resume run --out other", 2, "cannot be used with");
    place.refused(
        "train --resume run --config tiny.json",
        2,
        "cannot be used with",
    );

    let mut labels = place.read("data/t10k-labels-idx1-ubyte");
    for file in [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
    ] {
        place.write(
            &format!("other/{file}"),
            place.read(&format!("data/{file}")),
        );
    }
    *labels.last_mut().unwrap() ^= 1;
    place.write("other/t10k-labels-idx1-ubyte", labels);
    place.refused(
        "train --resume run --steps 40 --data other",
        2,
        "error: data: the run was trained on ",
    );
}

#[test]
fn a_folder_with_a_run_in_it_is_not_trained_into() {
    let place = Place::with_model();
    place.refused(
        "train --config tiny.json --out run",
        2,
        "holds a run already",
    );
    place.refused("train --resume nowhere", 2, "does not exist");
    place.refused("train --resume data", 2, "holds no config.json of a run");
    place.refused("train --resume tiny.json", 2, "not a run directory");
}

#[test]
fn a_run_that_diverges_stops_and_keeps_its_last_good_checkpoint() {
    let place = Place::new();
    let changes = [
        ("/schedule", json!("constant")),
        ("/warmup_steps", json!(0)),
    ];
    place.config("wild.json", &changes);
    let mut said = String::new();
    // Where the loss of a step is finite yet, its gradient may not be; somewhere on this way it is not.
    for number in 0..24 {
        let (run, rate) = (format!("run-{number}"), 0.2 * 1.07_f64.powi(number));
        let every = "--steps 20 --image-every 1000 --save-every 1 --eval-every 1000";
        let line = format!("{every} --beta 1000000 --learning-rate {rate} --out {run}");
        let outcome = place.vae(&format!("train --quiet --config wild.json {line}"));
        if outcome.code != Some(0) {
            assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
            assert!(outcome.stderr.starts_with("error: step "), "{outcome:?}");
            assert!(outcome.stderr.contains(" not finite ("), "{outcome:?}");
            assert!(outcome.stderr.contains("\nhint: "), "{outcome:?}");
            said += &outcome.stderr;
        }
        if place.path(&run).join("model.safetensors").exists() {
            place.ok(&format!("sample --quiet --model {run} --n 4"));
        }
    }
    assert!(said.contains(": the loss is not finite ("), "{said}");
    assert!(said.contains(": the weights are not finite ("), "{said}");
}

#[test]
fn an_average_is_what_is_saved_for_use_and_comes_back_with_its_run() {
    let place = Place::new();
    place.config("average.json", &[("/ema_decay", json!(0.9))]);
    place.ok("train --config tiny.json --out plain");
    place.ok("train --config average.json --out run");
    // It follows what is trained, and changes nothing there.
    let tensors = |file: &str| {
        let file = place.read(file);
        let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
        let of = |name: &str| tensors.tensor(name).map(|view| view.data().to_vec()).ok();
        ["decoder.dense1.weight", "average.decoder.dense1.weight"].map(of)
    };
    let [plain, no_average] = tensors("plain/model.safetensors");
    assert_eq!(no_average, None);
    let [trained, average] = tensors("run/checkpoint.safetensors");
    assert!(trained == plain && average.is_some() && average != trained);
    assert!(tensors("run/model.safetensors") == [average, None]);

    let model = place.read("run/model.safetensors");
    std::fs::remove_file(place.path("run/model.safetensors")).unwrap();
    place.ok("train --resume run");
    assert!(place.read("run/model.safetensors") == model);

    // A checkpoint without its averages is no checkpoint of this run.
    let (mut averages, description) =
        vae::run::weights::read::<serde_json::Value>(&place.path("run/checkpoint.safetensors"))
            .unwrap();
    averages
        .remove("average.mean.bias")
        .or_else(|| averages.remove("average.encoder.dense1.bias"));
    let named = averages.iter().map(|(name, tensor)| (name.clone(), tensor));
    let bytes = vae::run::weights::to_bytes(named, &description).unwrap();
    place.write("run/checkpoint.safetensors", bytes);
    place.refused("train --resume run --steps 40", 2, "is missing");
}

//! What training leaves behind, and what the program says about itself.

mod common;

use common::{Place, grid};
use serde_json::{Value, json};
use std::process::Command;
use vae::config::Config;

#[test]
fn training_leaves_a_run_directory_with_everything_in_it() {
    let place = Place::new();
    let outcome = place.ok("train --config tiny.json --out run --steps 25");
    assert_eq!(outcome.stdout, "run\n");
    for said in [
        "200 training and 50 test images",
        "step 10 of 25: loss ",
        "step 20 of 25: loss ",
        "step 25 of 25: loss ",
        "step 20: test loss ",
        "step 25: test loss ",
        "vae sample out.png --model run",
    ] {
        assert!(
            outcome.stderr.contains(said),
            "no `{said}` in {}",
            outcome.stderr
        );
    }
    let names: Vec<_> = place.files("run").into_keys().collect();
    let expected = [
        ".lock",
        "checkpoint.safetensors",
        "config.json",
        "loss.svg",
        "metrics.jsonl",
        "model.safetensors",
        "reconstructions/step-000010.png",
        "reconstructions/step-000020.png",
        "reconstructions/step-000025.png",
        "samples/step-000010.png",
        "samples/step-000020.png",
        "samples/step-000025.png",
    ];
    assert_eq!(names, expected);
    for step in [10, 20, 25] {
        let strip = format!("run/reconstructions/step-{step:06}.png");
        assert_eq!(place.size_of(&strip), (grid(16), grid(2)));
        let samples = format!("run/samples/step-{step:06}.png");
        assert_eq!(place.size_of(&samples), (grid(8), grid(8)));
    }
    let plot = place.text("run/loss.svg");
    assert!(
        plot.starts_with("<svg") && plot.trim_end().ends_with("</svg>"),
        "{plot}"
    );
}

#[test]
fn metrics_are_one_object_a_line_and_add_up() {
    let place = Place::new();
    place.ok("train --config tiny.json --out run --beta 0.25");
    let text = place.text("run/metrics.jsonl");
    // What is quoted in a line: its keys, in order, and the name of its split.
    let train: Vec<&str> = "step split train loss squared_error kl learning_rate images_per_second"
        .split(' ')
        .collect();
    let test: Vec<&str> = "step split test loss squared_error kl".split(' ').collect();
    let mut order = Vec::new();
    for line in text.lines() {
        let metric: Value = serde_json::from_str(line).unwrap();
        let number = |key: &str| metric[key].as_f64().unwrap();
        let is_train = metric["split"] == "train";
        let found: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        assert_eq!(found, *if is_train { &train } else { &test });
        order.push((metric["step"].as_u64().unwrap(), is_train));
        let sum = number("squared_error") + 0.25 * number("kl");
        assert!((number("loss") / sum - 1.0).abs() < 1e-12, "{line}");
        assert!(number("kl") > 0.0 && number("squared_error") > 0.0);
        if is_train {
            assert!(number("learning_rate") > 0.0 && number("images_per_second") > 0.0);
        }
    }
    let expected = [(10, true), (20, true), (20, false), (30, true), (30, false)];
    assert_eq!(order, expected);
}

#[test]
fn the_config_in_a_run_is_complete_and_makes_the_same_run_again() {
    let place = Place::new();
    place.ok("train --config tiny.json --out run --seed 7");
    let config = place.json("run/config.json");
    let all = serde_json::to_value(Config::default()).unwrap();
    for key in all.as_object().unwrap().keys() {
        assert!(!config[key].is_null(), "no {key}");
    }
    let provenance = &config["provenance"];
    assert_eq!(provenance["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(provenance["dataset"], "IDX files");
    assert_eq!(provenance["dataset_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(
        config["data"],
        json!(place.path("data").canonicalize().unwrap())
    );

    place.ok("train --config run/config.json --out again");
    assert_eq!(place.json("again/config.json"), config);
    assert!(place.read("again/model.safetensors") == place.read("run/model.safetensors"));
}

#[test]
fn a_config_of_a_run_takes_the_data_of_that_run_or_those_that_are_named() {
    let place = Place::new();
    place.ok("train --config tiny.json --out run");
    let mut images = place.read("data/train-images-idx3-ubyte");
    *images.last_mut().unwrap() ^= 1;
    place.write("data/train-images-idx3-ubyte", images);

    let line = "train --config run/config.json --out again";
    place.refused(
        line,
        2,
        "error: data: the run was trained on IDX files (SHA-256 ",
    );
    place.refused(
        line,
        2,
        "hint: to train on these all the same, name them: --data ",
    );
    place.ok(&format!("{line} --data data"));
    let sums = ["run", "again"].map(|run| {
        let config = place.json(&format!("{run}/config.json"));
        config["provenance"]["dataset_sha256"].clone()
    });
    assert_ne!(sums[0], sums[1]);
}

#[test]
fn flags_come_before_the_config_file_and_that_before_the_defaults() {
    let place = Place::new();
    place.ok("train --config tiny.json --out run --steps 12 --beta 2 --seed 3 --save-every 6");
    let config = place.json("run/config.json");
    let found = |key: &str| config[key].clone();
    assert_eq!(found("steps"), 12, "a flag");
    assert_eq!(found("beta"), 2.0, "a flag");
    assert_eq!(found("seed"), 3, "a flag");
    assert_eq!(found("save_every"), 6, "a flag");
    assert_eq!(found("batch_size"), 8, "the file");
    assert_eq!(found("latent_dim"), 3, "the file");
    assert_eq!(
        found("adam_beta1"),
        Config::default().adam_beta1,
        "a default"
    );
    assert_eq!(
        found("adam_beta2"),
        Config::default().adam_beta2,
        "a default"
    );
}

#[test]
fn quiet_prints_nothing_but_the_result() {
    let place = Place::new();
    for line in [
        "train --quiet --config tiny.json --out run",
        "-q sample --model run",
        "reconstruct --model run --quiet",
    ] {
        let outcome = place.ok(line);
        assert_eq!(outcome.stderr, "", "{line}");
        assert_eq!(outcome.stdout.lines().count(), 1, "{line}");
    }
}

#[test]
fn without_mnist_training_says_why_and_takes_the_built_in_digits() {
    let place = Place::new();
    let line = "train --config tiny.json --data auto --steps 2 --image-every 1 --threads 2";
    let outcome = place.ok(line);
    let warning = "warning: using built-in digits, because MNIST cannot be had: ";
    assert!(outcome.stderr.contains(warning), "{}", outcome.stderr);
    let run = outcome.stdout.trim_end();
    assert!(
        run.starts_with("runs/") && run.ends_with("-synthetic"),
        "{run}"
    );
    let config = place.json(&format!("{run}/config.json"));
    assert_eq!(config["data"], "synthetic");
    assert_eq!(config["provenance"]["dataset"], "synthetic digits");
}

#[test]
fn the_program_alone_shows_the_first_steps() {
    let place = Place::new();
    let outcome = place.vae("");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    for said in ["First steps:", "vae train", "vae sample", "vae reconstruct"] {
        assert!(outcome.stderr.contains(said), "no `{said}`");
    }
    let help = place.ok("--help");
    assert!(help.stdout.contains("First steps:"));
    assert_eq!(help.stderr, "");
    let version = format!("vae {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(place.ok("--version").stdout, version);
}

#[test]
fn help_names_every_flag_with_its_default() {
    let place = Place::new();
    let config = serde_json::to_value(Config::default()).unwrap();
    let default = |key: &str| match &config[key] {
        Value::String(text) => text.clone(),
        number => number.as_f64().unwrap().to_string(),
    };
    let train = [
        "data",
        "steps",
        "batch_size",
        "learning_rate",
        "latent_dim",
        "beta",
        "seed",
    ];
    let train = train
        .iter()
        .chain(&["image_every", "save_every", "eval_every"]);
    let train = train.map(|key| (key.replace('_', "-"), default(key)));
    let of = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .collect()
    };
    let sample = [
        ("n", "64"),
        ("temperature", "1"),
        ("seed", "another"),
        ("columns", "about"),
    ];
    let reconstruct = [
        ("n", "16"),
        ("out", "reconstructions.png"),
        ("data", "what"),
    ];
    let everywhere = of(&[("threads", "all cores"), ("device", "auto")]);
    for (command, flags) in [
        (
            "train",
            train
                .chain(of(&[("config", "as"), ("out", "a new")]))
                .collect(),
        ),
        ("sample", of(&sample)),
        ("reconstruct", of(&reconstruct)),
    ] {
        let help = place.ok(&format!("{command} --help")).stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for (flag, default) in flags.iter().chain(&everywhere) {
            let (_, explained) = help.split_once(&format!(" --{flag} <")).expect(flag);
            let (_, shown) = explained.split_once("[default: ").expect(flag);
            assert!(
                shown.starts_with(default.as_str()),
                "{command} --{flag}: {shown}"
            );
        }
        assert!(help.contains("--quiet"));
    }
}

#[test]
fn shells_get_their_completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.ok(&format!("completions {shell}")).stdout;
        for word in ["reconstruct", "temperature", "image-every"] {
            assert!(script.contains(word), "{shell}: no `{word}`");
        }
    }
    let bare = |command: &mut Command| command.output().unwrap();
    let zsh = bare(place.command("completions").env("SHELL", "/bin/zsh"));
    assert!(zsh.stdout.starts_with(b"#compdef vae"));
    let unknown = bare(place.command("completions").env_remove("SHELL"));
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn a_posterior_that_collapses_is_told_once() {
    let place = Place::new();
    let outcome = place.ok("train --config tiny.json --out run --beta 10000 --steps 900 --save-every 900 --eval-every 900 --image-every 900");
    assert_eq!(
        outcome.stderr.matches("posterior has collapsed").count(),
        1,
        "{}",
        outcome.stderr
    );
}

/// Only Linux tells a process's threads.
#[cfg(target_os = "linux")]
#[test]
fn no_more_threads_run_than_were_asked_for() {
    let place = Place::new();
    place.write("long.json", r#"{"data": "data", "steps": 10}"#);
    for threads in [1, 2] {
        let line = format!("train --config long.json --out run-{threads} --threads {threads}");
        let mut child = place
            .command(&line)
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            let threads = status
                .lines()
                .find_map(|line| line.strip_prefix("Threads:"));
            most = most.max(threads.map_or(0, |threads| threads.trim().parse().unwrap()));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert!(child.wait().unwrap().success());
        assert_eq!(most, threads);
    }
}

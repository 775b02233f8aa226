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
        "report.html",
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
    for said in ["loss", "squared error", "KL", "lines: train, dots: test"] {
        assert!(plot.contains(said), "no `{said}` in {plot}");
    }
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
fn under_another_likelihood_metrics_say_its_term_beside_the_squared_error() {
    let place = Place::new();
    for likelihood in ["gaussian", "bernoulli"] {
        let schedule = json!({"linear": 20});
        let changes = [
            ("/likelihood", json!(likelihood)),
            ("/beta_schedule", schedule),
        ];
        place.config("other.json", &changes);
        let outcome = place.ok(&format!("train --config other.json --out {likelihood}"));
        assert!(
            outcome.stderr.contains(" reconstruction + "),
            "{}",
            outcome.stderr
        );
        assert!(
            place
                .text(&format!("{likelihood}/loss.svg"))
                .contains("reconstruction")
        );
        for metric in place.metrics(likelihood) {
            let number = |key: &str| metric[key].as_f64().unwrap();
            assert!(number("squared_error") > 0.0 && number("squared_error") < 784.0);
            // beta itself is 0.1, and rises for 20 steps.
            if metric["split"] == "test" {
                assert!(metric.get("beta").is_none());
                let sum = number("reconstruction") + 0.1 * number("kl");
                assert!((number("loss") - sum).abs() < 1e-9 * sum.abs(), "{metric}");
            } else {
                let expected = 0.1 * (number("step") / 20.0).min(1.0);
                assert!((number("beta") - expected).abs() < 1e-12, "{metric}");
            }
        }
        let config = place.json(&format!("{likelihood}/config.json"));
        assert_eq!(config["likelihood"], likelihood);
        let loss = config["provenance"]["loss"].as_str().unwrap();
        assert!(
            loss.starts_with("reconstruction + beta * kl, in nats"),
            "{loss}"
        );
    }
}

#[test]
fn a_training_line_is_the_average_of_the_steps_since_the_line_before() {
    let place = Place::new();
    let line = "train --quiet --config tiny.json --steps 25";
    place.ok(&format!("{line} --image-every 1 --out each"));
    place.ok(&format!("{line} --image-every 10 --out some"));
    let [each, some] = ["each", "some"].map(|run| {
        let mut metrics = place.metrics(run);
        metrics.retain(|metric| metric["split"] == "train");
        metrics
    });
    assert_eq!(each.len(), 25);
    let mut first = 0;
    for metric in &some {
        let last = metric["step"].as_u64().unwrap() as usize;
        let steps = &each[first..last];
        for key in ["loss", "squared_error", "kl"] {
            let values = steps.iter().map(|step| step[key].as_f64().unwrap());
            let average = values.sum::<f64>() / steps.len() as f64;
            let found = metric[key].as_f64().unwrap();
            assert!((found / average - 1.0).abs() < 1e-9, "{key}: {metric}");
        }
        let rate = &steps[steps.len() - 1]["learning_rate"];
        assert_eq!(metric["learning_rate"], *rate, "of the last step");
        first = last;
    }
    assert_eq!(first, 25);
}

#[test]
fn the_config_in_a_run_is_complete_and_makes_the_same_run_again() {
    let place = Place::new();
    place.ok("train --config tiny.json --out run --seed 7");
    let config = place.json("run/config.json");
    let all = serde_json::to_value(Config::default()).unwrap();
    for key in all.as_object().unwrap().keys() {
        assert!(config.get(key).is_some(), "no {key}");
    }
    let provenance = &config["provenance"];
    assert_eq!(provenance["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(provenance["dataset"], "IDX files");
    assert_eq!(provenance["dataset_sha256"].as_str().unwrap().len(), 64);
    let loss = provenance["loss"].as_str().unwrap();
    assert!(loss.starts_with("squared_error + beta * kl"), "{loss}");
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

/// Flags of `train` that are keys of a configuration, as clap and the configuration have them.
fn keys() -> Vec<(String, clap::Arg, Value)> {
    let mut default = Config::default();
    default.scale_to_images();
    let all = serde_json::to_value(default).unwrap();
    let command = vae::cli::command();
    let train = command.find_subcommand("train").unwrap().get_arguments();
    let keys = train.filter_map(|flag| {
        let key = flag.get_long()?.replace('-', "_");
        let default = all.get(&key)?.clone();
        Some((key, flag.clone(), default))
    });
    keys.collect()
}

#[test]
fn each_flag_that_is_a_key_sets_it() {
    let place = Place::new();
    let keys = keys();
    assert_eq!(keys.len(), 10);
    let mut line = "train --config tiny.json --out run".to_string();
    let mut expected = Vec::new();
    for (key, flag, default) in keys {
        let value = match &default {
            Value::Number(number) if number.is_u64() => json!(6),
            Value::Number(_) => json!(0.125),
            _ => json!(place.path("data").canonicalize().unwrap()),
        };
        assert_ne!(value, default);
        let flag = flag.get_long().unwrap();
        line += &format!(" --{flag} {}", value.to_string().trim_matches('"'));
        expected.push((key, value));
    }
    place.ok(&line);
    let config = place.json("run/config.json");
    for (key, value) in expected {
        assert_eq!(config[&key], value, "{key}");
    }
    let weights = vae::run::weights::read::<Value>(&place.path("run/model.safetensors")).unwrap();
    assert_eq!(weights.0["mean.weight"].dims()[0], 6, "latent_dim");
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
    let digits = run.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(digits, "runs/00000000-000000-synthetic");
    let loaded = "synthetic digits: 60000 training and 10000 test images";
    assert!(outcome.stderr.contains(loaded), "{}", outcome.stderr);
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
    let mut program = vae::cli::command();
    program.build();
    let below = |command: &clap::Command| -> Vec<(String, clap::Command)> {
        let commands = command.get_subcommands().filter(|c| c.get_name() != "help");
        commands
            .map(|c| (c.get_name().to_string(), c.clone()))
            .collect()
    };
    let mut commands = below(&program);
    for (name, command) in commands.clone() {
        let nested = below(&command).into_iter();
        commands.extend(nested.map(|(nested, command)| (format!("{name} {nested}"), command)));
    }
    for (name, command) in &commands {
        let help = place.ok(&format!("{name} --help")).stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let takes_values = |flag: &&clap::Arg| flag.get_action().takes_values();
        for flag in command.get_arguments() {
            assert!(flag.get_help().is_some(), "{name}: {flag} is not explained");
        }
        // Without --resume a run is a new one, and without a picture they are test images.
        let without = ["resume", "images"];
        let flags = command.get_arguments().filter(takes_values);
        for flag in flags.filter(|flag| !without.contains(&flag.get_id().as_str())) {
            let usage = match flag.get_long() {
                Some(long) => format!(" --{long} <"),
                None => format!(" [{}]", flag.get_value_names().unwrap()[0]),
            };
            let (_, explained) = help
                .rsplit_once(&usage)
                .unwrap_or_else(|| panic!("{name}: no {usage}"));
            let (this, _) = explained.split_once(']').expect(&usage);
            assert!(
                this.contains("[default: ") && !this.contains(" --"),
                "{name}{usage}: {this}"
            );
        }
    }
    // What is written by hand.
    for (key, flag, default) in keys() {
        let default = match default {
            Value::String(text) => text,
            number => number.as_f64().unwrap().to_string(),
        };
        let help = flag.get_help().unwrap().to_string();
        assert!(
            help.ends_with(&format!("[default: {default}]")),
            "{key}: {help}"
        );
    }
}

#[test]
fn shells_get_their_completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
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

/// The most threads that a training has at once.
#[cfg(target_os = "linux")]
fn most_threads(command: &mut Command) -> usize {
    let mut child = command
        .stdout(std::process::Stdio::null())
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
    most
}

/// Only Linux tells a process's threads.
#[cfg(target_os = "linux")]
#[test]
fn no_more_threads_run_than_were_asked_for() {
    let place = Place::new();
    place.write("long.json", r#"{"data": "data", "steps": 10}"#);
    for threads in [1, 2] {
        let line = format!("train --config long.json --out run-{threads} --threads {threads}");
        assert_eq!(most_threads(&mut place.command(&line)), threads);
    }
    // Means and log variances of a batch are 65,536 numbers: candle's own pool, in which this thread counts.
    let line = "train --config long.json --latent-dim 512 --steps 3 --threads 1";
    for threads in [1, 3] {
        let mut command = place.command(&format!("{line} --out candle-{threads}"));
        command.env("CANDLE_NUM_THREADS", threads.to_string());
        assert_eq!(most_threads(&mut command), threads);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn as_many_threads_run_as_the_machine_gives() {
    let place = Place::new();
    place.write("long.json", r#"{"data": "data", "steps": 10}"#);
    let default = most_threads(&mut place.command("train --config long.json --out run"));
    let given = std::thread::available_parallelism().unwrap().get();
    assert_eq!(default, given);
    let cpus = std::fs::read_to_string("/proc/self/status").unwrap();
    let cpus = cpus
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let cpus = cpus.unwrap().trim();
    let first = cpus.split(['-', ',']).next().unwrap();
    let mut taskset = Command::new("taskset");
    let line = "train --config long.json --out one";
    taskset.args(["-c", first, env!("CARGO_BIN_EXE_vae")]);
    taskset.args(line.split(' ')).current_dir(place.path(""));
    if Command::new("taskset").arg("--version").output().is_err() {
        return common::skip("there is no taskset");
    }
    assert_eq!(most_threads(&mut taskset), 1);
}

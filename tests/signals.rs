//! Signals at every stage of a training: what each leaves, and how the process ends.
#![cfg(unix)]

mod common;

use common::{Outcome, Place, signal};
use rand::Rng;
use rand::seq::IndexedRandom;
use serde_json::json;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The signals that end a training, and their numbers.
const SIGNALS: [(&str, i32); 3] = [("-HUP", 1), ("-INT", 2), ("-TERM", 15)];

/// So many trainings are ended by signals at random moments.
const ENDED: usize = 200;

/// What a training had said when it ended, and how it ended.
struct Ended {
    status: ExitStatus,
    outcome: Outcome,
}

impl Ended {
    /// Whether the training says that it was saved.
    fn saved(&self) -> bool {
        self.outcome
            .stderr
            .contains("stopped and saved after step ")
    }
}

fn start(place: &Place, line: &str) -> Child {
    let mut command = place.command(line);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn wait(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    Ended {
        status: output.status,
        outcome: Outcome::new(output, Duration::ZERO),
    }
}

/// Waits until a training has made a file.
#[track_caller]
fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no {path:?}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A configuration whose steps take far longer than sending a signal.
fn slow(place: &Place) {
    let changes = [
        ("/batch_size", json!(200)),
        ("/decoder/0/dense/features", json!(6_272)),
        ("/decoder/1/reshape", json!([128, 7, 7])),
        ("/decoder/2/conv_transpose/channels", json!(128)),
        ("/schedule", json!("constant")),
    ];
    place.config("slow.json", &changes);
}

#[test]
fn while_data_load_there_is_nothing_to_save_and_nothing_is_left() {
    for (name, number) in SIGNALS {
        let place = Place::new();
        // To draw 70,000 digits takes far longer than this waits.
        let line = "train --config tiny.json --data synthetic --threads 1 --out run";
        let child = start(&place, line);
        std::thread::sleep(Duration::from_millis(50));
        signal(&child, name);
        let ended = wait(child);
        assert_eq!(ended.status.signal(), Some(number), "{:?}", ended.outcome);
        assert_eq!(ended.outcome.stdout, "");
        assert!(!place.path("run").exists());
    }
}

#[test]
fn from_the_first_step_on_a_run_is_saved_whatever_it_is_at() {
    let place = Place::new();
    slow(&place);
    let line = "train --config slow.json --steps 8 --image-every 2 --save-every 2 --eval-every 2";
    place.ok(&format!("{line} --out whole"));
    // The last file before a stage.
    let stages = [
        ("the first step", "metrics.jsonl"),
        ("drawing", "reconstructions/step-000002.png"),
        ("evaluating", "samples/step-000002.png"),
        ("saving", "checkpoint.safetensors"),
    ];
    for (stage, file) in stages {
        for (name, number) in SIGNALS {
            let child = start(&place, &format!("{line} --out cut"));
            wait_for(&place.path("cut").join(file));
            signal(&child, name);
            let ended = wait(child);
            let said = format!("{name} at {stage}: {:?}", ended.outcome);
            assert_eq!(ended.status.signal(), Some(number), "{said}");
            assert_eq!(ended.outcome.stdout, "cut\n", "{said}");
            assert!(ended.saved(), "{said}");
            place.ok("sample --model cut --n 1");
            let resumed = place.ok("train --resume cut");
            assert!(resumed.stderr.contains("continuing after step "), "{said}");
            place.assert_same("cut", "whole");
            std::fs::remove_dir_all(place.path("cut")).unwrap();
        }
    }
}

#[test]
fn a_second_signal_ends_it_at_once_and_leaves_what_was_saved() {
    let place = Place::new();
    slow(&place);
    let line = "train --config slow.json --steps 1000 --save-every 8";
    for [first, second] in [["-INT", "-TERM"], ["-TERM", "-INT"], ["-INT", "-INT"]] {
        let child = start(&place, &format!("{line} --out cut"));
        wait_for(&place.path("cut/model.safetensors"));
        let saved = place.read("cut/checkpoint.safetensors");
        for name in [first, second] {
            signal(&child, name);
            std::thread::sleep(Duration::from_millis(5));
        }
        let ended = wait(child);
        let said = format!("{first} {second}: {:?}", ended.outcome);
        assert!(matches!(ended.status.signal(), Some(2 | 15)), "{said}");
        assert!(!ended.saved(), "{said}");
        assert!(place.read("cut/checkpoint.safetensors") == saved, "{said}");
        place.ok("sample --model cut --n 1");
        std::fs::remove_dir_all(place.path("cut")).unwrap();
    }
}

#[test]
fn a_closed_terminal_may_say_so_twice() {
    let place = Place::new();
    slow(&place);
    // Nor does it count beside another signal.
    let signals: [&[&str]; 3] = [
        &["-HUP", "-HUP", "-TERM"],
        &["-HUP", "-INT"],
        &["-INT", "-HUP"],
    ];
    for (number, signals) in signals.iter().enumerate() {
        let run = format!("run-{number}");
        let line = format!("train --config slow.json --steps 1000 --out {run}");
        let child = start(&place, &line);
        wait_for(&place.path(format!("{run}/metrics.jsonl")));
        for name in *signals {
            signal(&child, name);
            std::thread::sleep(Duration::from_millis(5));
        }
        let ended = wait(child);
        assert!(ended.saved(), "{signals:?}: {:?}", ended.outcome);
        assert!(place.path(format!("{run}/model.safetensors")).exists());
    }
}

/// The first process of a container: no signal ends it, so it exits with the number that a shell shows.
#[cfg(target_os = "linux")]
#[test]
fn the_first_process_of_a_container_exits_with_the_number() {
    let place = Place::new();
    let unshare = |line: &str| {
        let mut command = Command::new("unshare");
        command.args("--user --map-root-user --pid --fork --kill-child".split(' '));
        command.args(line.split(' ')).current_dir(place.path(""));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    if !unshare("true")
        .status()
        .is_ok_and(|status| status.success())
    {
        return common::skip("no container can be made here");
    }
    let line = "train --config tiny.json --steps 1000000 --out run";
    let vae = format!("{} {line}", env!("CARGO_BIN_EXE_vae"));
    let child = unshare(&vae).spawn().unwrap();
    wait_for(&place.path("run/metrics.jsonl"));
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let first = std::fs::read_to_string(children).unwrap();
    let kill = Command::new("kill").args(["-INT", first.trim()]).status();
    assert!(kill.unwrap().success());
    let ended = wait(child);
    assert_eq!(ended.status.code(), Some(130), "{:?}", ended.outcome);
    assert!(ended.saved(), "{:?}", ended.outcome);
}

#[test]
fn drawing_ends_at_once_and_leaves_whole_files() {
    let place = Place::with_model();
    for (name, number) in SIGNALS {
        let child = start(&place, "sample --model run --n 20000 drawn/");
        wait_for(&place.path("drawn/000003.png"));
        signal(&child, name);
        let ended = wait(child);
        assert_eq!(ended.status.signal(), Some(number), "{:?}", ended.outcome);
        assert_eq!(ended.outcome.stdout, "");
        let mut drawn: Vec<_> = place.files("drawn").into_keys().collect();
        drawn.retain(|name| !name.ends_with(".partial"));
        assert!((4..20_000).contains(&drawn.len()), "{}", drawn.len());
        for name in drawn {
            assert_eq!(place.size_of(&format!("drawn/{name}")), (28, 28));
        }
        std::fs::remove_dir_all(place.path("drawn")).unwrap();
    }

    // While a file is written, what was there before is there yet.
    place.write("out.npy", "what was there");
    let old = place.read("out.npy").len() as u64;
    for _ in 0..20 {
        let child = start(&place, "sample --model run --n 20000 out.npy");
        let begun = Instant::now();
        while std::fs::metadata(place.path("out.npy")).unwrap().len() == old
            && !half_written(&place)
        {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "nothing is written"
            );
        }
        signal(&child, "-INT");
        let ended = wait(child);
        if ended.status.signal() == Some(2) {
            assert_eq!(place.text("out.npy"), "what was there");
            return;
        }
        place.write("out.npy", "what was there");
    }
    panic!("no file was interrupted");
}

/// Whether a file is being written, or was when its process ended.
fn half_written(place: &Place) -> bool {
    let entries = std::fs::read_dir(place.path("")).unwrap();
    let mut names = entries.map(|entry| entry.unwrap().file_name());
    names.any(|name| name.to_string_lossy().ends_with(".partial"))
}

#[test]
fn signals_that_a_training_was_started_to_ignore_are_ignored() {
    if !Path::new("/proc/self/status").exists() {
        return common::skip("this system does not tell which signals are ignored");
    }
    let place = Place::new();
    for (name, _) in SIGNALS {
        let script = format!(
            "trap '' {}; exec \"$0\" train --config tiny.json --steps 300 --image-every 300 --out run{name}",
            &name[1..]
        );
        let mut command = Command::new("sh");
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_vae")])
            .current_dir(place.path(""))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        wait_for(&place.path(format!("run{name}/metrics.jsonl")));
        signal(&child, name);
        signal(&child, name);
        let ended = wait(child);
        assert_eq!(ended.status.code(), Some(0), "{name}: {:?}", ended.outcome);
    }
}

/// What was sent to a training, and when; and how it ended.
fn signalled(place: &Place, line: &str, moment: Duration, signals: &[(&str, i32)]) -> Ended {
    let mut child = start(place, line);
    std::thread::sleep(moment);
    for (name, _) in signals {
        // A process that has ended must not be waited for before: its number could be another's by now.
        if child.try_wait().unwrap().is_none() {
            signal(&child, name);
            std::thread::sleep(Duration::from_micros(rand::rng().random_range(0..5_000)));
        }
    }
    wait(child)
}

#[test]
fn no_moment_for_signals_loses_anything() {
    let place = Place::new();
    place.config("constant.json", &[("/schedule", json!("constant"))]);
    let every = "--steps 16 --save-every 4 --image-every 8 --eval-every 8";
    let line = format!("train --config constant.json {every}");
    // How long a training lives depends on what else the machine does; it is found as they go.
    let mut life = place.ok(&format!("{line} --out whole")).time;

    let (mut before, mut saved, mut at_once, mut done) = (0, 0, 0, 0);
    let mut random = rand::rng();
    while before + saved + at_once < ENDED {
        let moment = life.mul_f64(random.random_range(0.0..1.0));
        let number = random.random_range(1..=2);
        let signals: Vec<_> = (0..number)
            .map(|_| *SIGNALS.choose(&mut random).unwrap())
            .collect();
        let ended = signalled(&place, &format!("{line} --out cut"), moment, &signals);
        let said = format!("{signals:?} after {moment:?}: {:?}", ended.outcome);
        let impatient = signals.iter().filter(|(name, _)| *name != "-HUP").count() == 2;
        let is_there = |name: &str| place.path("cut").join(name).exists();
        match ended.status.signal() {
            None => {
                assert_eq!(ended.status.code(), Some(0), "{said}");
                done += 1;
                life = life.mul_f64(0.9);
            }
            Some(by) => {
                assert!(signals.iter().any(|(_, number)| *number == by), "{said}");
                if ended.saved() {
                    assert!(is_there("checkpoint.safetensors"), "{said}");
                    assert!(is_there("model.safetensors"), "{said}");
                    saved += 1;
                    life = life.mul_f64(1.05);
                } else if place.path("cut").exists() {
                    assert!(impatient, "{said}");
                    at_once += 1;
                } else {
                    before += 1;
                }
            }
        }
        if !is_there("config.json") {
            place.ok(&format!("{line} --out cut"));
        } else {
            let resumed = place.vae("train --resume cut");
            let complete = resumed.stderr.contains("has done 16 of 16 steps");
            assert!(resumed.code == Some(0) || complete, "{said}: {resumed:?}");
        }
        place.assert_same("cut", "whole");
        std::fs::remove_dir_all(place.path("cut")).unwrap();
    }
    println!("{before} before the run, {saved} saved, {at_once} at once, {done} done");
    assert!(saved > ENDED / 10, "{saved} were saved");
}

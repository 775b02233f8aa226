//! Trainings that are killed at any moment.
#![cfg(unix)]

mod common;

use common::Place;
use rand::Rng;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// So often a training is killed.
const KILLS: usize = 200;

/// It saves and draws at each step: most of its time goes into writing files.
const LINE: &str = "train --config constant.json --save-every 1 --image-every 1 --eval-every 5";

/// A run that was killed after `time`, or had ended by then; and whether it was killed.
fn killed(place: &Place, line: &str, time: Duration) -> bool {
    let mut command = place.command(line);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(time);
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

#[test]
fn no_moment_to_be_killed_loses_or_changes_anything() {
    let place = Place::new();
    place.config("constant.json", &[("/schedule", "constant".into())]);
    let begun = Instant::now();
    place.ok(&format!("{LINE} --out whole"));
    let longest = begun.elapsed();

    let (mut kills, mut half_written, mut with_model) = (0, 0, 0);
    let mut random = rand::rng();
    while kills < KILLS {
        let moment = longest.mul_f64(random.random_range(0.0..1.0));
        kills += usize::from(killed(&place, &format!("{LINE} --out cut"), moment));
        if place.path("cut").exists() {
            let partial = |name: &String| name.ends_with(".partial");
            half_written += usize::from(place.files("cut").keys().any(partial));
        }
        if place.path("cut/model.safetensors").exists() {
            with_model += 1;
            place.ok("sample --model cut --n 1 --quiet");
        }
        if !place.path("cut/config.json").exists() {
            place.ok(&format!("{LINE} --out cut"));
        } else {
            let resumed = place.vae("train --resume cut");
            let done = resumed.stderr.contains("has done 30 of 30 steps");
            assert!(
                resumed.code == Some(0) || done,
                "after {moment:?}: {resumed:?}"
            );
        }
        place.assert_same("cut", "whole");
        std::fs::remove_dir_all(place.path("cut")).unwrap();
    }
    println!("{kills} kills, {with_model} left a model, {half_written} left a file half written");
    assert!(with_model > KILLS / 4, "{with_model} left a model");
}

#[test]
fn one_run_that_is_killed_again_and_again_comes_to_its_end() {
    let place = Place::new();
    place.config("constant.json", &[("/schedule", "constant".into())]);
    let begun = Instant::now();
    place.ok(&format!("{LINE} --out whole"));
    let longest = begun.elapsed();
    let mut line = format!("{LINE} --out cut");
    let mut random = rand::rng();
    while killed(
        &place,
        &line,
        longest.mul_f64(random.random_range(0.1..0.5)),
    ) {
        if place.path("cut/config.json").exists() {
            line = "train --resume cut".into();
        }
    }
    place.assert_same("cut", "whole");
}

//! Long trainings hold their memory.
//!
//! `VAE_TEST_STEPS=100000 cargo test --release --test long -- --nocapture` trains longer, and says what it found.
#![cfg(target_os = "linux")]

mod common;

use common::Place;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

/// The memory that a process has now, in KiB.
fn resident(child: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

#[test]
fn metrics_pictures_and_checkpoints_that_pile_up_take_no_memory() {
    let steps: u64 = std::env::var("VAE_TEST_STEPS").map_or(10_000, |steps| steps.parse().unwrap());
    assert!(steps >= 1000 && steps.is_multiple_of(500), "{steps} steps");
    let place = Place::new();
    let line = format!("train --config tiny.json --steps {steps} --out run");
    let mut command = place.command(&format!("{line} --image-every 50 --save-every 50"));
    // In pages of 4 KiB: of those of 2 MiB, the memory that is taken goes up and down by a tenth all the time.
    let command = command.env("MIMALLOC_ALLOW_THP", "0");
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut messages = BufReader::new(child.stderr.take().unwrap()).lines();
    // The median over a tenth of the steps, because what is free is given back from time to time.
    let mut memory_after = |step: u64| {
        let begins = format!("step {step} of ");
        assert!(messages.any(|line| line.unwrap().starts_with(&begins)));
        let is_of_step = |line: &String| line.starts_with("step ") && line.contains(" of ");
        let lines = messages.by_ref().map(|line| line.unwrap());
        let lines = lines.filter(is_of_step);
        let mut readings: Vec<f64> = (lines.take(steps as usize / 500 - 1))
            .map(|_| resident(&child))
            .collect();
        readings.sort_by(f64::total_cmp);
        readings[readings.len() / 2]
    };
    let (early, late) = (steps / 10, steps - steps / 10);
    let begin = memory_after(early);
    let end = memory_after(late);
    println!("{begin} KiB after {early} steps, {end} KiB after {late}");
    // What is left to say would be said to nobody.
    assert!(messages.last().unwrap().unwrap().starts_with("done in "));
    assert!(child.wait().unwrap().success());
    assert!(end <= begin + 2048.0, "{begin} KiB, then {end} KiB");
    assert_eq!(place.files("run/samples").len() as u64, steps / 50);
}

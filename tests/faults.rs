//! Disks, directories and terminals that fail under a training.
#![cfg(unix)]

mod common;

use common::{Place, signal};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A training without end into `run`, that has done some steps.
fn endless(place: &Place) -> Child {
    let line = "train --config tiny.json --steps 1000000 --image-every 5 --save-every 5 --out run";
    let mut command = place.command(line);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut messages = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("\nstep 20 ") {
        assert_ne!(messages.read_line(&mut said).unwrap(), 0, "{said}");
    }
    // Somebody must go on reading, or it would wait for that.
    std::thread::spawn(move || std::io::copy(&mut messages, &mut std::io::sink()));
    child
}

/// Runs a script with a file system of 4 MiB of its own in `small`; `vae` is the program. Where that may
/// not be, it says that the test is skipped.
fn on_a_small_disk(place: &Place, script: &str) -> bool {
    std::fs::create_dir(place.path("small")).unwrap();
    let mount = "mount -t tmpfs -o size=4m none small";
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]);
        command
            .current_dir(place.path(""))
            .env("VAE", env!("CARGO_BIN_EXE_vae"));
        command.output()
    };
    if !unshare(mount).is_ok_and(|output| output.status.success()) {
        common::skip("no file system can be mounted here");
        return false;
    }
    let output = unshare(&format!(
        "vae() {{ \"$VAE\" --quiet \"$@\"; }}\n{mount}\n{script}"
    ))
    .unwrap();
    assert!(output.status.success(), "{output:?}");
    true
}

/// Checks what a training that failed in the middle said, and its exit code.
#[track_caller]
fn assert_one_error(place: &Place, code: &str, why: &str) {
    let said = place.text("said");
    assert_eq!(place.text("code").trim(), code, "{said}");
    assert!(
        said.starts_with("error: small/run") && said.contains(why),
        "{said}"
    );
    assert!(said.lines().count() <= 2, "{said}");
}

#[test]
fn a_full_disk_leaves_the_last_checkpoint() {
    let place = Place::new();
    place.config("constant.json", &[("/schedule", "constant".into())]);
    let script = "
        vae train --config constant.json --eval-every 10 --out small/run
        sha256sum small/run/*.safetensors >sums
        head -c 8M /dev/zero >small/filler || true
        code=0; vae train --resume small/run --steps 60 2>said || code=$?; echo $code >code
        sha256sum --check --quiet sums
        rm small/filler
        vae sample --model small/run --n 1 small/one.png
        vae train --resume small/run --steps 60
        cp -r small/run cut";
    if on_a_small_disk(&place, script) {
        assert_one_error(&place, "1", "cannot be written: No space left");
        place.ok("train --config constant.json --eval-every 10 --steps 60 --out whole");
        place.assert_same("cut", "whole");
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error_before_any_work() {
    let place = Place::new();
    let script = "
        vae train --config tiny.json --out small/run
        mount -o remount,ro none small
        code=0; vae train --resume small/run --steps 60 2>said || code=$?; echo $code >code
        code=0; vae train --config tiny.json --out small/new 2>said-too || code=$?
        test $code = 1
        vae sample --model small/run --n 1 one.png";
    if on_a_small_disk(&place, script) {
        assert_one_error(&place, "1", "Read-only file system");
        let said = place.text("said-too");
        assert!(
            said.starts_with("error: small/new: cannot be created: "),
            "{said}"
        );
    }
}

#[test]
fn a_directory_that_is_removed_ends_its_training() {
    let place = Place::new();
    let mut child = endless(&place);
    while std::fs::remove_dir_all(place.path("run")).is_err() {}
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(!place.path("run").exists());
}

#[test]
fn a_run_belongs_to_one_training_until_that_ends() {
    let place = Place::new();
    let mut child = endless(&place);
    signal(&child, "-STOP");
    place.refused(
        "train --resume run",
        2,
        "another training is writing into it",
    );
    place.refused(
        "train --config tiny.json --out run",
        2,
        "holds a run already",
    );
    place.ok("sample --model run --n 1 --quiet");
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = place.vae("train --resume run --steps 1");
    assert!(resumed.stderr.contains("of 1 steps"), "{resumed:?}");
}

#[test]
fn nobody_who_listens_is_no_failure() {
    let place = Place::new();
    let vae = format!(
        "{} train --config tiny.json --image-every 1",
        env!("CARGO_BIN_EXE_vae")
    );
    for (run, script) in [
        ("closed", format!("{vae} --out closed >&- 2>&-")),
        (
            "gone",
            format!("({vae} --out gone; echo $? >code) 2>&1 | head -c 1; test $(cat code) = 0"),
        ),
        ("full", format!("{vae} --out full 2>/dev/full")),
    ] {
        let mut command = Command::new("sh");
        let output = command
            .args(["-c", &script])
            .current_dir(place.path(""))
            .output()
            .unwrap();
        assert!(output.status.success(), "{run}: {output:?}");
        assert_eq!(place.metrics(run).last().unwrap()["step"], 30, "{run}");
    }
    place.assert_same("closed", "gone");
    place.assert_same("closed", "full");
}

//! What each command does with a run directory whose files are missing, empty or of another run: the
//! tables of `docs/run-directory.md`.

mod common;

use common::{Outcome, Place};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;

/// What there may be of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    There,
    Missing,
    Empty,
    OfAnother,
}
use Held::{Empty, Missing, OfAnother, There};

const ALL: [Held; 4] = [There, Missing, Empty, OfAnother];

/// The four files of a run, as they are in one directory.
#[derive(Debug, Clone, Copy)]
struct Case {
    config: Held,
    metrics: Held,
    model: Held,
    checkpoint: Held,
}

impl Case {
    fn all() -> impl Iterator<Item = Self> {
        (0..256).map(|number| Self {
            config: ALL[number % 4],
            metrics: ALL[number / 4 % 4],
            model: ALL[number / 16 % 4],
            checkpoint: ALL[number / 64],
        })
    }

    fn files(&self) -> [(&'static str, Held); 4] {
        [
            ("config.json", self.config),
            ("metrics.jsonl", self.metrics),
            ("model.safetensors", self.model),
            ("checkpoint.safetensors", self.checkpoint),
        ]
    }

    /// Puts the directory `dir` where it is wanted, from `run` (whose last steps are to be made) and
    /// `other`.
    fn put(&self, place: &Place, run: &str, dir: &str) {
        let _ = fs::remove_dir_all(place.path(dir));
        fs::create_dir(place.path(dir)).unwrap();
        for (name, held) in self.files() {
            match held {
                There => place.write(
                    &format!("{dir}/{name}"),
                    place.read(&format!("{run}/{name}")),
                ),
                Empty => place.write(&format!("{dir}/{name}"), ""),
                OfAnother => {
                    place.write(
                        &format!("{dir}/{name}"),
                        place.read(&format!("other/{name}")),
                    );
                }
                Missing => {}
            }
        }
        place.write(&format!("{dir}/notes.txt"), "what nobody may touch");
    }

    /// The table of `train --out`.
    fn out(&self) -> i32 {
        match self.files().iter().any(|(_, held)| *held != Missing) {
            true => 2,
            false => 0,
        }
    }

    /// The table of `train --resume`, of a run that has saved; whether steps are left to do.
    fn resume(&self, steps_left: bool) -> i32 {
        let (config, model, checkpoint) = (self.config, self.model, self.checkpoint);
        if checkpoint == Missing || checkpoint == Empty || config == Empty {
            // Metrics, model or nothing at all: `begins_again` says when nothing stands in the way.
            return if self.begins_again() { 0 } else { 2 };
        }
        let of_another = |held| held != Missing && held != Empty && held != checkpoint;
        if of_another(config) || of_another(model) {
            return 2;
        }
        match steps_left {
            true => 0,
            // There is only something to do if the weights are not there.
            false if model == Missing || model == Empty => 0,
            false => 2,
        }
    }

    fn begins_again(&self) -> bool {
        let no_metrics = self.metrics == Missing || self.metrics == Empty;
        let nothing_saved = self.model == Missing && self.checkpoint == Missing && no_metrics;
        nothing_saved && (self.config == There || self.config == OfAnother)
    }

    /// The table of `sample` and `reconstruct`.
    fn shows(&self, needs_config: bool) -> i32 {
        let no_model = self.model == Missing || self.model == Empty;
        match no_model || (needs_config && self.config == Empty) {
            true => 2,
            false => 0,
        }
    }
}

/// Runs a command on a directory. If it is refused, that is said as every error is, and changes nothing.
#[track_caller]
fn outcome(place: &Place, line: &str, dir: &str, code: i32, case: &dyn std::fmt::Debug) -> Outcome {
    let before = place.files(dir);
    let outcome = place.vae(&format!("{line} --quiet"));
    assert_eq!(outcome.code, Some(code), "{line}: {case:?}: {outcome:?}");
    if code != 0 {
        let said = &outcome.stderr;
        assert!(said.starts_with("error: "), "{line}: {case:?}: {said}");
        assert!(
            said.contains("\nhint: ") || said.contains("is empty"),
            "{line}: {case:?}: {said}"
        );
        assert!(
            place.files(dir) == before,
            "{line}: {case:?}: files changed"
        );
    }
    let notes = format!("{dir}/notes.txt");
    assert_eq!(place.text(&notes), "what nobody may touch", "{case:?}");
    outcome
}

/// A place with `whole`, a run of 30 steps, `run`, the same after 20 of them, and two others with
/// another seed: `other`, after 20 steps, and `other-whole`.
fn with_runs() -> Place {
    let place = Place::new();
    place.config("constant.json", &[("/schedule", json!("constant"))]);
    for (name, flags) in [
        ("whole", ""),
        ("run", "--steps 20"),
        ("other", "--steps 20 --seed 7"),
        ("other-whole", "--seed 7"),
    ] {
        place.ok(&format!(
            "train --quiet --config constant.json --out {name} {flags}"
        ));
    }
    place
}

/// What must be the same in two runs whose first pictures may be missing.
fn results(place: &Place, run: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = place.files(run);
    files.retain(|name, _| name.ends_with(".safetensors") || name.ends_with("30.png"));
    assert_eq!(files.len(), 4, "{run}: {:?}", files.keys());
    files
}

#[test]
fn a_new_run_goes_where_no_run_is() {
    let place = with_runs();
    for case in Case::all() {
        case.put(&place, "run", "dir");
        let line = "train --config constant.json --steps 2 --out dir";
        outcome(&place, line, "dir", case.out(), &case);
    }
}

#[test]
fn a_run_with_steps_to_do_goes_on_or_is_refused() {
    let place = with_runs();
    for case in Case::all() {
        case.put(&place, "run", "dir");
        let before = place.files("dir");
        let every = "--image-every 10 --save-every 10 --eval-every 20";
        let line = format!("train --resume dir --steps 30 --data data {every}");
        outcome(&place, &line, "dir", case.resume(true), &case);
        if case.resume(true) == 0 {
            let decides = if case.checkpoint == Missing {
                case.config
            } else {
                case.checkpoint
            };
            let whole = if decides == There {
                "whole"
            } else {
                "other-whole"
            };
            assert_eq!(results(&place, "dir"), results(&place, whole), "{case:?}");
            let metrics = place.read("dir/metrics.jsonl");
            let kept = before.get("metrics.jsonl").map_or(&[][..], Vec::as_slice);
            assert!(metrics.starts_with(kept), "{case:?}");
        }
    }
}

#[test]
fn a_run_whose_steps_are_done_gets_its_weights_back_or_is_refused() {
    let place = with_runs();
    for case in Case::all() {
        case.put(&place, "run", "dir");
        if case.begins_again() {
            continue;
        }
        let mut before = place.files("dir");
        outcome(
            &place,
            "train --resume dir --data data",
            "dir",
            case.resume(false),
            &case,
        );
        if case.resume(false) == 0 {
            let run = if case.checkpoint == There {
                "run"
            } else {
                "other"
            };
            let model = place.read(&format!("{run}/model.safetensors"));
            before.insert("model.safetensors".into(), model);
            before.insert(".lock".into(), Vec::new());
            assert!(place.files("dir") == before, "{case:?}");
        }
    }
}

#[test]
fn whoever_has_weights_shows_what_they_can_do() {
    let place = with_runs();
    for case in Case::all() {
        case.put(&place, "run", "dir");
        let before = place.files("dir");
        for (line, needs_config) in [
            ("sample --model dir --n 1 --seed 1 out.png", false),
            ("reconstruct --model dir --n 1 --out out.png", true),
            (
                "reconstruct --model dir --n 1 --out out.png --data data",
                false,
            ),
        ] {
            // Where nothing says which data to take, the built-in digits would take their time to be drawn.
            if needs_config && case.config == Missing && case.shows(true) == 0 {
                continue;
            }
            outcome(&place, line, "dir", case.shows(needs_config), &case);
            assert!(place.files("dir") == before, "{line}: {case:?}");
        }
    }
}

/// What a training that was killed before its first save leaves, and after which it begins again.
#[test]
fn a_run_that_saved_nothing_begins_again() {
    let place = with_runs();
    let metrics = place.text("whole/metrics.jsonl");
    let first = &metrics[..metrics.find('\n').unwrap() + 1];
    let config = place.text("whole/config.json");
    let picture = place.read("whole/samples/step-000010.png");
    for metrics in [
        None,
        Some(""),
        Some(&first[..9]),
        Some(&first[..40]),
        Some(first),
    ] {
        for with_picture in [false, true] {
            let _ = fs::remove_dir_all(place.path("dir"));
            place.write("dir/config.json", &config);
            place.write("dir/notes.txt", "what nobody may touch");
            if let Some(metrics) = metrics {
                place.write("dir/metrics.jsonl", metrics);
            }
            if with_picture {
                place.write("dir/samples/step-000010.png", &picture);
            }
            if metrics == Some(first) {
                place.write("dir/loss.svg", "a plot");
                place.write("dir/report.html", "a page");
            }
            outcome(&place, "train --resume dir", "dir", 0, &metrics);
            fs::remove_file(place.path("dir/notes.txt")).unwrap();
            place.assert_same("dir", "whole");
        }
    }
}

#[test]
fn a_run_whose_checkpoint_is_gone_is_left_alone() {
    let place = with_runs();
    let config = place.text("whole/config.json");
    let refused = |name: &str, content: Vec<u8>, why: &str| {
        let _ = fs::remove_dir_all(place.path("dir"));
        place.write("dir/config.json", &config);
        place.write(&format!("dir/{name}"), content);
        place.refused("train --resume dir", 2, why);
    };
    let of_whole = |name: &str| place.read(&format!("whole/{name}"));
    refused(
        "model.safetensors",
        of_whole("model.safetensors"),
        "vae sample --model dir",
    );
    refused(
        "model.safetensors",
        Vec::new(),
        "it holds a model.safetensors",
    );
    refused(
        "metrics.jsonl",
        of_whole("metrics.jsonl"),
        "metrics.jsonl tells of step 30",
    );
    refused("loss.svg", of_whole("loss.svg"), "it has a loss.svg");
    refused(
        "report.html",
        of_whole("report.html"),
        "it has a report.html",
    );
    refused("evaluation.json", Vec::new(), "it has an evaluation.json");
    for folder in ["samples", "reconstructions"] {
        let name = format!("{folder}/step-000030.png");
        refused(&name, of_whole(&name), "a picture of step 30");
    }
    refused(
        "metrics.jsonl",
        b"no metric".to_vec(),
        "metrics.jsonl line 1",
    );
    refused(
        "metrics.jsonl",
        b"{\"step\":1\n".to_vec(),
        "metrics.jsonl line 1",
    );
    // Checked before the checkpoint's place is: nothing says what it was.
    refused(
        "checkpoint.safetensors",
        Vec::new(),
        "dir/checkpoint.safetensors: is empty",
    );
    place.write("hand/config.json", "{}");
    place.refused("train --resume hand", 2, "was written by no run");
}

/// What a kill between the last checkpoint and its weights leaves.
#[test]
fn weights_that_are_older_than_the_last_checkpoint_are_written_from_it() {
    let place = with_runs();
    place.ok("train --quiet --config constant.json --out dir");
    place.write("dir/model.safetensors", place.read("run/model.safetensors"));
    place.ok("train --resume dir");
    place.assert_same("dir", "whole");
    fs::remove_file(place.path("dir/model.safetensors")).unwrap();
    let said = place.ok("train --resume dir").stderr;
    assert!(
        said.contains("has done 30 of 30 steps; its model.safetensors was written"),
        "{said}"
    );
    place.assert_same("dir", "whole");
    place.refused("train --resume dir", 2, "has done 30 of 30 steps");
}

#[test]
fn a_configuration_that_was_changed_is_refused_by_name() {
    let place = with_runs();
    let changed = |key: &str, value: serde_json::Value, why: &str| {
        let mut config = place.json("whole/config.json");
        config[key] = value;
        place.ok("train --quiet --config constant.json --out dir");
        place.write("dir/config.json", config.to_string());
        place.refused(
            "train --resume dir --steps 40",
            2,
            &format!("error: dir/config.json: {why}"),
        );
        fs::remove_dir_all(place.path("dir")).unwrap();
    };
    changed(
        "beta",
        json!(9),
        "`beta` is 9, but the run was trained with 0.1\n",
    );
    changed(
        "schedule",
        json!("cosine"),
        "`schedule` is cosine, but the run was trained with constant\n",
    );
    changed(
        "encoder",
        json!([]),
        "`encoder` is not what the run was trained with\n",
    );

    let mut config = place.json("whole/config.json");
    for (key, value) in [
        ("steps", 40),
        ("image_every", 20),
        ("save_every", 7),
        ("eval_every", 9),
    ] {
        config[key] = value.into();
    }
    // What is for people does not count; and of what is not there, nothing.
    config["provenance"]["version"] = "0.0.1".into();
    config["provenance"]["dataset"] = "shapes".into();
    place.write("whole/config.json", config.to_string());
    place.ok("train --resume whole");
    let mut config = place.json("whole/config.json");
    assert_eq!(config["save_every"], 7);
    config.as_object_mut().unwrap().remove("provenance");
    config["steps"] = 50.into();
    place.write("whole/config.json", config.to_string());
    place.ok("train --resume whole");
    let mut config = place.json("whole/config.json");
    config["provenance"]["dataset_sha256"] = "0".into();
    place.write("whole/config.json", config.to_string());
    let why = "`provenance.dataset_sha256` is 0, but the run was trained with ";
    place.refused("train --resume whole --steps 60", 2, why);
}

#[test]
fn a_checkpoint_is_all_that_a_run_needs() {
    let place = with_runs();
    place.write(
        "dir/checkpoint.safetensors",
        place.read("run/checkpoint.safetensors"),
    );
    place.refused(
        "train --resume dir --steps 30",
        2,
        "is missing: give --data",
    );
    place.ok("train --resume dir --steps 30 --data data");
    assert!(place.read("dir/model.safetensors") == place.read("whole/model.safetensors"));
    assert_eq!(place.json("dir/config.json")["save_every"], 200);
}

#[test]
fn a_new_run_leaves_the_files_of_others_alone() {
    let place = Place::new();
    let line = "train --config tiny.json --out dir";
    for name in [
        "config.json",
        "checkpoint.safetensors",
        "model.safetensors",
        "metrics.jsonl",
        "loss.svg",
        "report.html",
        "evaluation.json",
        "reconstructions",
        "samples",
        "reconstructions/mine.png",
        "samples/mine.png",
    ] {
        for content in ["", "of somebody else"] {
            place.write(&format!("dir/{name}"), content);
            place.write("dir/.vae-half.partial", "half");
            place.refused(line, 2, "error: dir: holds ");
            fs::remove_dir_all(place.path("dir")).unwrap();
        }
    }
    for (name, content) in [
        ("notes.txt", "mine"),
        ("more/config.json", "mine"),
        (".lock", ""),
        (".vae-half.partial", "half"),
        ("samples/.vae-half.partial", "half"),
    ] {
        place.write(&format!("dir/{name}"), content);
        fs::create_dir_all(place.path("dir/reconstructions")).unwrap();
        place.ok(&format!("{line} --quiet"));
        let files = place.files("dir");
        match name.contains(".partial") {
            true => assert!(!files.contains_key(name), "{name}"),
            false => assert_eq!(files[name], content.as_bytes(), "{name}"),
        }
        fs::remove_dir_all(place.path("dir")).unwrap();
    }
}

#[test]
fn a_directory_in_which_another_training_begins_is_not_trained_into() {
    let place = Place::new();
    place.write("dir/.lock", "");
    let lock = fs::File::options()
        .write(true)
        .open(place.path("dir/.lock"));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    let line = "train --config tiny.json --out dir";
    place.refused(line, 2, "error: dir: another training is writing into it");
    drop(lock);
    place.ok(line);
}

/// Neither the pictures of steps that are not drawn again, nor anything else beside pictures.
#[test]
fn what_a_resumed_run_does_not_draw_again_stays() {
    let place = with_runs();
    for name in [
        "samples/mine.png",
        "reconstructions/notes.txt",
        "samples/step-000025.png",
    ] {
        place.write(&format!("run/{name}"), "of somebody else");
    }
    let before = place.files("run");
    place.ok("train --quiet --resume run --steps 30");
    let after = place.files("run");
    for (name, content) in before.iter().filter(|(name, _)| name.contains('/')) {
        assert!(after[name] == *content, "{name}");
    }

    place.write("dir/config.json", place.read("whole/config.json"));
    place.write("dir/samples/mine.png", "of somebody else");
    place.write("dir/samples/step-000005.png", "a picture");
    place.ok("train --quiet --resume dir");
    assert_eq!(place.text("dir/samples/mine.png"), "of somebody else");
    assert!(
        !place.path("dir/samples/step-000005.png").exists(),
        "it begins again"
    );
}

/// As many as `--steps` says.
#[test]
fn fewer_steps_than_are_done_are_all_done() {
    let place = with_runs();
    for steps in [10, 20] {
        let why = format!("has done 20 of {steps} steps");
        place.refused(&format!("train --resume run --steps {steps}"), 2, &why);
        let before = place.files("run");
        fs::remove_file(place.path("run/model.safetensors")).unwrap();
        place.ok(&format!("train --quiet --resume run --steps {steps}"));
        assert!(
            place.files("run") == before,
            "the weights are back, and nothing else is written"
        );
    }
}

#[test]
fn who_names_a_file_of_a_run_is_told_its_directory() {
    let place = Place::with_model();
    for name in [
        "config.json",
        "metrics.jsonl",
        "checkpoint.safetensors",
        "loss.svg",
        "report.html",
        "samples/step-000010.png",
        "samples",
    ] {
        place.refused(
            &format!("train --resume run/{name}"),
            2,
            "hint: give its directory: --resume run\n",
        );
        place.refused(
            &format!("sample --model run/{name}"),
            2,
            "hint: give its directory: --model run\n",
        );
        let line = format!("reconstruct --data data --model run/{name}");
        place.refused(&line, 2, "hint: give its directory: --model run\n");
        if name != "samples" {
            let line = format!("train --config tiny.json --out run/{name}");
            place.refused(&line, 2, "or continue it: --resume run\n");
        }
    }
    place.refused(
        "train --resume run/model.safetensors",
        2,
        "give its directory: --resume run\n",
    );
    place.ok("sample --quiet --model run/model.safetensors --n 1");
    place.refused(
        "sample --model run/checkpoint.safetensors",
        2,
        "is the checkpoint of a run",
    );
    place.write("copy", place.read("run/checkpoint.safetensors"));
    place.refused(
        "sample --model copy",
        2,
        "copy: is a checkpoint, not weights alone",
    );
    fs::remove_file(place.path("run/model.safetensors")).unwrap();
    place.refused("sample --model run", 2, "vae train --resume run\n");
}

#[test]
fn the_newest_run_is_one_with_weights() {
    let place = Place::with_model();
    place.write(
        "runs/checkpoint-only/checkpoint.safetensors",
        place.read("run/checkpoint.safetensors"),
    );
    place.refused(
        "sample",
        2,
        "error: runs/checkpoint-only: training saved no model.safetensors",
    );
    place.write(
        "runs/whole/model.safetensors",
        place.read("run/model.safetensors"),
    );
    fs::create_dir_all(place.path("runs/odd/model.safetensors")).unwrap();
    let said = place.ok("sample --n 1").stderr;
    assert!(said.contains("with runs/whole"), "{said}");
    std::thread::sleep(std::time::Duration::from_millis(20));
    place.write("runs/empty/model.safetensors", "");
    place.refused("sample", 2, "error: runs/empty/model.safetensors: is empty");
}

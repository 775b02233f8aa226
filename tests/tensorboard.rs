//! Event files for TensorBoard say what `metrics.jsonl` and the pictures of a run say.
//!
//! `VAE_TEST_PYTHON` names a Python with `tensorboard`, whose own reader then reads them; without one that is skipped.

mod common;

use common::wire::Wire;
use common::{Place, python};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

const SPLITS: [&str; 2] = ["train", "test"];

/// CRC-32C by its definition, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| match sum & 1 {
            1 => (sum >> 1) ^ 0x82f6_3b78,
            _ => sum >> 1,
        })
    })
}

/// The contents of a file's records, whose sums are good, and what follows the last whole one.
fn records(mut file: &[u8]) -> (Vec<Vec<u8>>, usize) {
    let mut contents = Vec::new();
    while let Some((length, rest)) = file.split_first_chunk::<8>() {
        let len = u64::from_le_bytes(*length) as usize;
        if rest.len() < 4 + len + 4 {
            break;
        }
        let (sum, rest) = rest.split_first_chunk::<4>().unwrap();
        let (content, rest) = rest.split_at(len);
        let (sum_of_content, rest) = rest.split_first_chunk::<4>().unwrap();
        for (sum, bytes) in [(sum, &length[..]), (sum_of_content, content)] {
            let crc = crc32c(bytes);
            let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
            assert_eq!(u32::from_le_bytes(*sum), masked);
        }
        contents.push(content.to_vec());
        file = rest;
    }
    (contents, file.len())
}

/// What an event has under a name: a number or a picture.
#[derive(Debug, PartialEq)]
enum Told {
    Number(f32),
    Picture(Vec<u8>),
}

/// What the event file of a split tells, beside which there may be an empty one of before: step by step, in its order,
/// under which name what, and when.
fn told(place: &Place, run: &str, split: &str) -> Vec<(u64, BTreeMap<String, Told>, f64)> {
    let mut files = place.files(&format!("{run}/tensorboard/{split}"));
    files.retain(|_, content| !content.is_empty());
    assert_eq!(files.len(), 1, "{:?}", files.keys());
    let (name, file) = files.first_key_value().unwrap();
    assert!(name.starts_with("events.out.tfevents."), "{name}");
    let (contents, rest) = records(file);
    assert_eq!(rest, 0, "{name} is cut off");
    let mut events = contents.iter().map(|content| Wire::read(content));
    assert_eq!(events.next().unwrap().text(3), "brain.Event:2");
    // The session starts.
    assert_eq!(events.next().unwrap().message(7).numbers(1), [1]);
    let events = events.map(|event| {
        let values = event.message(5).messages(1).into_iter().map(|value| {
            let told = match value.floats(2)[..] {
                [number] => Told::Number(number),
                _ => Told::Picture(picture(&value.message(4))),
            };
            (value.text(1), told)
        });
        let time = f64::from_bits(event.numbers(1)[0]);
        (event.numbers(2)[0], values.collect(), time)
    });
    events.collect()
}

/// A picture, whose size is as it is said.
fn picture(said: &Wire) -> Vec<u8> {
    let png = said.bytes(4).remove(0);
    let picture = image::load_from_memory(&png).unwrap();
    let [height, width, channels] = [1, 2, 3].map(|field| said.numbers(field)[0] as u32);
    assert_eq!((width, height), (picture.width(), picture.height()));
    assert_eq!(channels, u32::from(picture.color().channel_count()));
    png
}

/// What they should tell: the numbers of the lines of a split, and with those of training the pictures of their steps.
fn expected(place: &Place, run: &str, split: &str) -> Vec<(u64, BTreeMap<String, Told>)> {
    let text = place.text(&format!("{run}/metrics.jsonl"));
    let metrics = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let of_split = metrics.filter(|metric: &Value| metric["split"] == split);
    let told = of_split.map(|metric| {
        let step = metric["step"].as_u64().unwrap();
        let names = metric.as_object().unwrap().iter();
        let numbers = names.filter(|(name, _)| *name != "step" && *name != "split");
        let number = |value: &Value| Told::Number(value.as_f64().unwrap() as f32);
        let mut told: BTreeMap<_, _> = numbers
            .map(|(name, value)| (name.clone(), number(value)))
            .collect();
        for kind in ["reconstructions", "samples"]
            .iter()
            .filter(|_| split == "train")
        {
            let png = place.read(&format!("{run}/{kind}/step-{step:06}.png"));
            told.insert(kind.to_string(), Told::Picture(png));
        }
        (step, told)
    });
    told.collect()
}

/// Checks that the event files of a run say what its other files say, neither less nor more.
#[track_caller]
fn assert_told(place: &Place, run: &str) {
    for split in SPLITS {
        let told = told(place, run, split);
        let without_times: Vec<_> = told
            .into_iter()
            .map(|(step, told, _)| (step, told))
            .collect();
        assert!(!without_times.is_empty());
        assert!(
            without_times == expected(place, run, split),
            "{run}, {split}"
        );
    }
}

/// A place with the configuration `constant.json`, of which runs of any length begin alike.
fn constant() -> Place {
    let place = Place::new();
    place.config("constant.json", &[("/schedule", json!("constant"))]);
    place
}

#[test]
fn events_say_what_metrics_and_pictures_say() {
    let place = Place::new();
    let changes = [
        ("/likelihood", json!("bernoulli")),
        ("/beta_schedule", json!({"linear": 20})),
    ];
    place.config("other.json", &changes);
    for config in ["tiny", "other"] {
        place.ok(&format!(
            "train --config {config}.json --out {config} --tensorboard"
        ));
        assert_told(&place, config);
    }
    let names = |split: &str| -> Vec<String> {
        let (_, names, _) = told(&place, "other", split).remove(0);
        names.into_keys().collect()
    };
    let train = "beta images_per_second kl learning_rate loss reconstruction reconstructions samples squared_error";
    assert_eq!(names("train").join(" "), train);
    assert_eq!(
        names("test").join(" "),
        "kl loss reconstruction squared_error"
    );
}

#[test]
fn they_change_nothing_else() {
    let place = Place::new();
    place.ok("train --config tiny.json --out plain");
    place.ok("train --config tiny.json --out run --tensorboard");
    assert!(!place.path("plain/tensorboard").exists());
    assert_eq!(place.json("run/config.json")["tensorboard"], json!(true));
    assert!(place.json("plain/config.json").get("tensorboard").is_none());
    fs::remove_dir_all(place.path("run/tensorboard")).unwrap();
    // The one says it, the other shows it.
    for file in ["config.json", "report.html"] {
        place.write(&format!("run/{file}"), place.read(&format!("plain/{file}")));
    }
    place.assert_same("run", "plain");
}

#[test]
fn a_run_that_goes_on_tells_all_of_it_once() {
    let place = constant();
    place.ok("train --config constant.json --out run --steps 20 --tensorboard");
    // What a kill leaves: events of steps that were not saved, the last one cut off; and a file of somebody else.
    let files = place.files("run/tensorboard/train");
    let (name, file) = files.first_key_value().unwrap();
    let events = [&file[..], &file[..file.len() - 9]].concat();
    place.write(&format!("run/tensorboard/train/{name}"), events);
    place.write(
        "run/tensorboard/train/events.out.tfevents.2.host",
        "what nobody may touch",
    );
    place.write(
        "run/tensorboard/train/events.out.tfevents.0000000001.vae",
        "old",
    );
    let old = SystemTime::now() - Duration::from_secs(1000);
    for picture in ["run/samples/step-000010.png", "run/samples/step-000020.png"] {
        fs::File::options()
            .append(true)
            .open(place.path(picture))
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    let begun = seconds(SystemTime::now());
    place.ok("train --resume run --steps 30");
    assert_eq!(
        place.text("run/tensorboard/train/events.out.tfevents.2.host"),
        "what nobody may touch"
    );
    fs::remove_file(place.path("run/tensorboard/train/events.out.tfevents.2.host")).unwrap();
    assert_told(&place, "run");
    // Those of before have the times of their pictures.
    for split in SPLITS {
        for (step, _, time) in told(&place, "run", split) {
            match step {
                30 => assert!(time >= begun, "{step}: {time}"),
                _ => assert_eq!(time, seconds(old), "{step}"),
            }
        }
    }
    place.ok("train --config constant.json --out whole --tensorboard");
    for run in ["run", "whole"] {
        fs::remove_dir_all(place.path(format!("{run}/tensorboard"))).unwrap();
    }
    place.assert_same("run", "whole");
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

#[test]
fn a_run_can_begin_and_end_to_tell_when_it_goes_on() {
    let place = constant();
    place.ok("train --config constant.json --out run --steps 20");
    place.ok("train --resume run --steps 30 --tensorboard");
    assert_told(&place, "run");
    // A picture that is gone is told of no more; what is none neither.
    fs::remove_file(place.path("run/samples/step-000010.png")).unwrap();
    place.write("run/samples/step-000020.png", "no picture");
    place.ok("train --resume run --steps 40");
    let events = told(&place, "run", "train");
    let with_samples = |(step, told, _): &(u64, BTreeMap<_, _>, f64)| {
        told.contains_key("samples").then_some(*step)
    };
    assert_eq!(
        events.iter().filter_map(with_samples).collect::<Vec<_>>(),
        [30, 40]
    );
    assert_eq!(events.len(), 4);

    let before = place.files("run/tensorboard");
    let mut config = place.json("run/config.json");
    config["tensorboard"] = json!(false);
    place.write("run/config.json", config.to_string());
    place.ok("train --resume run --steps 50");
    assert!(place.files("run/tensorboard") == before);
}

#[test]
fn a_run_that_is_killed_again_and_again_tells_all_of_it_once() {
    let place = constant();
    let line = "train --config constant.json --save-every 1 --image-every 1 --eval-every 5 --tensorboard --out run";
    let mut kills = 0;
    for time in (1..).map(|number| Duration::from_millis(40 + 17 * number)) {
        let line = if place.path("run/config.json").exists() {
            "train --resume run"
        } else {
            line
        };
        let mut command = place.command(line);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(time);
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            break;
        }
        kills += 1;
    }
    println!("{kills} kills");
    assert_told(&place, "run");
    place.ok("train --resume run --steps 31");
    assert_told(&place, "run");
}

#[test]
fn what_is_in_their_place_is_left_alone() {
    let place = Place::with_model();
    place.write("dir/tensorboard/notes.txt", "what nobody may touch");
    let why = "holds tensorboard, where a run would put its own";
    place.refused("train --config tiny.json --out dir --tensorboard", 2, why);
    place.ok("train --config tiny.json --out told --steps 1 --tensorboard");
    let file = place
        .files("told/tensorboard/train")
        .into_keys()
        .next()
        .unwrap();
    let file = format!("told/tensorboard/train/{file}");
    place.refused(
        &format!("sample --model {file}"),
        2,
        "give its directory: --model told",
    );
}

/// Prints what TensorBoard's reader finds: lines of split, name, step, and a number or the size and sum of a picture.
const READ: &str = "
import sys, hashlib
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
for split in ['train', 'test']:
    events = EventAccumulator(f'{sys.argv[1]}/tensorboard/{split}', size_guidance={'scalars': 0, 'images': 0}).Reload()
    for name in events.Tags()['scalars']:
        for event in events.Scalars(name):
            print(split, name, event.step, event.value)
    for name in events.Tags()['images']:
        for event in events.Images(name):
            print(split, name, event.step, event.encoded_image_string.hex())
";

#[test]
fn tensorboard_reads_the_numbers_and_pictures_of_the_run() {
    let Some(python) = python("VAE_TEST_PYTHON", "tensorboard") else {
        return;
    };
    let place = constant();
    place.ok("train --config constant.json --out run --steps 20 --tensorboard");
    place.ok("train --resume run --steps 35");
    let mut command = Command::new(python);
    let output = command
        .args(["-c", READ, "run"])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let mut found: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_string)
        .collect();
    let mut lines = Vec::new();
    for split in SPLITS {
        for (step, told) in expected(&place, "run", split) {
            for (name, told) in told {
                let value = match told {
                    // As Python writes the float64 that the float32 is.
                    Told::Number(number) => format!("{:?}", f64::from(number)),
                    Told::Picture(png) => png.iter().map(|byte| format!("{byte:02x}")).collect(),
                };
                lines.push(format!("{split} {name} {step} {value}"));
            }
        }
    }
    found.sort();
    lines.sort();
    assert_eq!(found.len(), lines.len());
    for (found, line) in found.iter().zip(&lines) {
        // A number can be written in several ways.
        let [a, b] = [found, line].map(|line| {
            let (of, value) = line.rsplit_once(' ').unwrap();
            (of, value.parse::<f64>().map_err(|_| value))
        });
        assert!(a == b, "{found:.200} is not {line:.200}");
    }
}

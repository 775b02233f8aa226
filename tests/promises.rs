//! The pages of the project: what they quote works, what they link is there, what they promise has a test.

mod common;

use common::Place;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use vae::config::Config;
use vae::data::{ImageShape, idx, synthetic};
use vae::model::Vae;
use vae::model::architecture::Architecture;

const PAGES: [&str; 4] = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/promises.md",
    "docs/run-directory.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What stands between two marks in a text, each time.
fn between<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
    let parts = text.split(before).skip(1);
    parts.filter_map(move |part| Some(part.split_once(after)?.0))
}

#[test]
fn every_promise_names_tests_that_are_there() {
    let promises = page("docs/promises.md");
    let mut named = 0;
    for row in promises.lines().filter(|line| line.starts_with("| ")) {
        let (_, held) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        let mut source = String::new();
        for quoted in held.split('`').skip(1).step_by(2) {
            let is_test = quoted.contains('_') && !quoted.contains([' ', '(', '/']);
            if quoted.ends_with(".rs") {
                source = page(quoted);
            } else if is_test {
                let here = source.contains(&format!("    fn {quoted}()"))
                    || source.contains(&format!("\nfn {quoted}()"));
                assert!(here, "no test `{quoted}` where this says: {row}");
                named += 1;
            }
        }
    }
    assert!(named > 80, "only {named} tests are named");
}

#[test]
fn links_lead_to_what_is_there() {
    for name in PAGES {
        let text = page(name);
        let folder = root().join(name).parent().unwrap().to_path_buf();
        for link in between(&text, "](", ")") {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = match file {
                "" => root().join(name),
                file => folder.join(file),
            };
            assert!(path.exists(), "{name} links to {link}");
            if !anchor.is_empty() {
                let page = fs::read_to_string(&path).unwrap();
                let headings = page.lines().filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| {
                    let heading = line.trim_start_matches(['#', ' ']).to_lowercase();
                    heading.replace(' ', "-").replace(['`', ',', '?'], "")
                });
                assert!(
                    anchors.any(|found| found == anchor),
                    "{name} links to {link}"
                );
            }
        }
    }
}

/// The command lines on a page, as they would be typed.
fn command_lines(text: &str) -> BTreeSet<String> {
    let quoted = text
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    let blocks = text.lines().filter_map(|line| line.strip_prefix("    "));
    let parts = quoted.chain(blocks).flat_map(|line| line.split(" && "));
    let parts = parts.filter_map(|part| {
        let part = part.split('#').next().unwrap().trim();
        let part = part
            .strip_prefix("cargo run --release -- ")
            .or(part.strip_prefix("vae "))?;
        // What stands for something else is not typed so.
        (!part.contains("COMMAND")).then(|| part.replace(" ...", ""))
    });
    parts.collect()
}

#[test]
fn command_lines_are_understood() {
    let place = Place::new();
    let help = place.ok("--help").stdout;
    let mut lines = command_lines(&PAGES.map(page).join("\n"));
    let first_steps = help.lines().filter(|line| line.starts_with("  vae "));
    lines.extend(first_steps.map(|line| line.trim().split("  ").next().unwrap()[4..].into()));
    assert!(lines.len() > 12, "{lines:?}");
    for line in lines {
        // The flags that come before this one are looked at first.
        let outcome = place.vae(&format!("{line} --help"));
        assert_eq!(outcome.code, Some(0), "vae {line}: {}", outcome.stderr);
    }
    let outcome = place.vae("train --no-such-flag --help");
    assert_eq!(outcome.code, Some(2), "this test could not fail");
}

#[test]
fn configurations_are_accepted() {
    let text = page("README.md");
    let mut found = 0;
    for block in text.split("\n\n") {
        let lines = block.lines().map(|line| line.strip_prefix("    "));
        let Some(code) = lines.collect::<Option<Vec<_>>>() else {
            continue;
        };
        if code.first().is_some_and(|line| line.starts_with('{')) {
            let config = Config::parse(&code.join("\n"), "README.md").unwrap();
            config.validate().unwrap();
            Architecture::plan(&config).unwrap();
            found += 1;
        }
    }
    assert!(found > 0);
}

#[test]
fn the_pytorch_snippet_names_the_weights_of_the_default_decoder() {
    let text = page("README.md");
    let snippet = between(&text, "```python", "```").next().unwrap();
    let vae = Vae::new(&Config::default(), &candle_core::Device::Cpu).unwrap();
    let shapes = vae.parameters().iter();
    let decoder: Vec<(String, Vec<usize>)> = shapes
        .filter_map(|(name, var)| {
            let name = name.strip_prefix("decoder.")?.strip_suffix(".weight")?;
            Some((name.to_string(), var.dims().to_vec()))
        })
        .collect();
    // "name": nn.Kind(numbers),
    let parts: Vec<&str> = snippet.split('"').collect();
    let modules = parts.windows(2).filter_map(|pair| {
        let (kind, rest) = pair[1].strip_prefix(": nn.")?.split_once('(')?;
        let numbers = rest.split_once(')')?.0.split(", ").map(|number| {
            let factors = number.split(" * ").map(str::parse::<usize>);
            factors.product::<Result<usize, _>>().ok()
        });
        let n = numbers.collect::<Option<Vec<usize>>>()?;
        let shape = match kind {
            "Linear" => vec![n[1], n[0]],
            "ConvTranspose2d" => vec![n[0], n[1], n[2], n[2]],
            _ => return None,
        };
        Some((pair[0].to_string(), shape))
    });
    assert_eq!(modules.collect::<Vec<_>>(), decoder);
}

#[test]
fn what_the_numpy_snippet_writes_is_read() {
    // As `write_idx` does: two zeros, 8 for bytes, the number of dimensions, the dimensions, the values.
    let write = |path: PathBuf, dimensions: &[u32], values: &[u8]| {
        let mut file = vec![0, 0, 8, dimensions.len() as u8];
        file.extend(dimensions.iter().flat_map(|n| n.to_be_bytes()));
        file.extend(values);
        fs::write(path, file).unwrap();
    };
    let place = Place::new();
    fs::create_dir(place.path("mine")).unwrap();
    let images: Vec<u8> = (0..3 * ImageShape::MNIST.values())
        .map(|n| n as u8)
        .collect();
    for split in ["train", "t10k"] {
        let file = |kind: &str| place.path(format!("mine/{split}-{kind}-ubyte"));
        write(file("images-idx3"), &[3, 28, 28], &images);
        write(file("labels-idx1"), &[3], &[7, 0, 9]);
    }
    let dataset = idx::read_folder(&place.path("mine")).unwrap();
    assert_eq!(dataset.train.pixels, images);
    assert_eq!(dataset.test.labels, [7, 0, 9]);
}

#[test]
fn built_in_digits_are_seventy_thousand() {
    let dataset = synthetic::dataset();
    assert_eq!((dataset.train.len(), dataset.test.len()), (60_000, 10_000));
}

#[test]
fn pictures_of_a_run_show_the_same_latent_vectors_as_its_samples() {
    let place = Place::with_model();
    place.ok("sample --model run --n 64 --columns 8 --seed 42 drawn.png");
    assert!(place.read("drawn.png") == place.read("run/samples/step-000030.png"));
}

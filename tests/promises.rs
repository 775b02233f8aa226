//! The pages of the project: what they quote works, what they name is there, what they promise has a test.

mod common;

use common::{Place, grid, skip};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use vae::config::{Config, DEFAULT_JSON, LayerConfig};
use vae::data::{ImageShape, idx};
use vae::model::Vae;
use vae::model::architecture::Architecture;

const PAGES: [&str; 9] = [
    "docs/experiments.md",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/promises.md",
    "docs/build.md",
    "docs/many-runs.md",
    "docs/profile.md",
    "docs/run-directory.md",
];

/// Flags on the pages that are those of other programs.
const OF_OTHERS: [&str; 7] = [
    "--array",
    "--bench",
    "--features",
    "--jobs",
    "--no-default-features",
    "--signal",
    "--termseq",
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

/// What a page quotes within its lines, with the page.
fn quoted(name: &str) -> Vec<String> {
    let text = page(name);
    let quotes = |line: &str| -> Vec<String> {
        let quotes = line.split('`').skip(1).step_by(2);
        quotes.map(str::to_string).collect()
    };
    let lines = text.lines().filter(|line| !line.starts_with("```"));
    lines.flat_map(quotes).collect()
}

/// What is indented on a page, a block at a time.
fn blocks(name: &str) -> Vec<String> {
    let text = page(name);
    let parts = text.split("\n\n").filter_map(|part| {
        let lines = part.trim_matches('\n').lines();
        let lines = lines.map(|line| line.strip_prefix("    "));
        Some(lines.collect::<Option<Vec<_>>>()?.join("\n"))
    });
    parts.collect()
}

/// Runs a Python program; whether there is Python to run it.
#[track_caller]
fn python(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new("python3");
    command
        .args(["-c", program])
        .args(arguments)
        .current_dir(root());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let Ok(output) = command.output() else {
        skip("there is no python3");
        return false;
    };
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    true
}

#[test]
fn each_promise_names_tests_that_are_there_or_a_command() {
    let promises = page("docs/promises.md");
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| ---");
    let mut named = 0;
    for row in promises.lines().filter(is_row) {
        let (promise, held) = row.trim_end_matches(" |").rsplit_once(" | ").expect(row);
        if promise == "| promise" {
            continue;
        }
        let mut source = None;
        let mut of_source = 0;
        let mut holds = 0;
        for quote in held.split('`').skip(1).step_by(2) {
            let is_name = quote
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if quote.ends_with(".rs") {
                assert!(
                    source.is_none() || of_source > 0,
                    "no test of a file: {row}"
                );
                source = Some(page(quote));
                of_source = 0;
            } else if is_name {
                let source = source.as_deref().expect(row);
                let (before, _) = source
                    .split_once(&format!("fn {quote}("))
                    .unwrap_or_else(|| {
                        panic!("no test `{quote}` where this says: {row}");
                    });
                let attributes = before.rsplit("\n\n").next().unwrap();
                assert!(
                    attributes.contains("#[test]"),
                    "`{quote}` is no test: {row}"
                );
                of_source += 1;
                holds += 1;
            } else {
                holds += 1;
            }
        }
        assert!(
            source.is_none() || of_source > 0,
            "no test of a file: {row}"
        );
        assert!(holds > 0, "nothing holds this: {row}");
        named += holds;
    }
    assert!(named > 150, "only {named} tests are named");
}

#[test]
fn each_file_of_tests_says_what_it_holds() {
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("//! "), "{path:?}");
        }
    }
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

/// Files and folders of the project that a page quotes; `NAME` stands for another name.
#[test]
fn paths_that_are_quoted_are_there() {
    let folders = ["src/", "tests/", "benches/", "configs/", "docs/", ".ci/"];
    let mut found = 0;
    for name in PAGES {
        for quote in quoted(name) {
            let is_path = folders.iter().any(|folder| quote.starts_with(folder));
            if is_path && !quote.contains([' ', '*']) && !quote.contains("NAME") {
                assert!(root().join(&quote).exists(), "{name} names {quote}");
                found += 1;
            }
        }
    }
    assert!(found > 50, "only {found} paths");
}

/// The command lines in a text, without the program's name, as they would be typed.
fn command_lines(text: &str) -> BTreeSet<String> {
    let quoted = text
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    let indented = text.lines().filter(|line| line.starts_with("  "));
    let parts = quoted
        .chain(indented.map(str::trim))
        .flat_map(|line| line.split(" && "));
    let parts = parts.filter_map(|part| {
        let part = part.split(['#', '>']).next().unwrap();
        let part = part
            .strip_prefix("cargo run --release -- ")
            .or(part.strip_prefix("vae "))?;
        // What a line does is set apart from it.
        let line = part.trim().split("   ").next().unwrap();
        line.starts_with(|c: char| c.is_ascii_alphabetic())
            .then(|| line.to_string())
    });
    parts.collect()
}

/// All commands below a program, those below commands too.
fn commands(program: &clap::Command) -> Vec<&clap::Command> {
    let below = |command| [vec![command], commands(command)].concat();
    program.get_subcommands().flat_map(below).collect()
}

#[test]
fn command_lines_are_understood() {
    let mut program = vae::cli::command();
    let mut text = PAGES.map(page).join("\n");
    text += &program.render_long_help().to_string();
    program.build();
    for command in commands(&program) {
        text += &command.clone().render_long_help().to_string();
    }
    let lines = command_lines(&text);
    for expected in [
        "train --steps 2000",
        "sample --n 64 out.png",
        "completions bash",
        "sample --n 64 --seed 1 --columns 16 docs/samples.png",
        "train --steps 2000 --data mnist --out runs/default",
    ] {
        assert!(lines.contains(expected), "no `{expected}` in {lines:?}");
    }
    let commands = [
        "train",
        "sample",
        "reconstruct",
        "evaluate",
        "latent scatter",
        "completions",
    ];
    let understood = |line: &str| -> Result<(), String> {
        let words = ["vae"].into_iter().chain(line.split_whitespace());
        match vae::cli::command().try_get_matches_from(words) {
            Err(error) if error.use_stderr() => Err(error.to_string()),
            _ => Ok(()),
        }
    };
    for line in lines {
        for command in commands {
            let line = line.replace("COMMAND", command);
            assert_eq!(understood(&line), Ok(()), "vae {line}");
        }
    }
    assert!(
        understood("train --no-such-flag").is_err(),
        "this test could not fail"
    );
}

#[test]
fn flags_that_are_quoted_are_there() {
    let mut program = vae::cli::command();
    program.build();
    let flags = commands(&program).into_iter();
    let flags = flags.flat_map(clap::Command::get_arguments);
    let flags = flags.filter_map(clap::Arg::get_long);
    let flags: BTreeSet<String> = flags.map(|flag| format!("--{flag}")).collect();
    for name in PAGES {
        for quote in quoted(name) {
            let word = quote.split([' ', '=']).next().unwrap();
            if word.starts_with("--") && !OF_OTHERS.contains(&word) {
                assert!(flags.contains(word), "{name} names {quote}");
            }
        }
    }
}

/// Targets and features of cargo's, and variables that tests read.
#[test]
fn other_commands_name_what_is_there() {
    let manifest = page("Cargo.toml");
    let mut found = 0;
    for name in PAGES {
        for quote in quoted(name) {
            let words: Vec<&str> = quote.split_whitespace().collect();
            for pair in words.windows(2) {
                let (name, is_there) = match pair[0] {
                    "--bench" => (
                        pair[1],
                        manifest.contains(&format!("name = \"{}\"", pair[1])),
                    ),
                    "--test" => (
                        pair[1],
                        root().join(format!("tests/{}.rs", pair[1])).exists(),
                    ),
                    "--features" => (pair[1], manifest.contains(&format!("\n{} = [", pair[1]))),
                    _ => continue,
                };
                assert!(is_there, "{quote}: no {name}");
                found += 1;
            }
            let variable = words.first().and_then(|word| word.split_once('='));
            if let Some((variable, _)) = variable.filter(|(name, _)| name.starts_with("VAE_TEST_"))
            {
                let mut tests = fs::read_dir(root().join("tests")).unwrap();
                let reads = |path: &Path| {
                    fs::read_to_string(path)
                        .is_ok_and(|text| text.contains(&format!("\"{variable}\"")))
                };
                assert!(tests.any(|entry| reads(&entry.unwrap().path())), "{quote}");
                found += 1;
            }
        }
    }
    assert!(found > 8, "only {found} commands");
}

/// By its own parser of flags.
#[cfg(target_os = "linux")]
#[test]
fn the_benchmark_understands_its_command_lines() {
    let program = "import sys; sys.path.insert(0, 'benches'); import pytorch; pytorch.arguments()";
    let quotes = PAGES.iter().flat_map(|name| quoted(name));
    let lines = quotes.filter_map(|quote| {
        match quote.strip_prefix("python benches/pytorch.py ") {
            Some(line) => Some(line.to_string()),
            // What the line before it is run with.
            None => quote
                .starts_with("--config configs/")
                .then(|| format!("step --data FOLDER {quote}")),
        }
    });
    let lines: BTreeSet<String> = lines.collect();
    assert!(lines.len() > 5, "{lines:?}");
    for line in lines {
        if !python(program, &line.split(' ').collect::<Vec<_>>()) {
            return;
        }
    }
}

#[test]
fn configurations_are_accepted() {
    let files = fs::read_dir(root().join("configs")).unwrap();
    let files = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let blocks = blocks("README.md").into_iter();
    let mut texts: Vec<String> = blocks.filter(|block| block.starts_with('{')).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    texts.extend(files);
    for text in texts {
        let config = Config::parse(&text, "a page").unwrap();
        config.validate().unwrap();
        Architecture::plan(&config).unwrap();
    }
}

#[test]
fn the_default_file_has_every_key() {
    let keys = |value: serde_json::Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let file = keys(serde_json::from_str(DEFAULT_JSON).unwrap());
    assert_eq!(file, keys(serde_json::to_value(Config::default()).unwrap()));
}

/// The paragraph of README that begins "A layer is".
#[test]
fn layers_and_activations_are_those_that_are_named() {
    let text = page("README.md");
    let (_, paragraph) = text.split_once("\nA layer is").unwrap();
    let (layers, rest) = paragraph.split_once("; an activation").unwrap();
    let (activations, _) = rest.split_once("; `dropout`").unwrap();
    let names = |text: &str| -> Vec<String> {
        let names = text.split('`').skip(1).step_by(2);
        names.map(str::to_string).collect()
    };
    assert_eq!(
        names(layers),
        ["conv", "conv_transpose", "dense", "reshape"]
    );
    let plan = |text: &str| {
        let config = Config::parse(text, "test").unwrap_or_else(|error| panic!("{text}: {error}"));
        Architecture::plan(&config).unwrap_or_else(|error| panic!("{text}: {error}"));
        config
    };
    for activation in names(activations) {
        let activation = match activation.strip_prefix('{') {
            Some(_) => activation.replace("SLOPE", "0.2"),
            None => format!("\"{activation}\""),
        };
        plan(&format!(
            r#"{{"encoder": [{{"dense": {{"features": 3, "activation": {activation}}}}}]}}"#
        ));
    }
    let config = plan(
        r#"{"encoder": [{"conv": {"channels": 2, "kernel": 3, "padding": "same"}}, {"dense": {"features": 9}}],
            "decoder": [{"dense": {"features": 196}}, {"reshape": [4, 7, 7]},
                        {"conv_transpose": {"channels": 1, "kernel": 4, "stride": 4, "padding": 0}}]}"#,
    );
    let (LayerConfig::Conv(conv), LayerConfig::Dense(dense)) =
        (config.encoder[0], config.encoder[1])
    else {
        panic!("{:?}", config.encoder);
    };
    assert_eq!((conv.stride, conv.dropout, dense.dropout), (1, 0.0, 0.0));
    let none = serde_json::json!("none");
    assert_eq!(serde_json::to_value(conv.activation).unwrap(), none);
    assert_eq!(serde_json::to_value(dense.activation).unwrap(), none);
}

#[test]
fn the_pytorch_snippet_names_the_weights_of_the_default_decoder() {
    let text = page("README.md");
    let snippet = between(&text, "```python", "```").next().unwrap();
    let vae = Vae::new(&Config::default(), &candle_core::Device::Cpu).unwrap();
    let shapes = vae.parameters().iter();
    let decoder: Vec<(String, Vec<usize>)> = shapes
        .filter_map(|(name, var)| {
            let name = name.strip_prefix("decoder.")?;
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
        // (out, in), and (in, out, rows, columns).
        let weight = match kind {
            "Linear" => vec![n[1], n[0]],
            "ConvTranspose2d" => vec![n[0], n[1], n[2], n[2]],
            _ => return None,
        };
        let name = |of: &str| format!("{}.{of}", pair[0]);
        Some([(name("weight"), weight), (name("bias"), vec![n[1]])])
    });
    assert_eq!(modules.flatten().collect::<Vec<_>>(), decoder);
}

/// With anything in place of an array that has what the snippet asks of one.
#[test]
fn what_the_numpy_snippet_writes_is_read() {
    let blocks = blocks("README.md");
    let snippet = blocks
        .iter()
        .find(|block| block.starts_with("def write_idx"));
    let program = format!(
        "{}
class Array:
    def __init__(self, shape, values):
        self.shape, self.ndim, self.values = shape, len(shape), values
    def astype(self, kind):
        assert kind == 'uint8'
        return self
    def tobytes(self):
        return self.values
import sys
for split in ['train', 't10k']:
    path = sys.argv[1] + '/' + split
    write_idx(path + '-images-idx3-ubyte', Array((3, 28, 28), bytes(i % 256 for i in range(3 * 784))))
    write_idx(path + '-labels-idx1-ubyte', Array((3,), bytes([7, 0, 9])))
",
        snippet.unwrap()
    );
    let place = Place::new();
    fs::create_dir(place.path("mine")).unwrap();
    if python(&program, &[place.path("mine").to_str().unwrap()]) {
        let dataset = idx::read_folder(&place.path("mine")).unwrap();
        let images = (0..3 * ImageShape::MNIST.values()).map(|n| n as u8);
        let pixels = dataset.train.into_bytes().unwrap();
        assert_eq!(pixels, images.collect::<Vec<_>>());
        assert_eq!(dataset.test.labels, [7, 0, 9]);
    }
}

/// Sixteen digits and their reconstructions; sixty-four, sixteen in a row.
#[test]
fn the_pictures_of_the_page_are_of_the_size_that_their_commands_make() {
    for (name, size) in [
        ("docs/reconstructions.png", (grid(16), grid(2))),
        ("docs/samples.png", (grid(16), grid(4))),
    ] {
        let picture = image::open(root().join(name)).unwrap();
        assert_eq!((picture.width(), picture.height()), size, "{name}");
    }
}

/// The public names that the changelog says there are now.
#[test]
fn the_names_of_the_changelog_are_there() {
    #[allow(unused_imports)]
    use vae::{
        config::PaddingConfig,
        kernels::{activation, convolution, geometry, matmul, squared_error},
        model::{LossTerms, architecture},
        nn::adam::{AdamConfig, ParamState},
        nn::gradient::DeferredMatmul,
        nn::layer::{LayerPlan, LinearMap},
        nn::sequential::Sequential,
        nn::stage::Stage,
        picture::{grid, photo, plot},
        rng::bernoulli,
        run::{save, weights},
        train::schedule::learning_rate,
    };
    let _ = (
        Vae::backend,
        Vae::with_backend,
        Vae::first_non_finite,
        vae::run::State::read,
    );
    let _ = |adam: &vae::nn::adam::Adam| adam.states.len();
    let _ = |gradient: &vae::nn::gradient::Gradient| {
        matches!(gradient, vae::nn::gradient::Gradient::Matmul(..))
    };
    let _ = |stage: &Stage<LayerPlan>| matches!(stage, Stage::Heads(_));
}

//! Several runs on one page, the best first.

use super::curves::Curves;
use super::page::Page;
use super::pictures::newest;
use super::recorded::{RecordedRun, last_step, term};
use super::settings::{Setting, dataset, settings};
use crate::Result;
use crate::config::Config;
use crate::data::Binarize;
use serde::Serialize;
use serde_json::Value;

/// Points of all runs' curves together, and of one of them.
const MOST_POINTS: usize = 20_000;
const POINTS: (usize, usize) = (50, 500);

/// What a page of several runs says.
#[derive(Serialize)]
struct Said {
    notes: Vec<String>,
    groups: Vec<Group>,
}

/// Runs whose losses are the same measure of the same images.
#[derive(Serialize)]
struct Group {
    title: String,
    notes: Vec<String>,
    /// What the reconstruction's term of the loss is called.
    term: &'static str,
    /// The keys of the configuration in which they differ.
    settings: Vec<String>,
    /// The lowest test loss first.
    runs: Vec<Row>,
}

/// A run among others.
#[derive(Serialize)]
struct Row {
    /// Its number among all runs of the page, from 0.
    number: usize,
    name: String,
    /// Whether it has a test loss, so that it has a place among the others.
    ranked: bool,
    step: u64,
    steps: u64,
    curves: Curves,
    /// Its values of the group's keys.
    settings: Vec<String>,
    nll: Option<f64>,
    /// The share of its drawings that a classifier recognises.
    recognised: Option<f64>,
}

/// The page of runs side by side: those with the lowest test loss first; apart from each other, those whose losses do
/// not compare.
///
/// # Errors
///
/// If a configuration cannot be written as JSON.
pub fn compare(mut runs: Vec<RecordedRun>) -> Result<Page> {
    let loss = |run: &RecordedRun| run.last_test().map_or(f64::INFINITY, |test| test.loss);
    runs.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    let points = (MOST_POINTS / runs.len().max(1)).clamp(POINTS.0, POINTS.1);
    let mut groups: Vec<Vec<(usize, &RecordedRun)>> = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let measure = measure(&run.config);
        let group = groups
            .iter_mut()
            .find(|group| self::measure(&group[0].1.config) == measure);
        match group {
            Some(group) => group.push((number, run)),
            None => groups.push(vec![(number, run)]),
        }
    }
    let notes = match groups.len() {
        0 | 1 => Vec::new(),
        _ => vec![
            "Losses of different likelihoods, or of different data, do not compare: each kind is ranked for itself."
                .into(),
        ],
    };
    let said = Said {
        notes,
        groups: groups
            .iter()
            .map(|runs| group(runs, points))
            .collect::<Result<_>>()?,
    };
    let paths = runs.iter().map(|run| run.path.as_path()).enumerate();
    Page::new(&said, newest(paths))
}

/// What a loss measures: by which likelihood, of which pixels of which data.
fn measure(config: &Config) -> (&'static str, Binarize, Option<&str>) {
    let data = config.provenance.as_ref();
    let data = data.map(|provenance| provenance.dataset_sha256.as_str());
    (likelihood(config), config.binarize, data)
}

fn likelihood(config: &Config) -> &'static str {
    use crate::config::Likelihood::{Bernoulli, Gaussian, SquaredError};
    match config.likelihood {
        SquaredError => "Squared error",
        Gaussian => "Gaussian likelihood",
        Bernoulli => "Bernoulli likelihood",
    }
}

fn group(runs: &[(usize, &RecordedRun)], points: usize) -> Result<Group> {
    let own = runs.iter().map(|(_, run)| settings(&run.config));
    let own = own.collect::<Result<Vec<_>>>()?;
    let value = |settings: &[Setting], key: &str| {
        let mut settings = settings.iter();
        let setting = settings.find(|setting| setting.key == key);
        setting.map_or("none".into(), |setting| setting.value.clone())
    };
    let mut keys: Vec<String> = own
        .iter()
        .flatten()
        .map(|setting| setting.key.clone())
        .collect();
    keys.sort();
    keys.dedup();
    keys.retain(|key| own.iter().any(|run| value(run, key) != value(&own[0], key)));
    let rows = runs.iter().zip(&own);
    let rows = rows.map(|((number, run), own)| {
        let said = run.evaluated.evaluation.as_ref();
        let said = said.unwrap_or(&Value::Null);
        Row {
            number: *number,
            name: run.name(),
            ranked: run.last_test().is_some(),
            step: last_step(&run.metrics),
            steps: run.config.steps,
            curves: Curves::of(&run.metrics, points),
            settings: keys.iter().map(|key| value(own, key)).collect(),
            nll: said["nll"].as_f64(),
            recognised: said["samples"]["drawings"]["recognised"].as_f64(),
        }
    });
    let first = &runs[0].1.config;
    let mut notes = Vec::new();
    if keys.iter().any(|key| key == "beta") {
        let note = "Their beta differs, and so does what the KL counts in their losses: a lower loss may only be a \
                    lower beta.";
        notes.push(note.into());
    }
    Ok(Group {
        title: format!("{}, {}", likelihood(first), dataset(first)),
        notes,
        term: term(first),
        runs: rows.collect(),
        settings: keys,
    })
}

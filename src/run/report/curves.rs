//! The curves of a report: what `metrics.jsonl` says, in as many points as a page can show.

use crate::picture::evenly::evenly;
use crate::run::{Metric, SplitName};
use serde::Serialize;

/// The losses over the steps, of both splits.
#[derive(Debug, Serialize)]
pub(super) struct Curves {
    train: Curve,
    test: Curve,
}

/// Losses over the steps, as columns. What is not finite is null.
#[derive(Debug, Default, Serialize)]
struct Curve {
    step: Vec<u64>,
    loss: Vec<f64>,
    reconstruction: Vec<f64>,
    kl: Vec<f64>,
}

impl Curves {
    /// Those of metrics, with at most so many points each.
    pub fn of(metrics: &[Metric], most: usize) -> Self {
        let of_split = |split| {
            let lines: Vec<_> = metrics.iter().filter(|line| line.split == split).collect();
            let mut curve = Curve::default();
            for index in evenly(lines.len(), most) {
                let line = lines[index];
                curve.step.push(line.step);
                curve.loss.push(rounded(line.loss));
                let reconstruction = line.reconstruction_term();
                curve.reconstruction.push(rounded(reconstruction));
                curve.kl.push(rounded(line.kl));
            }
            curve
        };
        Self {
            train: of_split(SplitName::Train),
            test: of_split(SplitName::Test),
        }
    }
}

/// More digits than a page shows, and no more bytes than they need.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

//! The curves of a report: what `metrics.jsonl` says, in as many points as a page can show.

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

/// At most `most` places among `count`, ascending, as far from each other as can be: with the last and, of several, the
/// first.
pub(super) fn evenly(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let last = count.saturating_sub(1);
    let gaps = count.min(most).saturating_sub(1);
    let before_last = (0..count.min(most)).rev();
    before_last.map(move |gap| last - gap * last / gaps.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_even_with_the_last_and_the_first() {
        let chosen = |count, most| evenly(count, most).collect::<Vec<_>>();
        assert_eq!(chosen(0, 5), Vec::<usize>::new());
        assert_eq!(chosen(1, 5), [0]);
        assert_eq!(chosen(9, 1), [8]);
        assert_eq!(chosen(5, 5), [0, 1, 2, 3, 4]);
        assert_eq!(chosen(9, 5), [0, 2, 4, 6, 8]);
        assert_eq!(chosen(500, 3), [0, 250, 499]);
    }
}

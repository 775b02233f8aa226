//! What a training tells, and how far it is.

use super::losses::Losses;
use serde::{Deserialize, Serialize};

/// A KL below this, in nats, says that the latent vectors carry nothing.
const COLLAPSED_KL: f64 = 0.01;
/// For how many steps in a row before it is called a collapse.
const COLLAPSED_STEPS: u64 = 500;

/// Where a run is: all that changes from step to step besides weights and moments.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps that are done.
    pub step: u64,
    /// Steps since the last training metrics.
    interval_steps: u64,
    /// The losses of those steps, added up.
    interval_losses: Losses,
    /// Steps in a row whose KL was next to nothing.
    collapsed_steps: u64,
}

impl Progress {
    /// Counts a step that was made.
    pub(super) fn count(&mut self, step: u64, losses: Losses) {
        self.step = step;
        self.interval_steps += 1;
        self.interval_losses.add(losses, 1.0);
        self.collapsed_steps = if losses.kl < COLLAPSED_KL {
            self.collapsed_steps + 1
        } else {
            0
        };
    }

    /// Whether the last step is the one after which it is called a collapse.
    pub(super) fn has_just_collapsed(&self) -> bool {
        self.collapsed_steps == COLLAPSED_STEPS
    }

    /// The average losses since this was last called.
    pub(super) fn take_interval(&mut self) -> Losses {
        let steps = std::mem::take(&mut self.interval_steps);
        std::mem::take(&mut self.interval_losses).divided_by(steps as f64)
    }
}

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The step's number, from 1.
    pub step: u64,
    /// The losses of its batch, before the weights moved.
    pub losses: Losses,
    /// What the KL divergence counted in the loss.
    pub beta: f64,
    /// The learning rate it moved them with.
    pub learning_rate: f64,
}

/// What a run tells as it goes, in this order where several fall on one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// A step was made.
    Step(Step),
    /// The KL has been next to nothing for long: the decoder ignores its input. Told once.
    Collapse(Step),
    /// It is time for training metrics and pictures; the losses are averages since the last time.
    Interval(Step),
    /// The model was evaluated on the test images.
    Evaluation(u64, Losses),
    /// It is time to save; for the last time if nothing comes after it.
    Save {
        /// Whether the run ends here.
        last: bool,
    },
}

//! When values are dropped, and which.

use super::layer::Layer;
use super::stage::Stage;
use crate::kernels::buffers::Buffers;
use crate::kernels::dropout::Mask;

/// Whether values are dropped on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Dropout is off, and what only gradients need is not kept: there are none.
    Inference,
    /// Dropout is on; which values it drops follows from the two numbers.
    Training {
        /// The seed of the run.
        seed: u64,
        /// The step of the run; the part of one, counted through the run, where its batches are in parts.
        step: u64,
    },
}

/// What the stage at `position` of the sequence `number` drops of `len` values, if it drops anything now.
pub(super) fn mask(
    mode: Mode,
    stage: &Stage<Layer>,
    number: u64,
    position: usize,
    len: usize,
    buffers: &Buffers,
) -> Option<Mask> {
    match (stage, mode) {
        (Stage::Layer(layer), Mode::Training { seed, step }) if layer.plan.dropout > 0.0 => {
            let draw = (step << 16) | (number << 8) | position as u64;
            Some(Mask::new(layer.plan.dropout, seed, draw, len, buffers))
        }
        _ => None,
    }
}

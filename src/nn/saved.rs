//! What the forward pass saves for the backward pass.

use super::layer::Layer;
use super::primitive::Primitive;
use super::stage::Stage;
use crate::kernels::buffers::{Buffer, Buffers};
use crate::kernels::dropout::Mask;
use std::ops::Range;
use std::sync::Arc;

/// What the backward pass needs of a stage.
pub(super) struct Saved {
    /// What it wrote, if it is read again. The last output is kept by candle, unless candle is given its
    /// error instead.
    pub output: Buffer,
    /// The slopes of its activation, if that [keeps them](crate::kernels::activation::Activation::keeps_slopes).
    pub slopes: Option<Buffer>,
    /// What dropout dropped of it.
    pub mask: Option<Mask>,
    /// What the stage read, transformed, if it is a convolution in the Winograd domain.
    pub transformed: Option<Buffer>,
    /// The stage, once it is prepared. Dense ones are so for inference alone.
    pub primitive: Option<Arc<Primitive>>,
}

/// Stages, and what their backward pass needs.
pub(super) struct BackwardContext<'a> {
    pub stages: &'a [Stage<Layer>],
    pub images: usize,
    /// What the first stage read.
    pub input: &'a [f32],
    /// What each stage wrote.
    pub outputs: &'a [&'a [f32]],
    pub saved: &'a [Saved],
    pub buffers: &'a Buffers,
}

impl BackwardContext<'_> {
    /// What the activation of a stage wants for its way back: slopes, where it keeps them, else outputs.
    pub(super) fn kept(&self, position: usize) -> &[f32] {
        let slopes = self.saved[position].slopes.as_deref();
        slopes.unwrap_or(self.outputs[position])
    }

    /// The same for some of the stages.
    pub(super) fn segment(&self, range: &Range<usize>) -> Self {
        Self {
            stages: &self.stages[range.clone()],
            input: match range.start {
                0 => self.input,
                start => self.outputs[start - 1],
            },
            outputs: &self.outputs[range.clone()],
            saved: &self.saved[range.clone()],
            ..*self
        }
    }
}

//! What encoders and decoders are sequences of.

use super::layer::{Layer, LinearMap};
use crate::kernels::winograd::tiling::Tiling;
use std::ops::Range;

/// One stage of a [`Sequential`](super::sequential::Sequential): of layers with weights ([`Layer`]), or of plans
/// for them ([`LayerPlan`](super::layer::LayerPlan)).
#[derive(Debug, Clone, PartialEq)]
pub enum Stage<L> {
    /// A layer with weights.
    Layer(L),
    /// Dense layers, at least one, without activation or dropout, that read the same values; what they write is one
    /// after the other.
    Heads(Vec<L>),
    /// A grid of (rows, columns, channels) into a list of values, channel first.
    Flatten([usize; 3]),
    /// A list of values, channel first, into a grid of (rows, columns, channels).
    Unflatten([usize; 3]),
}

impl<L> Stage<L> {
    /// The layers with weights.
    pub fn layers(&self) -> &[L] {
        match self {
            Self::Layer(layer) => std::slice::from_ref(layer),
            Self::Heads(layers) => layers,
            Self::Flatten(_) | Self::Unflatten(_) => &[],
        }
    }

    /// The same stage of other layers: what `layer` makes of each.
    ///
    /// # Errors
    ///
    /// The first that `layer` gives.
    pub fn try_map<M, E>(&self, mut layer: impl FnMut(&L) -> Result<M, E>) -> Result<Stage<M>, E> {
        Ok(match self {
            Self::Layer(of) => Stage::Layer(layer(of)?),
            Self::Heads(of) => Stage::Heads(of.iter().map(layer).collect::<Result<_, E>>()?),
            Self::Flatten(grid) => Stage::Flatten(*grid),
            Self::Unflatten(grid) => Stage::Unflatten(*grid),
        })
    }
}

impl Stage<Layer> {
    /// The shape of an image after the stage.
    pub(super) fn output_shape(&self) -> Vec<usize> {
        match self {
            Self::Layer(layer) => layer.plan.map.output_shape(),
            Self::Heads(layers) => vec![layers.iter().map(|layer| layer.plan.map.outputs()).sum()],
            Self::Flatten(grid) => vec![grid.iter().product()],
            Self::Unflatten(grid) => grid.to_vec(),
        }
    }

    /// Values that an image has before the stage.
    pub(super) fn inputs(&self) -> usize {
        match self {
            Self::Layer(layer) => layer.plan.map.inputs(),
            Self::Heads(layers) => layers[0].plan.map.inputs(),
            Self::Flatten(grid) | Self::Unflatten(grid) => grid.iter().product(),
        }
    }

    /// Values that an image has after the stage.
    pub(super) fn outputs(&self) -> usize {
        self.output_shape().iter().product()
    }

    /// Whether the way back needs the slopes of its activation. Heads have none.
    pub(super) fn keeps_slopes(&self) -> bool {
        matches!(self, Self::Layer(layer) if layer.plan.activation.keeps_slopes())
    }

    /// Whether it is a convolution with so many weights that they are not read for each shard of images anew.
    pub(super) fn has_large_weights(&self) -> bool {
        let geometry = self.layers().iter().find_map(|layer| match layer.plan.map {
            LinearMap::Conv(geometry) | LinearMap::ConvTranspose(geometry) => Some(geometry),
            LinearMap::Dense { .. } => None,
        });
        let tiling = geometry.and_then(Tiling::of);
        tiling.is_some_and(|tiling| tiling.has_large_weights())
    }

    /// Whether it works on all images at once. Other stages work on each for itself.
    pub(super) fn takes_whole_batches(&self) -> bool {
        self.dense().is_some() || self.has_large_weights()
    }

    /// Whether it is dense and small enough to be prepared for inference, which takes it in one step with what flattens a
    /// grid before and makes a grid after it.
    pub(super) fn is_small_dense(&self) -> bool {
        self.dense().is_some() && self.inputs() * self.outputs() <= MOST_PREPARED
    }

    /// The layers, if they are dense.
    pub(super) fn dense(&self) -> Option<&[Layer]> {
        let dense = |layer: &Layer| matches!(layer.plan.map, LinearMap::Dense { .. });
        self.layers()
            .first()
            .is_some_and(dense)
            .then(|| self.layers())
    }
}

/// Weights of a dense stage that are put in order for inference, at most: with more of them, those who draw a few images
/// would wait longer for that than for the images.
const MOST_PREPARED: usize = 1 << 21;

/// Stages cut into segments: each that works on all images at once is one, and what lies between them.
pub(super) fn segments(stages: &[Stage<Layer>]) -> Vec<Range<usize>> {
    let mut first = 0;
    let together =
        |a: &Stage<Layer>, b: &Stage<Layer>| !a.takes_whole_batches() && !b.takes_whole_batches();
    let segment = |segment: &[Stage<Layer>]| {
        first += segment.len();
        first - segment.len()..first
    };
    stages.chunk_by(together).map(segment).collect()
}

/// [`segments`] as inference takes them, none of them empty: those of small dense stages with their neighbours that flatten
/// a grid or make one.
pub(super) fn inference_segments(stages: &[Stage<Layer>]) -> Vec<Range<usize>> {
    let mut cut: Vec<Range<usize>> = Vec::new();
    for segment in segments(stages) {
        let mut segment = cut.last().map_or(0, |last| last.end)..segment.end;
        if stages[segment.clone()].iter().any(Stage::is_small_dense) {
            if let Some(Stage::Unflatten(_)) = stages.get(segment.end) {
                segment.end += 1;
            }
            if let Some(last) = cut.last_mut()
                && let Some(Stage::Flatten(_)) = stages[last.clone()].last()
            {
                last.end -= 1;
                segment.start -= 1;
            }
        }
        cut.push(segment);
    }
    cut.retain(|segment| !segment.is_empty());
    cut
}

/// What is prepared together for inference: the stages of such a segment, and any other stage by itself.
pub(super) fn inference_steps(stages: &[Stage<Layer>]) -> Vec<Range<usize>> {
    let steps = inference_segments(stages).into_iter().flat_map(|segment| {
        let is_one = stages[segment.clone()].iter().any(Stage::is_small_dense);
        let each = if is_one { segment.len() } else { 1 };
        segment.step_by(each).map(move |first| first..first + each)
    });
    steps.collect()
}

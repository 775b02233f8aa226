//! What encoders and decoders are sequences of.

use super::layer::{Layer, LinearMap};
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

    /// The layers, if they are dense: those work on all images at once, other stages on each for itself.
    pub(super) fn dense(&self) -> Option<&[Layer]> {
        let dense = |layer: &Layer| matches!(layer.plan.map, LinearMap::Dense { .. });
        self.layers()
            .first()
            .is_some_and(dense)
            .then(|| self.layers())
    }
}

/// Stages cut into segments: each dense stage is one, and what lies between them.
pub(super) fn segments(stages: &[Stage<Layer>]) -> Vec<Range<usize>> {
    let mut first = 0;
    let together = |a: &Stage<Layer>, b: &Stage<Layer>| a.dense().is_none() && b.dense().is_none();
    let segment = |segment: &[Stage<Layer>]| {
        first += segment.len();
        first - segment.len()..first
    };
    stages.chunk_by(together).map(segment).collect()
}

//! Stages one after the other, as one differentiable operation.

use super::backend::Backend;
use super::candle_ops::{self, channels_first};
use super::criterion::Criterion;
use super::dropout::{Mode, mask};
use super::fused::{FusedOp, Inner, locked};
use super::gradient::Gradients;
use super::layer::{Layer, LayerPlan};
use super::primitive::{Prepared, Primitive};
use super::stage::{Stage, inference_steps};
use crate::kernels::buffers::Buffers;
use candle_core::{Result, Tensor, Var};
use std::sync::{Arc, Mutex};

/// Stages one after the other.
///
/// It keeps the gradients of one backward pass: it may be used once in what is differentiated.
#[derive(Debug, Clone)]
pub struct Sequential(Arc<Inner>);

impl Sequential {
    /// A sequence of `stages`, at least one. `number` tells its dropouts from those of other sequences of the
    /// model.
    pub fn new(stages: Vec<Stage<Layer>>, number: u64) -> Self {
        Self(Arc::new(Inner {
            stages,
            number,
            buffers: Buffers::default(),
            prepared: Mutex::default(),
        }))
    }

    /// A sequence of what is planned, with the values that `weights` gives for the name, the shape and the fan-in of
    /// each parameter.
    ///
    /// # Errors
    ///
    /// The first that `weights` gives.
    pub fn build<E: From<candle_core::Error>>(
        plans: &[Stage<LayerPlan>],
        number: u64,
        weights: &mut impl FnMut(&str, &[usize], usize) -> std::result::Result<Tensor, E>,
    ) -> std::result::Result<Self, E> {
        let stages = plans.iter();
        let stages = stages.map(|stage| stage.try_map(|plan| Layer::build(plan, weights)));
        let stages = stages.collect::<std::result::Result<_, E>>()?;
        Ok(Self::new(stages, number))
    }

    /// Prepares the weights once for all that the fused operation infers as long as the result is there, or until another
    /// such result is dropped. They must not change meanwhile.
    ///
    /// # Errors
    ///
    /// If they are not on the CPU.
    pub fn keep_prepared(&self) -> Result<KeptPrepared<'_>> {
        let Inner {
            stages, buffers, ..
        } = &*self.0;
        let mut prepared = vec![None; stages.len()];
        for step in inference_steps(stages) {
            let stages = &stages[step.clone()];
            if stages[0].dense().is_none() || stages[0].is_small_dense() {
                let primitive = Primitive::prepare(stages, false, buffers)?;
                prepared[step.start] = Some(Arc::new(primitive));
            }
        }
        *locked(&self.0.prepared) = prepared;
        Ok(KeptPrepared(self))
    }

    /// Every weight and bias with its name, in the order of the layers.
    pub fn parameters(&self) -> impl Iterator<Item = (String, Var)> {
        self.layers().flat_map(Layer::parameters)
    }

    /// The layers with weights.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.0.stages.iter().flat_map(Stage::layers)
    }

    /// Applies the stages.
    ///
    /// # Shapes
    ///
    /// - input: (images, ...) with as many values an image as the first stage reads
    /// - output: (images, ...) with the shape that the last stage writes
    pub fn forward(&self, input: &Tensor, mode: Mode, backend: Backend) -> Result<Tensor> {
        match self.layers().next() {
            Some(first) if backend == Backend::Fused => self.fused(first, input, None, mode),
            _ => self.forward_candle(input, mode),
        }
    }

    /// Applies the stages; how far each image's output is from its target.
    ///
    /// # Shapes
    ///
    /// - input: as of [`Sequential::forward`]
    /// - target: (images, values of an output)
    /// - output: as the criterion says
    ///
    /// No gradient is computed for `target`.
    pub fn errors(
        &self,
        input: &Tensor,
        target: &Tensor,
        criterion: Criterion,
        mode: Mode,
        backend: Backend,
    ) -> Result<Tensor> {
        match self.layers().next() {
            Some(first) if backend == Backend::Fused => {
                let target = (target.contiguous()?, criterion);
                self.fused(first, input, Some(target), mode)
            }
            _ => {
                let output = self.forward_candle(input, mode)?.flatten_from(1)?;
                criterion.errors_candle(&output, target)
            }
        }
    }

    /// The stages as one operation; if there is a target, the errors.
    fn fused(
        &self,
        first: &Layer,
        input: &Tensor,
        target: Option<(Tensor, Criterion)>,
        mode: Mode,
    ) -> Result<Tensor> {
        // The operation finds its weights by itself. One of them is its second argument so that candle knows
        // that there is something to differentiate by.
        let op = FusedOp::new(&self.0, mode, target);
        input.contiguous()?.apply_op2(&first.weight.value, op)
    }

    /// Takes the gradients that the last backward pass of the fused operation left with the parameters.
    pub fn collect_gradients(&self, gradients: &mut Gradients) {
        for layer in self.layers() {
            for parameter in [&layer.weight, &layer.bias] {
                if let Some(gradient) = parameter.take_gradient() {
                    gradients.insert(&parameter.value, gradient);
                }
            }
        }
    }

    /// [`Sequential::forward`] from candle's own operations.
    fn forward_candle(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        let Inner {
            stages,
            number,
            buffers,
            ..
        } = &*self.0;
        let mut values = input.clone();
        for (position, stage) in stages.iter().enumerate() {
            values = match stage {
                Stage::Layer(layer) => {
                    let output = candle_ops::layer(layer, &values)?;
                    let len = output.elem_count();
                    match mask(mode, stage, *number, position, len, buffers) {
                        Some(mask) => candle_ops::drop(&mask, &output.contiguous()?)?,
                        None => output,
                    }
                }
                Stage::Heads(layers) => {
                    let outputs = layers.iter().map(|layer| candle_ops::layer(layer, &values));
                    Tensor::cat(&outputs.collect::<Result<Vec<_>>>()?, 1)?
                }
                Stage::Flatten(grid) => channels_first(&values, *grid)?.flatten_from(1)?,
                Stage::Unflatten([rows, columns, channels]) => {
                    let grid = values.reshape((values.dim(0)?, *channels, *rows, *columns))?;
                    grid.permute((0, 2, 3, 1))?
                }
            };
        }
        Ok(values)
    }
}

/// Weights that stay prepared: see [`Sequential::keep_prepared`].
#[derive(Debug)]
#[must_use = "weights stay prepared no longer than this is there"]
pub struct KeptPrepared<'a>(&'a Sequential);

impl Drop for KeptPrepared<'_> {
    fn drop(&mut self) {
        *locked(&self.0.0.prepared) = Prepared::new();
    }
}

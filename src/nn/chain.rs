//! Layers one after the other, as one differentiable operation.
//!
//! candle's own `backward` zeroes and adds every gradient between two operations, so on the CPU a whole
//! encoder or decoder is one of them: what lies between its layers never leaves this module.

use super::buffers::Buffers;
use super::dropout::Mask;
use super::layer::Layer;
use super::{transpose, values, with_values};
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// Whether values are dropped on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Dropout is off.
    Inference,
    /// Dropout is on; which values it drops follows from the two numbers.
    Training {
        /// The seed of the run.
        seed: u64,
        /// The step of the run.
        step: u64,
    },
}

/// One stage of a chain.
#[derive(Debug, Clone)]
pub enum Stage {
    /// A layer with weights.
    Layer(Layer),
    /// A grid of (rows, columns, channels) into a list of values, channel first.
    Flatten([usize; 3]),
    /// A list of values, channel first, into a grid of (rows, columns, channels).
    Unflatten([usize; 3]),
}

impl Stage {
    /// The shape of an image after the stage.
    fn output_shape(&self) -> Vec<usize> {
        match self {
            Self::Layer(layer) => layer.map.output_shape(),
            Self::Flatten(grid) => vec![grid.iter().product()],
            Self::Unflatten(grid) => grid.to_vec(),
        }
    }

    /// Values that an image has before the stage.
    fn inputs(&self) -> usize {
        match self {
            Self::Layer(layer) => layer.map.inputs(),
            Self::Flatten(grid) | Self::Unflatten(grid) => grid.iter().product(),
        }
    }
}

/// Stages one after the other.
///
/// A chain keeps the gradients of one backward pass: it may be used once in what is differentiated.
#[derive(Debug, Clone)]
pub struct Chain(Arc<Links>);

#[derive(Debug)]
struct Links {
    stages: Vec<Stage>,
    /// Tells the dropouts of one chain from those of another.
    number: u64,
    buffers: Buffers,
}

impl Chain {
    /// A chain of `stages`, at least one. `number` tells its dropouts from those of other chains of the
    /// model.
    pub fn new(stages: Vec<Stage>, number: u64) -> Self {
        Self(Arc::new(Links {
            stages,
            number,
            buffers: Buffers::default(),
        }))
    }

    /// The layers with weights.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.0.stages.iter().filter_map(|stage| match stage {
            Stage::Layer(layer) => Some(layer),
            _ => None,
        })
    }

    /// Applies the stages.
    ///
    /// # Shapes
    ///
    /// - input: (images, ...) with as many values an image as the first stage reads
    /// - output: (images, ...) with the shape that the last stage writes
    pub fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        match self.layers().next() {
            Some(first) if input.device().is_cpu() => {
                let pass = Pass {
                    links: self.0.clone(),
                    mode,
                    kept: Mutex::default(),
                };
                // The operation finds its weights by itself. One of them is its second argument so that
                // candle knows that there is something to differentiate by.
                input.contiguous()?.apply_op2(&first.weight.value, pass)
            }
            _ => self.forward_with_candle(input, mode),
        }
    }

    /// Puts the gradients that the last backward pass left in the parameters where candle's operations
    /// would have put them.
    pub fn collect_gradients(&self, gradients: &mut GradStore) {
        for layer in self.layers() {
            for parameter in [&layer.weight, &layer.bias] {
                gradients.insert(&parameter.value, parameter.gradient.clone());
            }
        }
    }

    /// [`Chain::forward`] from candle's own operations: what serves devices other than the CPU.
    pub fn forward_with_candle(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut values = input.clone();
        for (position, stage) in self.0.stages.iter().enumerate() {
            values = match stage {
                Stage::Layer(layer) => {
                    let output = layer.with_candle(&values)?;
                    match self.0.mask(layer, mode, position, output.elem_count()) {
                        Some(mask) => mask.with_candle(&output.contiguous()?)?,
                        None => output,
                    }
                }
                Stage::Flatten(_) => values.permute((0, 3, 1, 2))?.flatten_from(1)?,
                Stage::Unflatten([rows, columns, channels]) => {
                    let grid = values.reshape((values.dim(0)?, *channels, *rows, *columns))?;
                    grid.permute((0, 2, 3, 1))?
                }
            };
        }
        Ok(values)
    }
}

impl Links {
    /// What a layer drops, if it drops anything now.
    fn mask(&self, layer: &Layer, mode: Mode, position: usize, len: usize) -> Option<Mask> {
        match mode {
            Mode::Training { seed, step } if layer.dropout > 0.0 => {
                let draw = (step << 16) | (self.number << 8) | position as u64;
                Some(Mask::new(layer.dropout, seed, draw, len))
            }
            _ => None,
        }
    }
}

/// One use of a chain, forward and perhaps backward.
struct Pass {
    links: Arc<Links>,
    mode: Mode,
    kept: Mutex<Vec<Kept>>,
}

/// What the backward pass needs of a stage.
struct Kept {
    /// Of all stages but the last, whose output candle keeps.
    output: Vec<f32>,
    mask: Option<Mask>,
}

impl Pass {
    /// Runs the stages, and keeps what the backward pass needs.
    fn run(&self, input: &[f32], images: usize) -> Result<Vec<f32>> {
        let mut all_kept: Vec<Kept> = Vec::new();
        for (position, stage) in self.links.stages.iter().enumerate() {
            let input = all_kept.last().map_or(input, |kept| &kept.output);
            let len = images * stage.output_shape().iter().product::<usize>();
            let mut output = self.links.buffers.take(len);
            let mut mask = None;
            match stage {
                Stage::Layer(layer) => {
                    layer.forward(input, &mut output)?;
                    mask = self.links.mask(layer, self.mode, position, len);
                    if let Some(mask) = &mask {
                        mask.apply(&mut output);
                    }
                }
                Stage::Flatten(grid) => channels_first(input, grid, &mut output),
                Stage::Unflatten(grid) => channels_last(input, grid, &mut output),
            }
            all_kept.push(Kept { output, mask });
        }
        let output = all_kept
            .last_mut()
            .map(|last| std::mem::take(&mut last.output));
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = all_kept;
        Ok(output.unwrap_or_default())
    }

    /// The chain rule from the last stage to the first; the gradient of the input, if it is wanted.
    fn run_back(
        &self,
        input: &[f32],
        output: &[f32],
        mut gradient: Vec<f32>,
        input_gradient: bool,
    ) -> Result<Option<Vec<f32>>> {
        let buffers = &self.links.buffers;
        let all_kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let images = input.len() / self.links.stages[0].inputs();
        for (position, stage) in self.links.stages.iter().enumerate().rev() {
            let first = position == 0;
            let last = position + 1 == self.links.stages.len();
            let input = if first {
                input
            } else {
                &all_kept[position - 1].output
            };
            let output = if last {
                output
            } else {
                &all_kept[position].output
            };
            let wanted = !first || input_gradient;
            let mut next = buffers.take(if wanted { images * stage.inputs() } else { 0 });
            match stage {
                Stage::Layer(layer) => {
                    let mask = all_kept[position].mask.as_ref();
                    if let Some(mask) = mask {
                        mask.apply(&mut gradient);
                    }
                    let scale = mask.map_or(1.0, |mask| mask.scale);
                    let to = wanted.then_some(next.as_mut_slice());
                    layer.backward(input, output, scale, &mut gradient, to)?;
                }
                Stage::Flatten(grid) => channels_last(&gradient, grid, &mut next),
                Stage::Unflatten(grid) => channels_first(&gradient, grid, &mut next),
            }
            buffers.give(std::mem::replace(&mut gradient, next));
        }
        Ok(input_gradient.then_some(gradient))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        for Kept { output, .. } in kept.drain(..) {
            self.links.buffers.give(output);
        }
    }
}

impl CustomOp2 for Pass {
    fn name(&self) -> &'static str {
        "chain"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        layout: &Layout,
        _anchor: &CpuStorage,
        _anchor_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let images = layout.dims()[0];
        let output = self.run(values(input, layout)?, images)?;
        let mut shape = vec![images];
        if let Some(stage) = self.links.stages.last() {
            shape.extend(stage.output_shape());
        }
        Ok((CpuStorage::F32(output), Shape::from(shape)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        _anchor: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let gradient = with_values(&gradient, |values| {
            let mut copy = self.links.buffers.take(values.len());
            copy.copy_from_slice(values);
            Ok(copy)
        })?;
        let input_gradient = with_values(input, |i| {
            with_values(output, |o| self.run_back(i, o, gradient, input.track_op()))
        })?;
        let to_tensor = |values| Tensor::from_vec(values, input.shape(), input.device());
        Ok((input_gradient.map(to_tensor).transpose()?, None))
    }
}

/// Grids with their channels last to grids with their channels first, image by image.
fn channels_first(from: &[f32], &[rows, columns, channels]: &[usize; 3], to: &mut [f32]) {
    transpose_images(from, rows * columns, channels, to);
}

/// Grids with their channels first to grids with their channels last, image by image.
fn channels_last(from: &[f32], &[rows, columns, channels]: &[usize; 3], to: &mut [f32]) {
    transpose_images(from, channels, rows * columns, to);
}

fn transpose_images(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    to.par_chunks_mut(rows * columns)
        .zip(from.par_chunks(rows * columns))
        .for_each(|(to, from)| transpose(from, rows, to));
}

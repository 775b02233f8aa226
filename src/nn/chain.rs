//! Layers one after the other, as one differentiable operation.
//!
//! candle's own `backward` zeroes and adds every gradient between two operations, so on the CPU a whole
//! encoder or decoder is one of them: what lies between its layers never leaves this module.

use super::buffers::{Buffer, Buffers};
use super::dropout::Mask;
use super::gradient::{Gradients, Input};
use super::layer::{Layer, Map, channels_first};
use super::squared_error::{squared_error, squared_error_gradient};
use super::work::Work;
use super::{Kernels, dense, lanes, values, with_values};
use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor, bail};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Whether values are dropped on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Dropout is off, and what only gradients need is not kept: there are none.
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
    /// Dense layers, at least one, without dropout, that read the same values; what they write is one after
    /// the other.
    Beside(Vec<Layer>),
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
            Self::Beside(layers) => vec![layers.iter().map(|layer| layer.map.outputs()).sum()],
            Self::Flatten(grid) => vec![grid.iter().product()],
            Self::Unflatten(grid) => grid.to_vec(),
        }
    }

    /// Values that an image has before the stage.
    pub(super) fn inputs(&self) -> usize {
        match self {
            Self::Layer(layer) => layer.map.inputs(),
            Self::Beside(layers) => layers[0].map.inputs(),
            Self::Flatten(grid) | Self::Unflatten(grid) => grid.iter().product(),
        }
    }

    /// Values that an image has after the stage.
    pub(super) fn outputs(&self) -> usize {
        self.output_shape().iter().product()
    }

    /// The layers with weights.
    fn layers(&self) -> &[Layer] {
        match self {
            Self::Layer(layer) => std::slice::from_ref(layer),
            Self::Beside(layers) => layers,
            Self::Flatten(_) | Self::Unflatten(_) => &[],
        }
    }

    /// The layers, if they are dense: those work on all images at once, other stages on each for itself.
    fn dense(&self) -> Option<&[Layer]> {
        let dense = |layer: &Layer| matches!(layer.map, Map::Dense { .. });
        self.layers()
            .first()
            .is_some_and(dense)
            .then(|| self.layers())
    }
}

/// Stages cut into runs: each dense stage is one, and what lies between them.
fn runs(stages: &[Stage]) -> Vec<Range<usize>> {
    let mut first = 0;
    let together = |a: &Stage, b: &Stage| a.dense().is_none() && b.dense().is_none();
    let run = |run: &[Stage]| {
        first += run.len();
        first - run.len()..first
    };
    stages.chunk_by(together).map(run).collect()
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
        self.0.stages.iter().flat_map(Stage::layers)
    }

    /// Applies the stages.
    ///
    /// # Shapes
    ///
    /// - input: (images, ...) with as many values an image as the first stage reads
    /// - output: (images, ...) with the shape that the last stage writes
    pub fn forward(&self, input: &Tensor, mode: Mode, kernels: Kernels) -> Result<Tensor> {
        match self.layers().next() {
            Some(first) if kernels == Kernels::Fused => self.fused(first, input, None, mode),
            _ => self.forward_with_candle(input, mode),
        }
    }

    /// Applies the stages; the sum of (output - target)² for each image.
    ///
    /// # Shapes
    ///
    /// - input: as of [`Chain::forward`]
    /// - target: (images, values of an output)
    /// - output: (images)
    ///
    /// No gradient is computed for `target`.
    pub fn squared_error(
        &self,
        input: &Tensor,
        target: &Tensor,
        mode: Mode,
        kernels: Kernels,
    ) -> Result<Tensor> {
        match self.layers().next() {
            Some(first) if kernels == Kernels::Fused => {
                self.fused(first, input, Some(target.contiguous()?), mode)
            }
            _ => {
                let output = self.forward_with_candle(input, mode)?;
                (output.flatten_from(1)? - target)?.sqr()?.sum(D::Minus1)
            }
        }
    }

    /// The stages as one operation, with the squared error if there is a target.
    fn fused(
        &self,
        first: &Layer,
        input: &Tensor,
        target: Option<Tensor>,
        mode: Mode,
    ) -> Result<Tensor> {
        let pass = Pass {
            links: self.0.clone(),
            mode,
            target,
            kept: Mutex::default(),
        };
        // The operation finds its weights by itself. One of them is its second argument so that candle knows
        // that there is something to differentiate by.
        input.contiguous()?.apply_op2(&first.weight.value, pass)
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

    /// [`Chain::forward`] from candle's own operations.
    fn forward_with_candle(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut values = input.clone();
        for (position, stage) in self.0.stages.iter().enumerate() {
            values = match stage {
                Stage::Layer(layer) => {
                    let output = layer.with_candle(&values)?;
                    match self.0.mask(mode, position, output.elem_count()) {
                        Some(mask) => mask.with_candle(&output.contiguous()?)?,
                        None => output,
                    }
                }
                Stage::Beside(layers) => {
                    let outputs = layers.iter().map(|layer| layer.with_candle(&values));
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

impl Links {
    /// What the stage at `position` drops, if it drops anything now.
    fn mask(&self, mode: Mode, position: usize, len: usize) -> Option<Mask> {
        match (&self.stages[position], mode) {
            (Stage::Layer(layer), Mode::Training { seed, step }) if layer.dropout > 0.0 => {
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
    /// What the output is compared with, if the error is asked for instead.
    target: Option<Tensor>,
    kept: Mutex<Vec<Kept>>,
}

/// What the backward pass needs of a stage.
pub(super) struct Kept {
    /// What it wrote, if somebody reads it again. The last output is kept by candle, unless candle is given its
    /// error instead.
    pub output: Buffer,
    /// What dropout dropped of it.
    pub mask: Option<Mask>,
    /// What the stage read, at the points of its tiles, if it is a tiled convolution.
    pub points: Option<Buffer>,
    /// The stage as it ran, if it works image by image.
    pub work: Option<Work>,
}

/// Stages, and what their backward pass needs.
pub(super) struct Back<'a> {
    pub stages: &'a [Stage],
    pub images: usize,
    /// What the first stage read.
    pub input: &'a [f32],
    /// What each stage wrote.
    pub outputs: &'a [&'a [f32]],
    pub kept: &'a [Kept],
    pub buffers: &'a Buffers,
}

impl Pass {
    /// Runs the stages; what they wrote, and what the backward pass needs.
    fn run(&self, input: &[f32], images: usize) -> Result<Vec<Kept>> {
        let Links {
            stages, buffers, ..
        } = &*self.links;
        let keep = |(position, stage): (usize, &Stage)| Kept {
            output: buffers.take(0),
            mask: (self.links).mask(self.mode, position, images * stage.outputs()),
            points: None,
            work: None,
        };
        let training = self.mode != Mode::Inference;
        let mut all_kept: Vec<Kept> = stages.iter().enumerate().map(keep).collect();
        for run in runs(stages) {
            let (before, kept) = all_kept[..run.end].split_at_mut(run.start);
            let input = before.last().map_or(input, |kept| &kept.output);
            match stages[run.start].dense() {
                Some(layers) => dense::forward(layers, input, images, &mut kept[0], buffers)?,
                None => lanes::forward(&stages[run], input, images, kept, training, buffers)?,
            }
        }
        Ok(all_kept)
    }

    /// The gradient of the last stage's output, from that of what candle was given.
    fn output_gradient(&self, kept: &[Kept], gradient: &Tensor) -> Result<Buffer> {
        let buffers = &self.links.buffers;
        let gradient = gradient.contiguous()?;
        with_values(&gradient, |gradient| match (&self.target, kept.last()) {
            (Some(target), Some(Kept { output, .. })) => with_values(target, |target| {
                let mut to = buffers.take(output.len());
                squared_error_gradient(output, target, gradient, &mut to);
                Ok(to)
            }),
            _ => {
                let mut copy = buffers.take(gradient.len());
                copy.copy_from_slice(gradient);
                Ok(copy)
            }
        })
    }

    /// The chain rule from the last stage to the first; the gradient of the input, if it is wanted. Leaves in
    /// `dense` the dense stages and the gradients of what they sum up. `output` is what candle was given.
    fn run_back(
        &self,
        input: &[f32],
        output: &[f32],
        kept: &[Kept],
        gradient: Buffer,
        input_gradient: bool,
        dense: &mut Vec<(usize, Buffer)>,
    ) -> Result<Option<Buffer>> {
        let Links {
            stages, buffers, ..
        } = &*self.links;
        let mut outputs: Vec<&[f32]> = kept.iter().map(|kept| &*kept.output).collect();
        if let (Some(last), None) = (outputs.last_mut(), &self.target) {
            *last = output;
        }
        let back = Back {
            stages,
            images: input.len() / stages[0].inputs(),
            input,
            outputs: &outputs,
            kept,
            buffers,
        };
        back.through(&runs(stages), gradient, input_gradient, dense)
    }
}

impl Back<'_> {
    /// The chain rule through `runs`, from the last to the first.
    fn through(
        &self,
        runs: &[Range<usize>],
        mut gradient: Buffer,
        input_gradient: bool,
        dense: &mut Vec<(usize, Buffer)>,
    ) -> Result<Option<Buffer>> {
        let Some((run, before)) = runs.split_last() else {
            return Ok(input_gradient.then_some(gradient));
        };
        let wanted = input_gradient || !before.is_empty();
        let back = self.of(run);
        let inputs = back.stages[0].inputs();
        let mut next = self
            .buffers
            .take(if wanted { self.images * inputs } else { 0 });
        let to = wanted.then_some(&mut next[..]);
        match back.stages[0].dense() {
            Some(layers) => {
                dense::backward(layers, &back, &mut gradient, to)?;
                dense.push((run.start, gradient));
                self.through(before, next, input_gradient, dense)
            }
            None => {
                let found = lanes::backward(&back, &mut gradient, to)?;
                // What nobody waits for gives a thread something to do where the others have too little.
                let (input_gradient, put) = rayon::join(
                    || self.through(before, next, input_gradient, dense),
                    || lanes::put_gradients(&back, found),
                );
                put.and(input_gradient)
            }
        }
    }

    /// The same for some of the stages.
    fn of(&self, run: &Range<usize>) -> Self {
        Self {
            stages: &self.stages[run.clone()],
            input: match run.start {
                0 => self.input,
                start => self.outputs[start - 1],
            },
            outputs: &self.outputs[run.clone()],
            kept: &self.kept[run.clone()],
            ..*self
        }
    }
}

/// [`squared_error`] with a target that must fit.
fn squared_errors(output: &[f32], target: &Tensor, outputs: usize) -> Result<Vec<f32>> {
    with_values(target, |target| match target.len() == output.len() {
        true => Ok(squared_error(output, target, outputs)),
        false => bail!("{} outputs for {} targets", output.len(), target.len()),
    })
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
        let stages = &self.links.stages;
        let mut kept = self.run(values(input, layout)?, images)?;
        let (mut output, mut shape) = (Vec::new(), vec![images]);
        if let (Some(last), Some(stage)) = (kept.last_mut(), stages.last()) {
            match &self.target {
                Some(target) => output = squared_errors(&last.output, target, stage.outputs())?,
                None => {
                    let nothing = self.links.buffers.take(0);
                    output = std::mem::replace(&mut last.output, nothing).into_vec();
                    shape.extend(stage.output_shape());
                }
            }
        }
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok((CpuStorage::F32(output), Shape::from(shape)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        _anchor: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut kept =
            std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        let gradient = self.output_gradient(&kept, gradient)?;
        let images = input.dim(0)?;
        let mut dense = Vec::new();
        let input_gradient = with_values(input, |i| {
            with_values(output, |o| {
                self.run_back(i, o, &kept, gradient, input.track_op(), &mut dense)
            })
        })?;
        for (number, gradient) in dense {
            // Nobody else reads any more what a dense stage read.
            let input = match number {
                0 => Input::First(input.clone()),
                number => {
                    let nothing = self.links.buffers.take(0);
                    Input::Between(std::mem::replace(&mut kept[number - 1].output, nothing))
                }
            };
            if let Some(layers) = self.links.stages[number].dense() {
                dense::put_products(layers, gradient, input, images);
            }
        }
        let to_tensor =
            |values: Buffer| Tensor::from_vec(values.into_vec(), input.shape(), input.device());
        Ok((input_gradient.map(to_tensor).transpose()?, None))
    }
}

//! A sequence of stages as one operation of candle's, forward and backward.
//!
//! candle's own `backward` zeroes and adds every gradient between two operations, so on the CPU a whole
//! encoder or decoder is one of them: what lies between its layers never leaves this crate.

use super::criterion::Criterion;
use super::dense;
use super::dropout::{Mode, mask};
use super::gradient::Values;
use super::layer::Layer;
use super::primitive::{Prepared, Primitive};
use super::saved::{BackwardContext, Saved};
use super::shards;
use super::stage::{Stage, inference_segments, segments};
use super::tensor::{values, with_values};
use super::tiled;
use crate::kernels::buffers::{Buffer, Buffers};
use crate::parallel::{beside, map};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a sequence is made of.
#[derive(Debug)]
pub(super) struct Inner {
    pub stages: Vec<Stage<Layer>>,
    /// Tells the dropouts of one sequence from those of another.
    pub number: u64,
    pub buffers: Buffers,
    /// What stays prepared for inference, if anything does.
    pub prepared: Mutex<Prepared>,
}

/// What a mutex guards; nothing here leaves that half done when it panics.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One use of a sequence, forward and perhaps backward.
pub(super) struct FusedOp {
    inner: Arc<Inner>,
    mode: Mode,
    /// What the output is compared with, if its errors are asked for instead.
    target: Option<(Tensor, Criterion)>,
    saved: Mutex<Vec<Saved>>,
}

/// Dense stages by their position, and the gradients of what they sum up.
type DenseGradients = Vec<(usize, Buffer)>;

impl FusedOp {
    pub(super) fn new(inner: &Arc<Inner>, mode: Mode, target: Option<(Tensor, Criterion)>) -> Self {
        Self {
            inner: inner.clone(),
            mode,
            target,
            saved: Mutex::default(),
        }
    }

    /// Runs the stages; what they wrote, and what the backward pass needs.
    fn forward(&self, input: &[f32], images: usize) -> Result<Vec<Saved>> {
        let Inner {
            stages,
            number,
            buffers,
            ..
        } = &*self.inner;
        let training = self.mode != Mode::Inference;
        let kept = match training {
            true => Prepared::new(),
            false => locked(&self.inner.prepared).clone(),
        };
        let save = |(position, stage): (usize, &Stage<Layer>)| Saved {
            output: buffers.take(0),
            slopes: (training && stage.keeps_slopes())
                .then(|| buffers.take(images * stage.outputs())),
            mask: mask(
                self.mode,
                stage,
                *number,
                position,
                images * stage.outputs(),
                buffers,
            ),
            transformed: None,
            primitive: kept.get(position).cloned().flatten(),
        };
        let mut all_saved: Vec<Saved> = stages.iter().enumerate().map(save).collect();
        let segments = match training {
            true => segments(stages),
            false => inference_segments(stages),
        };
        for (place, segment) in segments.iter().enumerate() {
            let (until, after) = all_saved.split_at_mut(segment.end);
            let (before, saved) = until.split_at_mut(segment.start);
            let input = before.last().map_or(input, |saved| &saved.output);
            let mut forward =
                || self.forward_segment(&stages[segment.clone()], input, images, saved);
            match self.next_to_prepare(&segments[place + 1..], after) {
                Some((stages, saved)) => {
                    let mut prepared = Ok(());
                    // To prepare weights is to read and write, mostly: other threads compute meanwhile.
                    beside(|| prepared = self.prepare(stages, saved), forward)?;
                    prepared?;
                }
                None => forward()?,
            }
        }
        Ok(all_saved)
    }

    /// The next of `segments` that is prepared before it runs, unless it is already. No other: its weights would be out of
    /// cache again before they are read. `saved` is of the stages of all segments.
    fn next_to_prepare<'a>(
        &'a self,
        segments: &[Range<usize>],
        mut saved: &'a mut [Saved],
    ) -> Option<(&'a [Stage<Layer>], &'a mut [Saved])> {
        for segment in segments {
            let (of_segment, after) = saved.split_at_mut(segment.len());
            let stages = &self.inner.stages[segment.clone()];
            if self.is_prepared(stages) {
                let unprepared = of_segment[0].primitive.is_none();
                return unprepared.then_some((stages, of_segment));
            }
            saved = after;
        }
        None
    }

    /// Whether a segment is prepared before it runs. Dense stages that are not take their weights as they are.
    fn is_prepared(&self, stages: &[Stage<Layer>]) -> bool {
        stages[0].dense().is_none() || self.is_small_dense(stages)
    }

    /// Whether a segment is dense, and one step of inference.
    fn is_small_dense(&self, stages: &[Stage<Layer>]) -> bool {
        self.mode == Mode::Inference && stages.iter().any(Stage::is_small_dense)
    }

    /// Prepares what is not prepared yet of a segment.
    fn prepare(&self, stages: &[Stage<Layer>], saved: &mut [Saved]) -> Result<()> {
        let (buffers, training) = (&self.inner.buffers, self.mode != Mode::Inference);
        let together = match self.is_small_dense(stages) {
            true => stages.len(),
            false => 1,
        };
        let steps = stages.chunks(together).zip(saved);
        let steps = steps.filter(|(_, saved)| saved.primitive.is_none());
        let prepared = map(steps, |(stages, saved)| {
            let primitive = Primitive::prepare(stages, training, buffers)?;
            saved.primitive = Some(Arc::new(primitive));
            Ok(())
        });
        prepared.into_iter().collect()
    }

    /// Runs the stages of a segment.
    fn forward_segment(
        &self,
        stages: &[Stage<Layer>],
        input: &[f32],
        images: usize,
        saved: &mut [Saved],
    ) -> Result<()> {
        let (buffers, training) = (&self.inner.buffers, self.mode != Mode::Inference);
        if self.is_prepared(stages) {
            self.prepare(stages, saved)?;
        }
        let primitives: Vec<_> = saved.iter().filter_map(|s| s.primitive.clone()).collect();
        match (stages[0].dense(), &primitives[..], &mut *saved) {
            (_, [primitive], [.., last]) if self.is_small_dense(stages) => {
                last.output = buffers.take(images * stages[stages.len() - 1].outputs());
                primitive.forward(input, &mut last.output, None, None);
                Ok(())
            }
            (Some(layers), _, [saved]) => dense::forward(layers, input, images, saved, buffers),
            (None, [primitive], [saved]) if stages[0].has_large_weights() => tiled::forward(
                &stages[0], primitive, input, images, saved, training, buffers,
            ),
            _ => shards::forward(stages, &primitives, input, images, saved, training, buffers),
        }?;
        if !training {
            saved.iter_mut().for_each(|saved| saved.primitive = None);
        }
        Ok(())
    }

    /// The gradient of the last stage's output, from that of what candle was given.
    fn output_gradient(&self, saved: &[Saved], gradient: &Tensor) -> Result<Buffer> {
        let buffers = &self.inner.buffers;
        let gradient = gradient.contiguous()?;
        with_values(&gradient, |gradient| match (&self.target, saved.last()) {
            (Some((target, criterion)), Some(Saved { output, .. })) => {
                with_values(target, |target| {
                    let mut to = buffers.take(output.len());
                    criterion.gradient(output, target, gradient, &mut to);
                    Ok(to)
                })
            }
            _ => {
                let mut copy = buffers.take(gradient.len());
                copy.copy_from_slice(gradient);
                Ok(copy)
            }
        })
    }

    /// The chain rule from the last stage to the first; the gradient of the input, if it is wanted, and those of the
    /// dense stages. `output` is what candle was given, `gradient` that of the last stage's output.
    fn backward(
        &self,
        input: &[f32],
        output: &[f32],
        saved: &[Saved],
        gradient: Buffer,
        input_gradient: bool,
    ) -> Result<(Option<Buffer>, DenseGradients)> {
        let Inner {
            stages, buffers, ..
        } = &*self.inner;
        let mut outputs: Vec<&[f32]> = saved.iter().map(|saved| &*saved.output).collect();
        if let (Some(last), None) = (outputs.last_mut(), &self.target) {
            *last = output;
        }
        let context = BackwardContext {
            stages,
            images: input.len() / stages[0].inputs(),
            input,
            outputs: &outputs,
            saved,
            buffers,
        };
        let mut dense = Vec::new();
        let segments = segments(stages);
        let input_gradient =
            backward_segments(&context, &segments, gradient, input_gradient, &mut dense)?;
        Ok((input_gradient, dense))
    }

    /// Leaves the gradients of dense stages' weights with them.
    fn set_dense_gradients(
        &self,
        dense: DenseGradients,
        mut saved: Vec<Saved>,
        input: &Tensor,
    ) -> Result<()> {
        let images = input.dim(0)?;
        for (position, gradient) in dense {
            // Nobody else reads any more what a dense stage read.
            let read = match position {
                0 => Values::Tensor(input.clone()),
                position => {
                    let nothing = self.inner.buffers.take(0);
                    let output = &mut saved[position - 1].output;
                    Values::Buffer(std::mem::replace(output, nothing))
                }
            };
            if let Some(layers) = self.inner.stages[position].dense() {
                dense::set_deferred_gradients(layers, gradient, read, images);
            }
        }
        Ok(())
    }
}

/// The chain rule through `segments`, from the last to the first. Leaves in `dense` the dense stages and the gradients
/// of what they sum up.
fn backward_segments(
    context: &BackwardContext,
    segments: &[Range<usize>],
    mut gradient: Buffer,
    input_gradient: bool,
    dense: &mut DenseGradients,
) -> Result<Option<Buffer>> {
    let Some((segment, before)) = segments.split_last() else {
        return Ok(input_gradient.then_some(gradient));
    };
    let wanted = input_gradient || !before.is_empty();
    let of_segment = context.segment(segment);
    let inputs = of_segment.stages[0].inputs();
    let len = if wanted { context.images * inputs } else { 0 };
    let mut next = context.buffers.take(len);
    let to = wanted.then_some(&mut next[..]);
    match of_segment.stages[0].dense() {
        Some(layers) => {
            dense::backward(layers, &of_segment, &mut gradient, to)?;
            dense.push((segment.start, gradient));
            backward_segments(context, before, next, input_gradient, dense)
        }
        None => {
            let found = match of_segment.stages[0].has_large_weights() {
                true => tiled::backward(&of_segment, &mut gradient, to)?,
                false => shards::backward(&of_segment, &mut gradient, to)?,
            };
            let set_gradients = || shards::set_gradients(&of_segment, found);
            let go_on = || backward_segments(context, before, next, input_gradient, dense);
            if let [last] = before
                && !context.stages[last.start].takes_whole_batches()
            {
                // Few long tasks, after which there is nothing else: all threads must come to them at once.
                let input_gradient = go_on()?;
                set_gradients();
                return Ok(input_gradient);
            }
            // What nobody waits for gives a thread something to do where the others have too little.
            beside(set_gradients, go_on)
        }
    }
}

/// The errors of outputs, of which an image has `outputs`, with a target that must fit.
fn errors(
    criterion: Criterion,
    output: &[f32],
    target: &Tensor,
    outputs: usize,
) -> Result<Vec<f32>> {
    with_values(target, |target| match target.len() == output.len() {
        true => Ok(criterion.errors(output, target, outputs)),
        false => bail!("{} outputs for {} targets", output.len(), target.len()),
    })
}

impl CustomOp2 for FusedOp {
    fn name(&self) -> &'static str {
        "sequential"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        layout: &Layout,
        _anchor: &CpuStorage,
        _anchor_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let images = layout.dims()[0];
        let stages = &self.inner.stages;
        let mut saved = self.forward(values(input, layout)?, images)?;
        let (mut output, mut shape) = (Vec::new(), vec![images]);
        if let (Some(last), Some(stage)) = (saved.last_mut(), stages.last()) {
            match &self.target {
                Some((target, criterion)) => {
                    output = errors(*criterion, &last.output, target, stage.outputs())?;
                    shape = criterion.shape(images);
                }
                None => {
                    let nothing = self.inner.buffers.take(0);
                    output = std::mem::replace(&mut last.output, nothing).into_vec();
                    shape.extend(stage.output_shape());
                }
            }
        }
        *locked(&self.saved) = saved;
        Ok((CpuStorage::F32(output), Shape::from(shape)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        _anchor: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let saved = std::mem::take(&mut *locked(&self.saved));
        let gradient = self.output_gradient(&saved, gradient)?;
        let (input_gradient, dense) = with_values(input, |i| {
            with_values(output, |o| {
                self.backward(i, o, &saved, gradient, input.track_op())
            })
        })?;
        self.set_dense_gradients(dense, saved, input)?;
        let to_tensor =
            |values: Buffer| Tensor::from_vec(values.into_vec(), input.shape(), input.device());
        Ok((input_gradient.map(to_tensor).transpose()?, None))
    }
}

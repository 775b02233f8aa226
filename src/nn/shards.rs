//! Stages that work image by image, one after the other.
//!
//! A batch is cut into shards of whole images, whatever the number of threads. A thread takes a
//! shard through all of the stages, so that what one leaves is still in cache for the next. What shards
//! sum is added in their order. So the results do not depend on the threads.

use super::layer::Layer;
use super::primitive::{Primitive, WeightGradients};
use super::saved::{BackwardContext, Saved};
use super::stage::Stage;
use crate::kernels::buffers::{Buffer, Buffers};
use crate::kernels::dropout::Mask;
use crate::kernels::winograd::layout::{
    Sizes, TransformedTiles, scaled, split_views_mut, storage_len,
};
use crate::parallel::for_each;
use candle_core::{Result, bail};
use std::sync::Arc;

/// The number of shards that a batch is cut into at least, if it has as many images.
const SHARDS: usize = 16;
/// Images of a shard at most: with more, what one stage leaves is out of the cache before the next reads it.
const MOST_IMAGES: usize = 8;
/// Images of a shard at most where there are no gradients to be summed up: as many as suit a core's cache.
const INFERENCE_IMAGES: usize = 6;

/// Images that a shard has, of a batch of `images`.
fn shard_images(images: usize) -> usize {
    images.div_ceil(SHARDS).clamp(1, MOST_IMAGES)
}

/// Where a shard writes on its way, of each stage.
#[derive(Default)]
struct Shard<'a> {
    /// The outputs that are saved.
    outputs: Vec<Option<&'a mut [f32]>>,
    slopes: Vec<Option<&'a mut [f32]>>,
    transformed: Vec<Option<TransformedTiles<'a>>>,
}

/// Runs `stages` on `images` images, and leaves their outputs in `saved`; with `training` also what their
/// backward pass needs.
pub(super) fn forward(
    stages: &[Stage<Layer>],
    primitives: &[Arc<Primitive>],
    input: &[f32],
    images: usize,
    saved: &mut [Saved],
    training: bool,
    buffers: &Buffers,
) -> Result<()> {
    let shard = match training {
        true => shard_images(images),
        false => shard_images(images).min(INFERENCE_IMAGES),
    };
    let outputs: Vec<_> = stages.iter().map(Stage::outputs).collect();
    for (position, saved) in saved.iter_mut().enumerate() {
        if is_read_again(primitives, position, training) {
            saved.output = buffers.take(images * outputs[position]);
        }
    }
    let sizes: Vec<_> = primitives.iter().map(|p| sizes(p, training)).collect();
    for (saved, sizes) in saved.iter_mut().zip(&sizes) {
        saved.transformed = take_tiles(sizes.as_ref(), images, buffers);
    }
    let mut masks = Vec::new();
    let mut shards: Vec<Shard> = (0..images)
        .step_by(shard)
        .map(|_| Shard::default())
        .collect();
    for ((saved, sizes), outputs) in saved.iter_mut().zip(&sizes).zip(&outputs) {
        let mut parts = saved.output.chunks_mut(shard * outputs);
        let slopes = saved.slopes.as_deref_mut().unwrap_or_default();
        let mut slopes = slopes.chunks_mut(shard * outputs);
        let transformed = saved.transformed.as_deref_mut();
        let transformed = split_by_shard(transformed, sizes.as_ref(), images, shard);
        for (shard, transformed) in shards.iter_mut().zip(transformed) {
            shard.outputs.push(parts.next());
            shard.slopes.push(slopes.next());
            shard.transformed.push(transformed);
        }
        masks.push(saved.mask.as_ref());
    }
    let inputs = input.chunks(shard * (input.len() / images));
    let shards = shards.into_iter().zip(inputs).enumerate();
    for_each(shards, |(number, (to, input))| {
        let pass = ForwardPass {
            primitives,
            masks: &masks,
            outputs: &outputs,
            buffers,
        };
        pass.run(number * shard, to, input, input.len() / stages[0].inputs());
    });
    Ok(())
}

/// Whether anybody reads again what a stage writes: the backward pass, or who comes after the last stage.
fn is_read_again(primitives: &[Arc<Primitive>], position: usize, training: bool) -> bool {
    match primitives.get(position + 1) {
        Some(next) => training && (primitives[position].reads_output() || next.reads_input()),
        None => true,
    }
}

/// The sizes of the transformed input of an image, if it is saved.
fn sizes(primitive: &Primitive, training: bool) -> Option<Sizes> {
    let tiled = primitive.tiled().filter(|_| training);
    tiled.map(|(convolution, tiling)| tiling.sizes(convolution.input))
}

/// What all shards of a forward pass have in common.
struct ForwardPass<'a> {
    primitives: &'a [Arc<Primitive>],
    masks: &'a [Option<&'a Mask>],
    /// Values that an image has after each stage.
    outputs: &'a [usize],
    buffers: &'a Buffers,
}

impl ForwardPass<'_> {
    /// Takes the images of a shard, from `first` on, through all stages.
    fn run<'a>(&self, first: usize, shard: Shard<'a>, mut input: &'a [f32], images: usize) {
        let step = |position: usize, input: &[f32], output: &mut [f32], slopes, transformed| {
            self.primitives[position].forward(input, output, slopes, transformed);
            if let Some(mask) = self.masks[position] {
                mask.apply(first * self.outputs[position], output);
            }
        };
        let mut between: Option<Buffer> = None;
        let places = shard.outputs.into_iter().zip(shard.slopes);
        let places = places.zip(shard.transformed).enumerate();
        for (position, ((output, slopes), transformed)) in places {
            let from = between.as_deref().unwrap_or(input);
            if let Some(output) = output {
                step(position, from, output, slopes, transformed);
                (input, between) = (output, None);
            } else {
                let mut output = self.buffers.take(images * self.outputs[position]);
                step(position, from, &mut output, slopes, transformed);
                between = Some(output);
            }
        }
    }
}

/// Where the transformed tiles of all images have room, if there are any: they take `sizes` an image.
fn take_tiles(sizes: Option<&Sizes>, images: usize, buffers: &Buffers) -> Option<Buffer> {
    sizes.map(|sizes| buffers.take(storage_len(&scaled(sizes, images))))
}

/// For each shard its part of the place for a stage's transformed tiles, which take `sizes` an image.
fn split_by_shard<'a>(
    tiles: Option<&'a mut [f32]>,
    sizes: Option<&Sizes>,
    images: usize,
    shard: usize,
) -> Vec<Option<TransformedTiles<'a>>> {
    match (tiles, sizes) {
        (Some(tiles), Some(sizes)) => {
            split_views_mut(tiles, &scaled(sizes, images), &scaled(sizes, shard))
                .into_iter()
                .map(Some)
                .collect()
        }
        _ => (0..images).step_by(shard).map(|_| None).collect(),
    }
}

/// Where a shard writes on its way back.
struct BackwardShard<'a> {
    gradient: &'a mut [f32],
    input_gradient: Option<&'a mut [f32]>,
    /// Of each stage.
    transformed: Vec<Option<TransformedTiles<'a>>>,
}

/// What the gradients of the parameters are made of, for each stage: those that shards found, and the transformed
/// gradient of the output.
pub(super) struct ShardGradients {
    pub shards: Vec<Vec<Option<WeightGradients>>>,
    pub transformed: Vec<Option<Buffer>>,
}

/// Fills the gradient of the input, if it is wanted, and finds what the gradients of the parameters are made of.
/// `gradient` is that of the last output; it does not survive.
pub(super) fn backward(
    context: &BackwardContext,
    gradient: &mut [f32],
    input_gradient: Option<&mut [f32]>,
) -> Result<ShardGradients> {
    let (images, buffers) = (context.images, context.buffers);
    let primitives = context.saved.iter().map(|saved| saved.primitive.as_deref());
    let Some(primitives) = primitives.collect::<Option<Vec<_>>>() else {
        bail!("gradients need a forward pass in training mode");
    };
    let shard = shard_images(images);
    let (inputs, outputs) = (context.input.len() / images, gradient.len() / images);
    let mut input_gradients = input_gradient.map(|to| to.chunks_mut(shard * inputs));
    let gradients = gradient.chunks_mut(shard * outputs);
    let mut shards: Vec<_> = gradients
        .map(|gradient| BackwardShard {
            gradient,
            input_gradient: input_gradients.as_mut().and_then(Iterator::next),
            transformed: Vec::new(),
        })
        .collect();
    let sizes = primitives.iter().map(|primitive| primitive.tiled());
    let sizes: Vec<_> = sizes
        .map(|tiled| tiled.map(|(c, tiling)| tiling.sizes(c.output)))
        .collect();
    let take = |sizes: &Option<Sizes>| take_tiles(sizes.as_ref(), images, buffers);
    let mut transformed: Vec<_> = sizes.iter().map(take).collect();
    for (sizes, transformed) in sizes.iter().zip(&mut transformed) {
        let parts = split_by_shard(transformed.as_deref_mut(), sizes.as_ref(), images, shard);
        for (shard, part) in shards.iter_mut().zip(parts) {
            shard.transformed.push(part);
        }
    }
    let mut gradients: Vec<_> = shards.iter().map(|_| Vec::new()).collect();
    let shards = shards.into_iter().zip(&mut gradients).enumerate();
    for_each(shards, |(number, (state, gradients))| {
        *gradients = backward_shard(context, &primitives, number * shard, state);
    });
    Ok(ShardGradients {
        shards: gradients,
        transformed,
    })
}

/// Leaves the gradients of the parameters with them.
pub(super) fn set_gradients(context: &BackwardContext, mut gradients: ShardGradients) {
    let stages = context.saved.iter().zip(&gradients.transformed).enumerate();
    for (position, (saved, gradient)) in stages {
        if let Some(Primitive::Convolution(convolution)) = saved.primitive.as_deref() {
            let parts = gradients.shards.iter_mut();
            let parts = parts.filter_map(|shard| shard[position].take()).unzip();
            let transformed = saved.transformed.as_deref().zip(gradient.as_deref());
            convolution.set_gradients(parts, transformed, context.images, context.buffers);
        }
    }
}

/// The way back of a shard's images, from `first` on.
fn backward_shard(
    context: &BackwardContext,
    primitives: &[&Primitive],
    first: usize,
    mut shard: BackwardShard,
) -> Vec<Option<WeightGradients>> {
    let images = shard_images(context.images).min(context.images - first);
    let part = |len: usize| first * len..(first + images) * len;
    let mut gradients: Vec<_> = primitives.iter().map(|_| None).collect();
    let mut between: Option<Buffer> = None;
    for (position, stage) in context.stages.iter().enumerate().rev() {
        let input = match position {
            0 => context.input,
            _ => context.outputs[position - 1],
        };
        // Where nobody reads them again they were not saved.
        let input = input.get(part(stage.inputs())).unwrap_or_default();
        let kept = context.kept(position).get(part(stage.outputs()));
        let mut next = (position > 0).then(|| context.buffers.take(images * stage.inputs()));
        let gradient = between.as_deref_mut().unwrap_or(&mut *shard.gradient);
        let to = match &mut next {
            Some(next) => Some(&mut next[..]),
            None => shard.input_gradient.take(),
        };
        let mask = context.saved[position].mask.as_ref();
        if let Some(mask) = mask {
            mask.apply(first * stage.outputs(), gradient);
        }
        let kept = (
            kept.unwrap_or_default(),
            mask.map_or(1.0, |mask| mask.scale),
        );
        let transformed = shard.transformed[position].take();
        gradients[position] = primitives[position].backward(input, kept, gradient, to, transformed);
        between = next;
    }
    gradients
}

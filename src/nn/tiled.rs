//! Convolutions in the Winograd domain with large weights, forward and backward over all images of a batch.
//!
//! Such layers have many channels and few tiles an image: their weights are larger than what a shard of the batch reads
//! and writes. So grids are transformed some images at a time, and products are made point by point of all images.

use super::layer::Layer;
use super::primitive::{Convolution, Primitive};
use super::saved::{BackwardContext, Saved};
use super::shards::ShardGradients;
use super::stage::Stage;
use crate::kernels::buffers::{Buffer, Buffers};
use crate::kernels::geometry::Grid;
use crate::kernels::winograd::layout::{TransformedTiles, scaled, split_views_mut, storage_len};
use crate::kernels::winograd::tiling::Tiling;
use crate::parallel::{for_each, map};
use candle_core::{Result, bail};

/// Images that a thread transforms at a time.
const IMAGES: usize = 4;

/// Runs the stage on `images` images, and leaves its output in `saved`; with `training` also what its backward pass
/// needs.
pub(super) fn forward(
    stage: &Stage<Layer>,
    primitive: &Primitive,
    input: &[f32],
    images: usize,
    saved: &mut Saved,
    training: bool,
    buffers: &Buffers,
) -> Result<()> {
    let (convolution, batch) = tiled(primitive, images)?;
    let (inputs, outputs) = (IMAGES * stage.inputs(), IMAGES * stage.outputs());
    let mut from = batch.take(convolution.input, buffers);
    let blocks = batch.blocks(convolution.input, &mut from);
    for_each(blocks.zip(input.chunks(inputs)), |(mut tiles, input)| {
        batch.tiling.transform(convolution.input, input, &mut tiles);
    });
    let mut to = batch.take(convolution.output, buffers);
    batch.products(convolution.output, &from, &convolution.weight, &mut to);
    saved.output = buffers.take(images * stage.outputs());
    let mut slopes = saved
        .slopes
        .as_deref_mut()
        .map(|slopes| slopes.chunks_mut(outputs));
    let blocks = batch.blocks(convolution.output, &mut to);
    let blocks = blocks.zip(saved.output.chunks_mut(outputs));
    let blocks = blocks.map(|block| (block, slopes.as_mut().and_then(Iterator::next)));
    for_each(blocks.enumerate(), |(number, ((tiles, output), slopes))| {
        batch
            .tiling
            .transform_back(convolution.output, &tiles, output);
        convolution
            .activation
            .apply(output, &convolution.bias, slopes);
        if let Some(mask) = &saved.mask {
            mask.apply(number * outputs, output);
        }
    });
    if training {
        saved.transformed = Some(from);
    }
    Ok(())
}

/// Fills the gradient of the input, if it is wanted, and finds what the gradients of the parameters are made of.
/// `gradient` is that of the output; it does not survive.
pub(super) fn backward(
    context: &BackwardContext,
    gradient: &mut [f32],
    input_gradient: Option<&mut [f32]>,
) -> Result<ShardGradients> {
    let (saved, stage) = (&context.saved[0], &context.stages[0]);
    let Some(primitive) = &saved.primitive else {
        bail!("gradients need a forward pass in training mode");
    };
    let (convolution, batch) = tiled(primitive, context.images)?;
    let (inputs, outputs) = (IMAGES * stage.inputs(), IMAGES * stage.outputs());
    let scale = saved.mask.as_ref().map_or(1.0, |mask| mask.scale);
    let mut transformed = batch.take(convolution.output, context.buffers);
    let blocks = batch.blocks(convolution.output, &mut transformed);
    let blocks = blocks
        .zip(gradient.chunks_mut(outputs))
        .zip(context.kept(0).chunks(outputs));
    let biases = map(
        blocks.enumerate(),
        |(number, ((mut tiles, gradient), kept))| {
            if let Some(mask) = &saved.mask {
                mask.apply(number * outputs, gradient);
            }
            let mut biases = vec![0.0; convolution.bias.len()];
            convolution
                .activation
                .backward(kept, scale, gradient, &mut biases);
            batch
                .tiling
                .transform(convolution.output, gradient, &mut tiles);
            biases
        },
    );
    if let Some(to) = input_gradient {
        let mut back = batch.take(convolution.input, context.buffers);
        batch.products(
            convolution.input,
            &transformed,
            &convolution.weight,
            &mut back,
        );
        let blocks = batch.blocks(convolution.input, &mut back);
        for_each(blocks.zip(to.chunks_mut(inputs)), |(tiles, to)| {
            batch.tiling.transform_back(convolution.input, &tiles, to);
        });
    }
    Ok(ShardGradients {
        shards: biases
            .into_iter()
            .map(|biases| vec![Some((Vec::new(), biases))])
            .collect(),
        transformed: vec![Some(transformed)],
    })
}

fn tiled(primitive: &Primitive, images: usize) -> Result<(&Convolution, Batch)> {
    match primitive.tiled() {
        Some((convolution, tiling)) => Ok((convolution, Batch { tiling, images })),
        None => bail!("only tiled convolutions work on whole batches"),
    }
}

/// The transformed grids of a batch.
struct Batch {
    tiling: Tiling,
    images: usize,
}

impl Batch {
    /// Where those of all images have room.
    fn take(&self, grid: Grid, buffers: &Buffers) -> Buffer {
        buffers.take(storage_len(&scaled(&self.tiling.sizes(grid), self.images)))
    }

    /// Those of [`IMAGES`] images each.
    fn blocks<'a>(
        &self,
        grid: Grid,
        all: &'a mut [f32],
    ) -> impl Iterator<Item = TransformedTiles<'a>> {
        let sizes = self.tiling.sizes(grid);
        let all = split_views_mut(all, &scaled(&sizes, self.images), &scaled(&sizes, IMAGES));
        all.into_iter()
    }

    fn products(&self, target: Grid, from: &[f32], weights: &[f32], to: &mut [f32]) {
        self.tiling
            .products_on_all_threads(target, self.images, from, weights, to);
    }
}

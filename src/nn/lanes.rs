//! Stages that work image by image, one after the other.
//!
//! A batch is cut into `LANES` groups of whole images, whatever the number of threads. A thread takes a
//! group through all of the stages, so that what one leaves is still in cache for the next. What groups
//! sum is added in their order. So the results do not depend on the threads.

use super::buffers::Buffers;
use super::chain::{Back, Kept, Stage};
use super::convolution::Geometry;
use super::layer::{Layer, Map};
use super::points::{Points, points, points_by, room};
use super::transpose::transpose;
use super::winograd::Tiling;
use super::{column_sums, sum_in_order, with_scratch, with_values, with_values_mut};
use candle_core::{Result, bail};
use rayon::prelude::*;

/// The number of groups that a batch is cut into.
const LANES: usize = 16;

/// Images that a lane has, of a batch of `images`.
fn lane_images(images: usize) -> usize {
    images.div_ceil(LANES).max(1)
}

/// A stage, ready to run: with its weights in the order that its products want.
enum Work<'a> {
    Conv(Convolution<'a>),
    ConvTranspose(Convolution<'a>),
    /// Matrices to turn, one an image: their rows and columns.
    Transpose(usize, usize),
}

struct Convolution<'a> {
    layer: &'a Layer,
    geometry: Geometry,
    tiling: Option<Tiling>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// A lane's part of the gradients of a stage's weights, in the order of `Wᵀ`, and biases. Where the
/// convolution is tiled there are no weights: they come from all lanes' points at once.
type Gradients = (Vec<f32>, Vec<f32>);

/// A lane's part of the two grids of a tiled convolution, at the points.
struct LanePoints<'a> {
    large: Points<'a>,
    small: Points<'a>,
}

impl<'a> Work<'a> {
    /// A stage for the way from inputs to outputs.
    fn there(stage: &'a Stage, buffers: &Buffers) -> Result<Self> {
        Self::new(stage, buffers, |map| matches!(map, Map::Conv(_)))
    }

    /// A stage for the way from the outputs' gradients to the inputs'.
    fn back(stage: &'a Stage, buffers: &Buffers) -> Result<Self> {
        Self::new(stage, buffers, |map| matches!(map, Map::ConvTranspose(_)))
    }

    /// A layer whose map is one that `gathers` gets its weights as `Wᵀ`, another as `W`.
    fn new(stage: &'a Stage, buffers: &Buffers, gathers: fn(&Map) -> bool) -> Result<Self> {
        let convolution = |layer: &'a Layer, geometry: Geometry| {
            let tiling = Tiling::of(geometry);
            let order = |weight: &[f32]| match (gathers(&layer.map), tiling) {
                (true, None) => geometry.transposed_patch_order(weight),
                (false, None) => geometry.patch_order(weight),
                (true, Some(t)) => {
                    t.gather_weights(&geometry.transposed_patch_order(weight), buffers)
                }
                (false, Some(t)) => t.scatter_weights(&geometry.patch_order(weight), buffers),
            };
            candle_core::Result::Ok(Convolution {
                layer,
                geometry,
                tiling,
                weight: with_values(&layer.weight.value, |weight| Ok(order(weight)))?,
                bias: with_values(&layer.bias.value, |bias| Ok(bias.to_vec()))?,
            })
        };
        Ok(match stage {
            Stage::Layer(layer) => match layer.map {
                Map::Conv(g) => Self::Conv(convolution(layer, g)?),
                Map::ConvTranspose(g) => Self::ConvTranspose(convolution(layer, g)?),
                Map::Dense { .. } => bail!("a dense layer works on whole batches"),
            },
            Stage::Flatten([rows, columns, channels]) => Self::Transpose(rows * columns, *channels),
            Stage::Unflatten([rows, columns, channels]) => {
                Self::Transpose(*channels, rows * columns)
            }
        })
    }

    /// Gives its weights' place back.
    fn give(self, buffers: &Buffers) {
        if let Self::Conv(c) | Self::ConvTranspose(c) = self {
            buffers.give(c.weight);
        }
    }

    fn tiling(&self) -> Option<Tiling> {
        match self {
            Self::Conv(c) | Self::ConvTranspose(c) => c.tiling,
            Self::Transpose(..) => None,
        }
    }

    fn run(&self, input: &[f32], output: &mut [f32]) {
        match self {
            Self::Conv(c) => c.gather(input, output),
            Self::ConvTranspose(c) => c.scatter(input, output),
            Self::Transpose(rows, columns) => turn(input, *rows, *columns, output),
        }
    }

    /// `gradient` is that of the output; it does not survive. `output` is what [`Work::run`] gave, times
    /// `scale` where dropout kept it; where it did not, the gradient is 0 already.
    fn run_back(
        &self,
        input: &[f32],
        (output, scale): (&[f32], f32),
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        points: Option<LanePoints>,
    ) -> Option<Gradients> {
        let start = |c: &Convolution, gradient: &mut [f32]| {
            c.layer.activation.backward(output, scale, gradient);
            column_sums(gradient, c.bias.len())
        };
        match self {
            Self::Conv(c) => {
                let biases = start(c, gradient);
                let weights = c.conv_back(input, gradient, input_gradient, points);
                Some((weights, biases))
            }
            Self::ConvTranspose(c) => {
                let biases = start(c, gradient);
                let weights = c.conv_transpose_back(input, gradient, input_gradient, points);
                Some((weights, biases))
            }
            Self::Transpose(rows, columns) => {
                if let Some(to) = input_gradient {
                    turn(gradient, *columns, *rows, to);
                }
                None
            }
        }
    }
}

impl Convolution<'_> {
    fn gather(&self, input: &[f32], output: &mut [f32]) {
        let finish = |rows: &mut [f32]| self.layer.activation.apply(rows, &self.bias);
        let Some(tiling) = self.tiling else {
            return self.geometry.gather(input, &self.weight, output, finish);
        };
        let images = input.len() / self.geometry.large_len();
        with_points(&tiling, images, |LanePoints { large, small }| {
            tiling.read_large(input, large);
            tiling.gather(large, &self.weight, small);
            tiling.write_small(small, output);
        });
        finish(output);
    }

    fn scatter(&self, input: &[f32], output: &mut [f32]) {
        match self.tiling {
            None => self.geometry.scatter(input, &self.weight, output),
            Some(tiling) => {
                let images = input.len() / self.geometry.small_len();
                with_points(&tiling, images, |LanePoints { large, small }| {
                    tiling.read_small(input, small);
                    tiling.scatter(small, &self.weight, large);
                    tiling.write_large(large, output);
                });
            }
        }
        self.layer.activation.apply(output, &self.bias);
    }

    fn conv_back(
        &self,
        input: &[f32],
        gradient: &[f32],
        input_gradient: Option<&mut [f32]>,
        points: Option<LanePoints>,
    ) -> Vec<f32> {
        match (self.tiling, points) {
            (Some(tiling), Some(mut points)) => {
                tiling.read_small(gradient, &mut points.small);
                if let Some(to) = input_gradient {
                    // The place of the input's points is free until they are computed.
                    tiling.scatter(&points.small, &self.weight, &mut points.large);
                    tiling.write_large(&points.large, to);
                }
                tiling.read_large(input, &mut points.large);
                Vec::new()
            }
            _ => {
                if let Some(to) = input_gradient {
                    self.geometry.scatter(gradient, &self.weight, to);
                }
                self.geometry.weight_gradient(input, gradient)
            }
        }
    }

    fn conv_transpose_back(
        &self,
        input: &[f32],
        gradient: &[f32],
        input_gradient: Option<&mut [f32]>,
        points: Option<LanePoints>,
    ) -> Vec<f32> {
        let geometry = &self.geometry;
        match (self.tiling, points, input_gradient) {
            (Some(tiling), Some(mut points), to) => {
                tiling.read_large(gradient, &mut points.large);
                if let Some(to) = to {
                    tiling.gather(&points.large, &self.weight, &mut points.small);
                    tiling.write_small(&points.small, to);
                }
                tiling.read_small(input, &mut points.small);
                Vec::new()
            }
            (_, _, Some(to)) => {
                geometry.weight_gradient_and_gather(gradient, input, &self.weight, to)
            }
            (_, _, None) => geometry.weight_gradient(gradient, input),
        }
    }
}

/// Calls `work` with places of this thread's own for the points of some images.
fn with_points(tiling: &Tiling, images: usize, work: impl FnOnce(&mut LanePoints)) {
    let (large, small) = (images * tiling.large_len(), images * tiling.small_len());
    with_scratch(room(large) + room(small), |scratch| {
        let (large_room, small_room) = scratch.split_at_mut(room(large));
        work(&mut LanePoints {
            large: points(large_room, large),
            small: points(small_room, small),
        });
    });
}

fn turn(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    let size = rows * columns;
    for (to, from) in to.chunks_exact_mut(size).zip(from.chunks_exact(size)) {
        transpose(from, columns, rows, to);
    }
}

/// Runs `stages` on `images` images, and leaves their outputs in `kept`.
pub(super) fn forward(
    stages: &[Stage],
    input: &[f32],
    images: usize,
    kept: &mut [Kept],
    buffers: &Buffers,
) -> Result<()> {
    let works = stages
        .iter()
        .map(|stage| Work::there(stage, buffers))
        .collect::<Result<Vec<_>>>()?;
    let lane = lane_images(images);
    let mut lanes: Vec<Vec<&mut [f32]>> = (0..images).step_by(lane).map(|_| Vec::new()).collect();
    let mut masks = Vec::new();
    for (stage, Kept { output, mask }) in stages.iter().zip(kept) {
        for (lane, part) in lanes
            .iter_mut()
            .zip(output.chunks_mut(lane * stage.outputs()))
        {
            lane.push(part);
        }
        masks.push(mask.as_ref());
    }
    let inputs = input.par_chunks(lane * (input.len() / images));
    let lanes = lanes.into_par_iter().zip(inputs).enumerate();
    lanes.for_each(|(number, (outputs, mut input))| {
        for (position, output) in outputs.into_iter().enumerate() {
            works[position].run(input, output);
            if let Some(mask) = masks[position] {
                mask.apply(number * lane * stages[position].outputs(), output);
            }
            input = output;
        }
    });
    works.into_iter().for_each(|work| work.give(buffers));
    Ok(())
}

/// What a lane writes on its way back.
struct Lane<'a> {
    gradient: &'a mut [f32],
    input_gradient: Option<&'a mut [f32]>,
    /// Of each stage.
    points: Vec<Option<LanePoints<'a>>>,
}

/// Fills the gradients of the parameters and, if it is wanted, of the input. `gradient` is that of the
/// last output; it does not survive.
pub(super) fn backward(
    back: &Back,
    gradient: &mut [f32],
    input_gradient: Option<&mut [f32]>,
) -> Result<()> {
    let Back {
        stages,
        images,
        buffers,
        ..
    } = *back;
    let works = stages
        .iter()
        .map(|stage| Work::back(stage, buffers))
        .collect::<Result<Vec<_>>>()?;
    let lane = lane_images(images);
    let (inputs, outputs) = (back.input.len() / images, gradient.len() / images);
    let mut input_gradients = input_gradient.map(|to| to.chunks_mut(lane * inputs));
    let gradients = gradient.chunks_mut(lane * outputs);
    let mut lanes: Vec<_> = gradients
        .map(|gradient| Lane {
            gradient,
            input_gradient: input_gradients.as_mut().and_then(Iterator::next),
            points: Vec::new(),
        })
        .collect();
    let tilings: Vec<_> = works.iter().map(Work::tiling).collect();
    let take = |len: fn(&Tiling) -> usize| -> Vec<Vec<f32>> {
        let len = |tiling: &Option<Tiling>| tiling.as_ref().map_or(0, |t| room(images * len(t)));
        tilings
            .iter()
            .map(|tiling| buffers.take(len(tiling)))
            .collect()
    };
    let (mut large, mut small) = (take(Tiling::large_len), take(Tiling::small_len));
    for ((tiling, large), small) in tilings.iter().zip(&mut large).zip(&mut small) {
        deal_points(tiling.as_ref(), images, lane, large, small, &mut lanes);
    }
    let lanes = lanes.into_par_iter().enumerate();
    let mut gradients: Vec<_> = lanes
        .map(|(number, state)| backward_lane(back, &works, number * lane, state))
        .collect();
    for (position, stage) in stages.iter().enumerate() {
        if let Stage::Layer(layer) = stage {
            let parts = gradients
                .iter_mut()
                .filter_map(|lane| lane[position].take());
            let (mut weights, biases): (Vec<_>, Vec<_>) = parts.unzip();
            if let Some(tiling) = tilings[position] {
                weights = vec![tiling.weight_gradient(
                    images,
                    &large[position],
                    &small[position],
                    buffers,
                )];
            }
            put_gradients(layer, &weights, &biases)?;
        }
    }
    for buffer in large.into_iter().chain(small) {
        buffers.give(buffer);
    }
    works.into_iter().for_each(|work| work.give(buffers));
    Ok(())
}

/// Gives each lane its part of the places for a stage's points.
fn deal_points<'a>(
    tiling: Option<&Tiling>,
    images: usize,
    lane: usize,
    large: &'a mut [f32],
    small: &'a mut [f32],
    lanes: &mut [Lane<'a>],
) {
    match tiling {
        None => lanes.iter_mut().for_each(|lane| lane.points.push(None)),
        Some(tiling) => {
            let large = points_by(
                large,
                images * tiling.large_len(),
                lane * tiling.large_len(),
            );
            let small = points_by(
                small,
                images * tiling.small_len(),
                lane * tiling.small_len(),
            );
            for (lane, (large, small)) in lanes.iter_mut().zip(large.into_iter().zip(small)) {
                lane.points.push(Some(LanePoints { large, small }));
            }
        }
    }
}

/// The way back of a lane's images, from `first` on.
fn backward_lane(
    back: &Back,
    works: &[Work],
    first: usize,
    mut lane: Lane,
) -> Vec<Option<Gradients>> {
    let images = lane_images(back.images).min(back.images - first);
    let part = |len: usize| first * len..(first + images) * len;
    let mut gradients: Vec<_> = works.iter().map(|_| None).collect();
    let mut between: Option<Vec<f32>> = None;
    for (position, stage) in back.stages.iter().enumerate().rev() {
        let input = match position {
            0 => back.input,
            _ => back.outputs[position - 1],
        };
        let input = &input[part(stage.inputs())];
        let output = &back.outputs[position][part(stage.outputs())];
        let mut next = (position > 0).then(|| back.buffers.take(images * stage.inputs()));
        let gradient = between.as_deref_mut().unwrap_or(&mut *lane.gradient);
        let to = match &mut next {
            Some(next) => Some(next.as_mut_slice()),
            None => lane.input_gradient.take(),
        };
        let mask = back.kept[position].mask.as_ref();
        if let Some(mask) = mask {
            mask.apply(first * stage.outputs(), gradient);
        }
        let output = (output, mask.map_or(1.0, |mask| mask.scale));
        let points = lane.points[position].take();
        gradients[position] = works[position].run_back(input, output, gradient, to, points);
        if let Some(done) = std::mem::replace(&mut between, next) {
            back.buffers.give(done);
        }
    }
    gradients
}

fn put_gradients(layer: &Layer, weights: &[Vec<f32>], biases: &[Vec<f32>]) -> Result<()> {
    if let Map::Conv(g) | Map::ConvTranspose(g) = layer.map {
        with_values_mut(&layer.weight.gradient, |to| {
            let mut sum = vec![0.0; to.len()];
            sum_in_order(weights, &mut sum);
            g.torch_order(&sum, to);
            Ok(())
        })?;
    }
    with_values_mut(&layer.bias.gradient, |to| {
        sum_in_order(biases, to);
        Ok(())
    })
}

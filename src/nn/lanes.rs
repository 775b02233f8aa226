//! Stages that work image by image, one after the other.
//!
//! A batch is cut into `LANES` groups of whole images, whatever the number of threads. A thread takes a
//! group through all of the stages, so that what one leaves is still in cache for the next. What groups
//! sum is added in their order. So the results do not depend on the threads.

use super::buffers::{Buffer, Buffers};
use super::chain::{Back, Kept, Stage};
use super::convolution::{Geometry, Grid};
use super::layer::{Layer, Map};
use super::points::{Points, Sizes, points, points_by, room, times};
use super::transpose::turn;
use super::winograd::Tiling;
use super::{sum_in_order, with_scratch, with_values};
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
    Convolution(Box<Convolution<'a>>),
    /// Matrices to turn, one an image: their rows and columns.
    Transpose(usize, usize),
}

struct Convolution<'a> {
    layer: &'a Layer,
    geometry: Geometry,
    /// The grid that the layer reads.
    input: Grid,
    /// The grid that the layer writes.
    output: Grid,
    tiling: Option<Tiling>,
    weight: Buffer,
    bias: Vec<f32>,
}

/// A lane's part of the gradients of a stage's weights, in the order of `Wᵀ`, and biases. Where the
/// convolution is tiled there are no weights: they come from all lanes' points at once.
type Gradients = (Vec<f32>, Vec<f32>);

impl<'a> Work<'a> {
    /// A stage for the way from inputs to outputs.
    fn there(stage: &'a Stage, buffers: &Buffers) -> Result<Self> {
        Self::new(stage, buffers, |_, output| output)
    }

    /// A stage for the way from the outputs' gradients to the inputs'.
    fn back(stage: &'a Stage, buffers: &Buffers) -> Result<Self> {
        Self::new(stage, buffers, |input, _| input)
    }

    /// `target` is which of the grids that a layer reads and writes its products are to give.
    fn new(stage: &'a Stage, buffers: &Buffers, target: fn(Grid, Grid) -> Grid) -> Result<Self> {
        let convolution = |layer: &'a Layer, geometry: Geometry, input, output| {
            let tiling = Tiling::of(geometry);
            let target = target(input, output);
            let weight = |weight: &[f32]| match tiling {
                Some(tiling) => tiling.weights(target, weight, buffers),
                None => geometry.weights(target, weight, buffers),
            };
            Ok(Self::Convolution(Box::new(Convolution {
                layer,
                geometry,
                input,
                output,
                tiling,
                weight: with_values(&layer.weight.value, |values| Ok(weight(values)))?,
                bias: with_values(&layer.bias.value, |bias| Ok(bias.to_vec()))?,
            })))
        };
        match stage {
            Stage::Layer(layer) => match layer.map {
                Map::Conv(g) => convolution(layer, g, Grid::Large, Grid::Small),
                Map::ConvTranspose(g) => convolution(layer, g, Grid::Small, Grid::Large),
                Map::Dense { .. } => bail!("a dense layer works on whole batches"),
            },
            Stage::Beside(_) => bail!("dense layers work on whole batches"),
            Stage::Flatten([rows, columns, channels]) => {
                Ok(Self::Transpose(rows * columns, *channels))
            }
            Stage::Unflatten([rows, columns, channels]) => {
                Ok(Self::Transpose(*channels, rows * columns))
            }
        }
    }

    /// The convolution that the stage is, and how it is tiled, if it is.
    fn tiled(&self) -> Option<(&Convolution<'a>, Tiling)> {
        match self {
            Self::Convolution(c) => Some((c, c.tiling?)),
            Self::Transpose(..) => None,
        }
    }

    /// `points` is where the input's points are kept, if they are.
    fn run(&self, input: &[f32], output: &mut [f32], points: Option<Points>) {
        match self {
            Self::Convolution(c) => c.run(input, output, points),
            Self::Transpose(rows, columns) => turn_each(input, *rows, *columns, output),
        }
    }

    /// `gradient` is that of the output; it does not survive. `output` is what [`Work::run`] gave, times
    /// `scale` where dropout kept it; where it did not, the gradient is 0 already. `points` is where the
    /// gradient's points are to be left, if the convolution is tiled.
    fn run_back(
        &self,
        input: &[f32],
        (output, scale): (&[f32], f32),
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        points: Option<Points>,
    ) -> Option<Gradients> {
        match self {
            Self::Convolution(c) => {
                let mut biases = vec![0.0; c.bias.len()];
                let activation = c.layer.activation;
                activation.backward(output, scale, gradient, &mut biases);
                let weights = match (c.tiling, points) {
                    (Some(tiling), Some(points)) => {
                        c.tiled_back(tiling, gradient, input_gradient, points);
                        Vec::new()
                    }
                    _ => c.direct_back(input, gradient, input_gradient),
                };
                Some((weights, biases))
            }
            Self::Transpose(rows, columns) => {
                if let Some(to) = input_gradient {
                    turn_each(gradient, *columns, *rows, to);
                }
                None
            }
        }
    }
}

impl Convolution<'_> {
    fn run(&self, input: &[f32], output: &mut [f32], points: Option<Points>) {
        let finish = |rows: &mut [f32]| self.layer.activation.apply(rows, &self.bias);
        match (self.tiling, self.output) {
            (Some(tiling), _) => {
                self.run_tiled(tiling, input, output, points);
                finish(output);
            }
            (None, Grid::Small) => self.geometry.gather(input, &self.weight, output, finish),
            (None, Grid::Large) => {
                self.geometry.scatter(input, &self.weight, output);
                finish(output);
            }
        }
    }

    fn run_tiled(&self, tiling: Tiling, input: &[f32], output: &mut [f32], kept: Option<Points>) {
        let images = input.len() / self.geometry.len(self.input);
        let sizes = |grid| times(&tiling.sizes(grid), images);
        let (inputs, outputs) = (sizes(self.input), sizes(self.output));
        let own = if kept.is_some() { 0 } else { room(&inputs) };
        let framed = self.framed_len(tiling);
        with_scratch(own + room(&outputs) + framed, |scratch| {
            let (own, scratch) = scratch.split_at_mut(own);
            let (to, framed) = scratch.split_at_mut(room(&outputs));
            let mut from = kept.unwrap_or_else(|| points(own, &inputs));
            let mut to = points(to, &outputs);
            tiling.read(self.input, input, &mut from, framed);
            tiling.products(self.output, &from, &self.weight, &mut to);
            tiling.write(self.output, &to, output, framed);
        });
    }

    fn tiled_back(
        &self,
        tiling: Tiling,
        gradient: &[f32],
        input_gradient: Option<&mut [f32]>,
        mut gradient_points: Points,
    ) {
        let images = gradient.len() / self.geometry.len(self.output);
        let inputs = times(&tiling.sizes(self.input), images);
        with_scratch(room(&inputs) + self.framed_len(tiling), |scratch| {
            let (back, framed) = scratch.split_at_mut(room(&inputs));
            tiling.read(self.output, gradient, &mut gradient_points, framed);
            if let Some(to) = input_gradient {
                let mut back = points(back, &inputs);
                tiling.products(self.input, &gradient_points, &self.weight, &mut back);
                tiling.write(self.input, &back, to, framed);
            }
        });
    }

    /// Values of a frame around either grid.
    fn framed_len(&self, tiling: Tiling) -> usize {
        let [large, small] = [Grid::Large, Grid::Small].map(|grid| tiling.frame_len(grid));
        large.max(small)
    }

    /// The gradient of `Wᵀ`.
    fn direct_back(
        &self,
        input: &[f32],
        gradient: &[f32],
        input_gradient: Option<&mut [f32]>,
    ) -> Vec<f32> {
        let (geometry, weight) = (&self.geometry, &self.weight);
        match (self.input, input_gradient) {
            (Grid::Large, to) => {
                if let Some(to) = to {
                    geometry.scatter(gradient, weight, to);
                }
                geometry.weight_gradient(input, gradient, None)
            }
            (Grid::Small, to) => {
                geometry.weight_gradient(gradient, input, to.map(|to| (&weight[..], to)))
            }
        }
    }

    /// Fills the gradients of weights and biases from those of all lanes, and from the points of input and
    /// gradient if the convolution is tiled.
    fn put_gradients(
        &self,
        (weights, biases): (Vec<Vec<f32>>, Vec<Vec<f32>>),
        points: Option<(&[f32], &[f32])>,
        images: usize,
        buffers: &Buffers,
    ) -> Result<()> {
        let mut bias = vec![0.0; self.bias.len()];
        sum_in_order(&biases, &mut bias);
        self.layer.bias.put_values(bias)?;
        let mut weight = vec![0.0; self.layer.weight.value.elem_count()];
        if let (Some(tiling), Some((input, gradient))) = (self.tiling, points) {
            let (large, small) = match self.input {
                Grid::Large => (input, gradient),
                Grid::Small => (gradient, input),
            };
            tiling.weight_gradient(images, large, small, &mut weight, buffers);
        } else {
            let mut sum = buffers.take(weight.len());
            sum_in_order(&weights, &mut sum);
            self.geometry.torch_order(&sum, &mut weight);
        }
        self.layer.weight.put_values(weight)
    }
}

/// Turns matrices of `rows` rows, one an image.
fn turn_each(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    let size = rows * columns;
    for (to, from) in to.chunks_exact_mut(size).zip(from.chunks_exact(size)) {
        turn(from, rows, to);
    }
}

/// What a lane writes on its way, of each stage.
struct Lane<'a> {
    outputs: Vec<&'a mut [f32]>,
    points: Vec<Option<Points<'a>>>,
}

/// Runs `stages` on `images` images, and leaves their outputs in `kept`; with `keep_points` also the
/// points of what tiled convolutions read.
pub(super) fn forward(
    stages: &[Stage],
    input: &[f32],
    images: usize,
    kept: &mut [Kept],
    keep_points: bool,
    buffers: &Buffers,
) -> Result<()> {
    let works = stages
        .iter()
        .map(|stage| Work::there(stage, buffers))
        .collect::<Result<Vec<_>>>()?;
    let lane = lane_images(images);
    let mut lanes: Vec<_> = (0..images)
        .step_by(lane)
        .map(|_| Lane {
            outputs: Vec::new(),
            points: Vec::new(),
        })
        .collect();
    let mut masks = Vec::new();
    for ((stage, work), kept) in stages.iter().zip(&works).zip(kept) {
        let parts = kept.output.chunks_mut(lane * stage.outputs());
        for (lane, part) in lanes.iter_mut().zip(parts) {
            lane.outputs.push(part);
        }
        let sizes = work
            .tiled()
            .filter(|_| keep_points)
            .map(|(c, tiling)| tiling.sizes(c.input));
        kept.points = sizes.map(|sizes| buffers.take(room(&times(&sizes, images))));
        let parts = deal(kept.points.as_deref_mut(), sizes, images, lane);
        for (lane, part) in lanes.iter_mut().zip(parts) {
            lane.points.push(part);
        }
        masks.push(kept.mask.as_ref());
    }
    let inputs = input.par_chunks(lane * (input.len() / images));
    let lanes = lanes.into_par_iter().zip(inputs).enumerate();
    // They are few: each on its own, for threads to finish together.
    let lanes = lanes.with_max_len(1);
    lanes.for_each(|(number, (to, mut input))| {
        let places = to.outputs.into_iter().zip(to.points).enumerate();
        for (position, (output, points)) in places {
            works[position].run(input, output, points);
            if let Some(mask) = masks[position] {
                mask.apply(number * lane * stages[position].outputs(), output);
            }
            input = output;
        }
    });
    Ok(())
}

/// What a lane writes on its way back.
struct LaneBack<'a> {
    gradient: &'a mut [f32],
    input_gradient: Option<&'a mut [f32]>,
    /// Of each stage.
    points: Vec<Option<Points<'a>>>,
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
        .map(|gradient| LaneBack {
            gradient,
            input_gradient: input_gradients.as_mut().and_then(Iterator::next),
            points: Vec::new(),
        })
        .collect();
    let sizes = works.iter().map(Work::tiled);
    let sizes: Vec<_> = sizes
        .map(|tiled| tiled.map(|(c, tiling)| tiling.sizes(c.output)))
        .collect();
    let take =
        |sizes: &Option<Sizes>| sizes.map(|sizes| buffers.take(room(&times(&sizes, images))));
    let mut gradient_points: Vec<_> = sizes.iter().map(take).collect();
    for (&sizes, points) in sizes.iter().zip(&mut gradient_points) {
        let parts = deal(points.as_deref_mut(), sizes, images, lane);
        for (lane, part) in lanes.iter_mut().zip(parts) {
            lane.points.push(part);
        }
    }
    let lanes = lanes.into_par_iter().enumerate().with_max_len(1);
    let mut gradients: Vec<_> = lanes
        .map(|(number, state)| backward_lane(back, &works, number * lane, state))
        .collect();
    for (position, work) in works.iter().enumerate() {
        if let Work::Convolution(convolution) = work {
            let parts = gradients.iter_mut();
            let parts = parts.filter_map(|lane| lane[position].take()).unzip();
            let input_points = back.kept[position].points.as_deref();
            let points = match (input_points, gradient_points[position].as_deref()) {
                (None, Some(_)) => bail!("gradients need a forward pass in training mode"),
                (input, gradient) => input.zip(gradient),
            };
            convolution.put_gradients(parts, points, images, buffers)?;
        }
    }
    Ok(())
}

/// For each lane its part of the place for a stage's points, which take `sizes` an image.
fn deal(
    points: Option<&mut [f32]>,
    sizes: Option<Sizes>,
    images: usize,
    lane: usize,
) -> Vec<Option<Points<'_>>> {
    match (points, sizes) {
        (Some(points), Some(sizes)) => {
            points_by(points, &times(&sizes, images), &times(&sizes, lane))
                .into_iter()
                .map(Some)
                .collect()
        }
        _ => (0..images).step_by(lane).map(|_| None).collect(),
    }
}

/// The way back of a lane's images, from `first` on.
fn backward_lane(
    back: &Back,
    works: &[Work],
    first: usize,
    mut lane: LaneBack,
) -> Vec<Option<Gradients>> {
    let images = lane_images(back.images).min(back.images - first);
    let part = |len: usize| first * len..(first + images) * len;
    let mut gradients: Vec<_> = works.iter().map(|_| None).collect();
    let mut between: Option<Buffer> = None;
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
            Some(next) => Some(&mut next[..]),
            None => lane.input_gradient.take(),
        };
        let mask = back.kept[position].mask.as_ref();
        if let Some(mask) = mask {
            mask.apply(first * stage.outputs(), gradient);
        }
        let output = (output, mask.map_or(1.0, |mask| mask.scale));
        let points = lane.points[position].take();
        gradients[position] = works[position].run_back(input, output, gradient, to, points);
        between = next;
    }
    gradients
}

//! Stages that work image by image, ready to run.

use super::buffers::{Buffer, Buffers};
use super::chain::Stage;
use super::convolution::{Geometry, Grid};
use super::layer::{Layer, Map};
use super::transpose::turn;
use super::winograd::Tiling;
use super::winograd::matrices::{Points, points, room, times};
use super::{sum_in_order, with_scratch, with_values};
use candle_core::{Result, bail};

/// A stage, with its weights in the order that its products want.
#[derive(Debug)]
pub(super) enum Work {
    Convolution(Box<Convolution>),
    /// Matrices to turn, one an image: their rows and columns.
    Transpose(usize, usize),
}

#[derive(Debug)]
pub(super) struct Convolution {
    layer: Layer,
    geometry: Geometry,
    /// The grid that the layer reads.
    pub input: Grid,
    /// The grid that the layer writes.
    pub output: Grid,
    tiling: Option<Tiling>,
    /// The weights on the way from inputs to outputs, and from the outputs' gradients to the inputs'.
    weight: Buffer,
    weight_back: Option<Buffer>,
    bias: Vec<f32>,
}

/// Some images' part of the gradients of a stage's weights, in the order of `Wᵀ`, and biases. Where the
/// convolution is tiled there are no weights: they come from all images' points at once.
pub(super) type Gradients = (Vec<f32>, Vec<f32>);

impl Work {
    /// Gets a stage ready to run, with `back` also on the way back.
    pub(super) fn new(stage: &Stage, back: bool, buffers: &Buffers) -> Result<Self> {
        let convolution = |layer: &Layer, geometry: Geometry, input, output| {
            let tiling = Tiling::of(geometry);
            let weight = |target: Grid, weight: &[f32]| match tiling {
                Some(tiling) => tiling.weights(target, weight, buffers),
                None => geometry.weights(target, weight, buffers),
            };
            with_values(&layer.weight.value, |values| {
                Ok(Self::Convolution(Box::new(Convolution {
                    layer: layer.clone(),
                    geometry,
                    input,
                    output,
                    tiling,
                    weight: weight(output, values),
                    weight_back: back.then(|| weight(input, values)),
                    bias: layer.bias.value.to_vec1()?,
                })))
            })
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
    pub(super) fn tiled(&self) -> Option<(&Convolution, Tiling)> {
        match self {
            Self::Convolution(c) => Some((c, c.tiling?)),
            Self::Transpose(..) => None,
        }
    }

    /// Whether the way back reads what was read on the way there.
    pub(super) fn reads_input(&self) -> bool {
        matches!(self, Self::Convolution(c) if c.tiling.is_none())
    }

    /// Whether the way back reads what was written on the way there.
    pub(super) fn reads_output(&self) -> bool {
        matches!(self, Self::Convolution(_))
    }

    /// `points` is where the input's points are kept, if they are.
    pub(super) fn run(&self, input: &[f32], output: &mut [f32], points: Option<Points>) {
        match self {
            Self::Convolution(c) => c.run(input, output, points),
            Self::Transpose(rows, columns) => turn_each(input, *rows, *columns, output),
        }
    }

    /// `gradient` is that of the output; it does not survive. `output` is what [`Work::run`] gave, times
    /// `scale` where dropout kept it; where it did not, the gradient is 0 already. `points` is where the
    /// gradient's points are to be left, if the convolution is tiled.
    pub(super) fn run_back(
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
                let to = input_gradient.zip(c.weight_back.as_deref());
                let weights = match (c.tiling, points) {
                    (Some(tiling), Some(points)) => {
                        c.tiled_back(tiling, gradient, to, points);
                        Vec::new()
                    }
                    _ => c.direct_back(input, gradient, to),
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

impl Convolution {
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
        with_scratch(own + room(&outputs) + tiling.framed_len(), |scratch| {
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
        input_gradient: Option<(&mut [f32], &[f32])>,
        mut gradient_points: Points,
    ) {
        let images = gradient.len() / self.geometry.len(self.output);
        let inputs = times(&tiling.sizes(self.input), images);
        with_scratch(room(&inputs) + tiling.framed_len(), |scratch| {
            let (back, framed) = scratch.split_at_mut(room(&inputs));
            tiling.read(self.output, gradient, &mut gradient_points, framed);
            if let Some((to, weight)) = input_gradient {
                let mut back = points(back, &inputs);
                tiling.products(self.input, &gradient_points, weight, &mut back);
                tiling.write(self.input, &back, to, framed);
            }
        });
    }

    /// The gradient of `Wᵀ`.
    fn direct_back(
        &self,
        input: &[f32],
        gradient: &[f32],
        input_gradient: Option<(&mut [f32], &[f32])>,
    ) -> Vec<f32> {
        match (self.input, input_gradient) {
            (Grid::Large, to) => {
                if let Some((to, weight)) = to {
                    self.geometry.scatter(gradient, weight, to);
                }
                self.geometry.weight_gradient(input, gradient, None)
            }
            (Grid::Small, to) => self.geometry.weight_gradient(gradient, input, to),
        }
    }

    /// Leaves the gradients with the parameters: the sums of all images' parts, and what the points of input and
    /// gradient give if the convolution is tiled.
    pub(super) fn put_gradients(
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

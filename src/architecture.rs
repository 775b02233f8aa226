//! From the layers that a configuration names to the shapes of their weights.

use crate::config::{Config, ConvConfig, LayerConfig, Padding};
use crate::data::{PIXELS, SIDE};
use crate::nn::activation::Activation;
use crate::nn::convolution::Geometry;
use crate::nn::layer::Map;
use crate::{Error, Result};

/// More weights than this are taken for a mistake: 1.2 GB with Adam's moments.
const MOST_WEIGHTS: usize = 100_000_000;
/// Likewise values of one image after one layer.
const MOST_VALUES: usize = 1 << 22;
/// Likewise layers of the encoder or the decoder.
const MOST_LAYERS: usize = 64;

/// One stage of an encoder or a decoder.
#[derive(Debug, Clone, PartialEq)]
pub enum StagePlan {
    /// A layer with weights.
    Layer(LayerPlan),
    /// Dense layers that read the same values; what they write is one after the other.
    Beside(Vec<LayerPlan>),
    /// (rows, columns, channels) into a list of values, channel first.
    Flatten([usize; 3]),
    /// A list of values, channel first, into these rows, columns and channels.
    Unflatten([usize; 3]),
}

/// A layer with weights, before it has any.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerPlan {
    /// Its name, as in `encoder.conv1`.
    pub name: String,
    /// Its linear map.
    pub map: Map,
    /// What follows the map.
    pub activation: Activation,
    /// The probability that an output is dropped in training.
    pub dropout: f32,
}

/// All stages of a model, with their shapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// From images to the posterior: its mean, and the logarithm of its variance.
    pub encoder: Vec<StagePlan>,
    /// From latent vectors to images.
    pub decoder: Vec<StagePlan>,
}

impl Architecture {
    /// Works out the shapes of the layers of `config`.
    ///
    /// # Errors
    ///
    /// If a layer does not fit the one before, or is absurdly large; the error names it.
    pub fn plan(config: &Config) -> Result<Self> {
        let image = Shape::Grid([SIDE, SIDE, 1]);
        let mut encoder = Planner::new("encoder", image);
        encoder.layers(&config.encoder)?;
        let features = encoder.flatten();
        let head = |name: &str| LayerPlan {
            name: name.into(),
            map: Map::Dense {
                inputs: features,
                outputs: config.latent_dim,
            },
            activation: Activation::None,
            dropout: 0.0,
        };
        let heads = vec![head("mean"), head("log_variance")];
        encoder.stages.push(StagePlan::Beside(heads));
        let mut decoder = Planner::new("decoder", Shape::Flat(config.latent_dim));
        decoder.layers(&config.decoder)?;
        let outputs = decoder.flatten();
        if outputs != PIXELS {
            let why = format!("must end with {PIXELS} values ({SIDE}x{SIDE}), found {outputs}");
            return Err(Error::input("decoder", why));
        }
        let plan = Self {
            encoder: encoder.stages,
            decoder: decoder.stages,
        };
        let weights = plan.weights();
        if weights > MOST_WEIGHTS {
            let why = format!("has {weights} weights; at most {MOST_WEIGHTS} are allowed");
            return Err(Error::input("the model", why));
        }
        Ok(plan)
    }

    /// The layers with weights, in the order of the model.
    pub fn layers(&self) -> impl Iterator<Item = &LayerPlan> {
        let stages = self.encoder.iter().chain(&self.decoder);
        stages.flat_map(|stage| match stage {
            StagePlan::Layer(layer) => std::slice::from_ref(layer),
            StagePlan::Beside(layers) => layers,
            StagePlan::Flatten(_) | StagePlan::Unflatten(_) => &[],
        })
    }

    /// The number of weights and biases.
    pub fn weights(&self) -> usize {
        let count = |layer: &LayerPlan| {
            let weights: usize = layer.map.weight_shape().iter().product();
            weights + layer.map.bias_len()
        };
        self.layers().map(count).sum()
    }
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Grid([usize; 3]),
    Flat(usize),
}

/// Follows the shape of an image through the layers of an encoder or a decoder.
struct Planner {
    part: &'static str,
    shape: Shape,
    stages: Vec<StagePlan>,
    counts: [usize; 3],
}

impl Planner {
    fn new(part: &'static str, shape: Shape) -> Self {
        Self {
            part,
            shape,
            stages: Vec::new(),
            counts: [0; 3],
        }
    }

    fn layers(&mut self, layers: &[LayerConfig]) -> Result<()> {
        if layers.len() > MOST_LAYERS {
            let why = format!("has {} layers, more than {MOST_LAYERS}", layers.len());
            return Err(Error::input(self.part, why));
        }
        for (index, layer) in layers.iter().enumerate() {
            self.layer(layer)
                .map_err(|why| Error::input(format!("{} layer {}", self.part, index + 1), why))?;
        }
        Ok(())
    }

    fn layer(&mut self, layer: &LayerConfig) -> std::result::Result<(), String> {
        match layer {
            LayerConfig::Conv(conv) => {
                let map = Map::Conv(convolution(self.grid()?, conv)?);
                self.push("conv", 0, map, conv.activation, conv.dropout)
            }
            LayerConfig::ConvTranspose(conv) => {
                let map = Map::ConvTranspose(transposed_convolution(self.grid()?, conv)?);
                self.push("conv_transpose", 1, map, conv.activation, conv.dropout)
            }
            LayerConfig::Dense(dense) => {
                in_range("features", dense.features, 1, MOST_VALUES)?;
                let map = Map::Dense {
                    inputs: self.flatten(),
                    outputs: dense.features,
                };
                self.push("dense", 2, map, dense.activation, dense.dropout)
            }
            LayerConfig::Reshape([channels, rows, columns]) => {
                let values = self.flatten();
                let wanted = channels
                    .checked_mul(*rows)
                    .and_then(|area| area.checked_mul(*columns));
                if wanted != Some(values) {
                    return Err(format!(
                        "cannot reshape {values} values to {channels}x{rows}x{columns}"
                    ));
                }
                let grid = [*rows, *columns, *channels];
                self.stages.push(StagePlan::Unflatten(grid));
                self.shape = Shape::Grid(grid);
                Ok(())
            }
        }
    }

    fn push(
        &mut self,
        kind: &str,
        counter: usize,
        map: Map,
        activation: Activation,
        dropout: f32,
    ) -> std::result::Result<(), String> {
        let values: usize = map.output_shape().iter().product();
        if values > MOST_VALUES {
            return Err(format!(
                "makes {values} values an image, more than {MOST_VALUES}"
            ));
        }
        if !(0.0..1.0).contains(&dropout) {
            return Err(format!(
                "dropout must be from 0 to below 1, found {dropout}"
            ));
        }
        if let Activation::LeakyRelu(slope) = activation
            && !(slope > 0.0 && slope < 1.0)
        {
            return Err(format!(
                "the slope of leaky_relu must be between 0 and 1, found {slope}"
            ));
        }
        self.shape = match map {
            Map::Conv(g) => Shape::Grid(g.small),
            Map::ConvTranspose(g) => Shape::Grid(g.large),
            Map::Dense { outputs, .. } => Shape::Flat(outputs),
        };
        self.counts[counter] += 1;
        self.stages.push(StagePlan::Layer(LayerPlan {
            name: format!("{}.{kind}{}", self.part, self.counts[counter]),
            map,
            activation,
            dropout,
        }));
        Ok(())
    }

    fn grid(&self) -> std::result::Result<[usize; 3], String> {
        match self.shape {
            Shape::Grid(grid) => Ok(grid),
            Shape::Flat(values) => Err(format!(
                "needs rows and columns but gets {values} values; put a reshape before it"
            )),
        }
    }

    /// Makes the shape flat; how many values that are.
    fn flatten(&mut self) -> usize {
        match self.shape {
            Shape::Flat(values) => values,
            Shape::Grid([rows, columns, channels]) => {
                self.stages
                    .push(StagePlan::Flatten([rows, columns, channels]));
                self.shape = Shape::Flat(rows * columns * channels);
                rows * columns * channels
            }
        }
    }
}

fn in_range(
    name: &str,
    value: usize,
    least: usize,
    most: usize,
) -> std::result::Result<(), String> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(format!(
            "{name} must be from {least} to {most}, found {value}"
        ))
    }
}

fn check(conv: &ConvConfig) -> std::result::Result<(), String> {
    in_range("channels", conv.channels, 1, 4096)?;
    in_range("kernel", conv.kernel, 1, 64)?;
    in_range("stride", conv.stride, 1, 64)?;
    if let Padding::Pixels(pixels) = conv.padding {
        in_range("padding", pixels, 0, conv.kernel - 1)?;
    }
    Ok(())
}

/// Rows (or columns) of zeros before a grid of `large` for a convolution to `small`, so that they are
/// evenly spread and the odd one comes after.
fn pad_before(large: usize, small: usize, kernel: usize, stride: usize) -> usize {
    ((small - 1) * stride + kernel).saturating_sub(large) / 2
}

/// The geometry of a convolution that reads a grid of `large` rows, columns and channels.
///
/// # Errors
///
/// What is wrong with it, if the two do not fit.
pub fn convolution(large: [usize; 3], conv: &ConvConfig) -> std::result::Result<Geometry, String> {
    check(conv)?;
    let (kernel, stride) = (conv.kernel, conv.stride);
    let side = |size: usize| match conv.padding {
        Padding::Same => Ok(size.div_ceil(stride)),
        Padding::Pixels(pixels) => match (size + 2 * pixels).checked_sub(kernel) {
            Some(room) => Ok(room / stride + 1),
            None => Err(format!(
                "a kernel of {kernel} is larger than its input of {size}"
            )),
        },
    };
    let small = [side(large[0])?, side(large[1])?, conv.channels];
    geometry(large, small, conv)
}

/// The geometry of a transposed convolution that reads a grid of `small` rows, columns and channels.
///
/// # Errors
///
/// What is wrong with it, if the two do not fit.
pub fn transposed_convolution(
    small: [usize; 3],
    conv: &ConvConfig,
) -> std::result::Result<Geometry, String> {
    check(conv)?;
    let side = |size: usize| match conv.padding {
        Padding::Same => Ok(size * conv.stride),
        Padding::Pixels(pixels) => ((size - 1) * conv.stride + conv.kernel)
            .checked_sub(2 * pixels)
            .filter(|&side| side > 0)
            .ok_or_else(|| format!("a padding of {pixels} leaves nothing of its output")),
    };
    let large = [side(small[0])?, side(small[1])?, conv.channels];
    geometry(large, small, conv)
}

fn geometry(
    large: [usize; 3],
    small: [usize; 3],
    conv: &ConvConfig,
) -> std::result::Result<Geometry, String> {
    let pad = |axis: usize| match conv.padding {
        Padding::Same => pad_before(large[axis], small[axis], conv.kernel, conv.stride),
        Padding::Pixels(pixels) => pixels,
    };
    Ok(Geometry {
        large,
        small,
        kernel: conv.kernel,
        stride: conv.stride,
        pad: [pad(0), pad(1)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(config: &str) -> usize {
        let config = Config::parse(config, "test").expect("a config");
        Architecture::plan(&config).expect("a plan").weights()
    }

    #[test]
    fn the_models_have_their_number_of_weights() {
        assert_eq!(weights(include_str!("../configs/article.json")), 10_151_489);
        let conv = 16 * 32 + 32 + 32 * 16 * 64 + 64;
        let deconv = 64 * 16 * 32 + 32 + 32 * 16 + 1;
        let dense = 3136 * 256 + 256 + 2 * (256 * 16 + 16) + 16 * 256 + 256 + 256 * 3136 + 3136;
        assert_eq!(weights("{}"), conv + deconv + dense);
    }

    #[test]
    fn layers_that_do_not_fit_are_named() {
        let cases = [
            (
                r#"{"encoder": [{"dense": {"features": 0}}]}"#,
                "encoder layer 1",
            ),
            (
                r#"{"decoder": [{"conv_transpose": {"channels": 1, "kernel": 4, "padding": 1}}]}"#,
                "decoder layer 1",
            ),
            (
                r#"{"decoder": [{"reshape": [3, 7, 7]}]}"#,
                "decoder layer 1",
            ),
            (r#"{"decoder": [{"dense": {"features": 783}}]}"#, "decoder"),
            (
                r#"{"decoder": [{"dense": {"features": 400000}}, {"dense": {"features": 784}}]}"#,
                "the model",
            ),
            (
                r#"{"encoder": [{"conv": {"channels": 1, "kernel": 40, "padding": 1}}]}"#,
                "encoder layer 1",
            ),
        ];
        for (text, what) in cases {
            let config = Config::parse(text, "test").expect("a config");
            let error = Architecture::plan(&config).expect_err(text);
            assert_eq!(error.what, what, "{error}");
        }
    }
}

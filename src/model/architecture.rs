//! From the layers that a configuration names to the shapes of their weights.

use super::geometry::{convolution, in_range, transposed_convolution};
use super::nearest::{self, Change};
use crate::config::{Config, LayerConfig, Likelihood};
use crate::data::ImageShape;
use crate::kernels::activation::Activation;
use crate::nn::layer::{LayerPlan, LinearMap};
use crate::nn::stage::Stage;
use crate::{Error, Result};
use std::collections::HashSet;
use std::fmt;

/// More weights than this are taken for a mistake: 1.2 GB with Adam's moments.
const MOST_WEIGHTS: usize = 100_000_000;
/// Likewise values of one image after one layer.
const MOST_VALUES: usize = 1 << 22;
/// Likewise layers of the encoder or the decoder.
const MOST_LAYERS: usize = 64;
/// Of changes that would make layers fit so many are named.
const SUGGESTED: usize = 4;

/// All stages of a model, with their shapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// From images to the posterior: its mean, and the logarithm of its variance.
    pub encoder: Vec<Stage<LayerPlan>>,
    /// From latent vectors, with their labels where the model is told those, to images; under a Bernoulli likelihood to their logits.
    pub decoder: Vec<Stage<LayerPlan>>,
}

impl Architecture {
    /// Works out the shapes of the layers of `config`.
    ///
    /// # Errors
    ///
    /// If a layer does not fit the one before, or the image, or is absurdly large; the error names it, and the nearest
    /// that fits.
    pub fn plan(config: &Config) -> Result<Self> {
        let plan = Self::planned(config).map_err(|misfit| misfit.explained(config))?;
        let weights = plan.weights();
        if weights > MOST_WEIGHTS {
            let why = format!("has {weights} weights; at most {MOST_WEIGHTS} are allowed");
            return Err(Error::input("the model", why));
        }
        Ok(plan)
    }

    fn planned(config: &Config) -> std::result::Result<Self, Misfit> {
        let shape = config.image_shape();
        let image = Shape::Grid(shape.grid());
        let mut encoder = Planner::new("encoder", image);
        encoder.layers(&config.encoder)?;
        let features = encoder.flatten();
        let head = |name: &str| LayerPlan {
            name: name.into(),
            map: LinearMap::Dense {
                inputs: features,
                outputs: config.latent_dim,
            },
            activation: Activation::None,
            dropout: 0.0,
        };
        let heads = vec![head("mean"), head("log_variance")];
        encoder.stages.push(Stage::Heads(heads));
        let labels = if config.conditional {
            config.classes
        } else {
            0
        };
        let mut decoder = Planner::new("decoder", Shape::Flat(config.latent_dim + labels));
        decoder.layers(&config.decoder)?;
        if config.likelihood == Likelihood::Bernoulli {
            decoder.end_with_logits()?;
        }
        decoder.end_with(shape, &config.decoder)?;
        Ok(Self {
            encoder: encoder.stages,
            decoder: decoder.stages,
        })
    }

    /// The layers with weights, in the order of the model.
    pub fn layers(&self) -> impl Iterator<Item = &LayerPlan> {
        let stages = self.encoder.iter().chain(&self.decoder);
        stages.flat_map(Stage::layers)
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Grid([usize; 3]),
    Flat(usize),
}

impl Shape {
    fn values(self) -> usize {
        match self {
            Self::Grid(grid) => grid.iter().product(),
            Self::Flat(values) => values,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grid([rows, columns, channels]) => write!(f, "{rows}x{columns}x{channels}"),
            Self::Flat(values) => write!(f, "{values} values"),
        }
    }
}

/// Why layers do not fit.
struct Misfit {
    part: &'static str,
    /// The number of the layer, from 0 on, and how many values it gets; if it is one that does not fit.
    layer: Option<(usize, usize)>,
    why: String,
}

impl Misfit {
    /// How far the layers do fit.
    fn place(&self) -> (bool, Option<usize>) {
        (self.part == "decoder", self.layer.map(|(layer, _)| layer))
    }

    /// The error that names the layer, and what is near to it and fits.
    fn explained(self, config: &Config) -> Error {
        let Some((layer, values)) = self.layer else {
            return Error::input(self.part, self.why);
        };
        let part = self.part;
        let error = Error::input(format!("{part} layer {}", layer + 1), &self.why);
        let words = self.remedies(layer, values, config).into_iter();
        let words = words.take(SUGGESTED).map(|change| {
            let Change {
                layer, what, to, ..
            } = change;
            format!("{part} layer {} with {what} {to}", layer + 1)
        });
        match words.collect::<Vec<_>>().join(", or ") {
            none if none.is_empty() => error,
            words => error.hint(format!("what fits is {words}")),
        }
    }

    /// The nearest changes of a layer and of those before it with which all layers fit, else those with which that one
    /// does: the last layer and the least change first; one of each kind of that layer, and one of each other.
    fn remedies(&self, layer: usize, values: usize, config: &Config) -> Vec<Change> {
        let is_encoder = self.part == "encoder";
        let layers = match is_encoder {
            true => &config.encoder,
            false => &config.decoder,
        };
        let changes = nearest::changes(layers, layer, values, config.image_shape().values());
        let judged = changes.into_iter().filter_map(|change| {
            let mut config = config.clone();
            let layers = match is_encoder {
                true => &mut config.encoder,
                false => &mut config.decoder,
            };
            for &(place, layer) in &change.layers {
                layers[place] = layer;
            }
            match Architecture::planned(&config) {
                Ok(_) => Some((true, change)),
                Err(other) if other.place() > self.place() => Some((false, change)),
                Err(_) => None,
            }
        });
        let mut judged: Vec<(bool, Change)> = judged.collect();
        let all_fit = judged.iter().any(|(all_fit, _)| *all_fit);
        judged.retain(|(fits, _)| *fits == all_fit);
        judged.sort_by(|(_, a), (_, b)| {
            let by_layer = b.layer.cmp(&a.layer);
            by_layer.then(a.distance.total_cmp(&b.distance))
        });
        let mut named = HashSet::new();
        judged.retain(|(_, change)| {
            let kind = (change.layer == layer).then_some(change.what);
            named.insert((change.layer, kind))
        });
        judged.into_iter().map(|(_, change)| change).collect()
    }
}

/// Follows the shape of an image through the layers of an encoder or a decoder.
struct Planner {
    part: &'static str,
    shape: Shape,
    stages: Vec<Stage<LayerPlan>>,
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

    /// What is wrong with the layers from the one of a number on, or with all of them.
    fn misfit(&self, layer: Option<(usize, usize)>, why: String) -> Misfit {
        Misfit {
            part: self.part,
            layer,
            why,
        }
    }

    fn layers(&mut self, layers: &[LayerConfig]) -> std::result::Result<(), Misfit> {
        if layers.len() > MOST_LAYERS {
            let why = format!("has {} layers, more than {MOST_LAYERS}", layers.len());
            return Err(self.misfit(None, why));
        }
        for (index, layer) in layers.iter().enumerate() {
            let gets = self.shape;
            self.layer(layer).map_err(|why| {
                let why = match gets {
                    Shape::Grid(_) => format!("{why} (it gets {gets})"),
                    Shape::Flat(_) => why,
                };
                self.misfit(Some((index, gets.values())), why)
            })?;
        }
        Ok(())
    }

    /// Checks that the last of the layers makes images of a shape.
    fn end_with(
        &mut self,
        image: ImageShape,
        layers: &[LayerConfig],
    ) -> std::result::Result<(), Misfit> {
        let makes = self.shape;
        let wanted = Shape::Grid(image.grid());
        // The values of such a grid are in the image's order: the colours of a pixel beside each other.
        if makes == wanted {
            return Ok(());
        }
        let outputs = self.flatten();
        if outputs == wanted.values() {
            return Ok(());
        }
        let why = format!(
            "must end with {} values, {wanted}, and makes {makes}",
            wanted.values()
        );
        let last = layers.len().checked_sub(1);
        Err(self.misfit(last.map(|last| (last, outputs)), why))
    }

    fn layer(&mut self, layer: &LayerConfig) -> std::result::Result<(), String> {
        match layer {
            LayerConfig::Conv(conv) => {
                let map = LinearMap::Conv(convolution(self.grid()?, conv)?);
                self.push("conv", 0, map, conv.activation, conv.dropout)
            }
            LayerConfig::ConvTranspose(conv) => {
                let map = LinearMap::ConvTranspose(transposed_convolution(self.grid()?, conv)?);
                self.push("conv_transpose", 1, map, conv.activation, conv.dropout)
            }
            LayerConfig::Dense(dense) => {
                in_range("features", dense.features, 1, MOST_VALUES)?;
                let map = LinearMap::Dense {
                    inputs: self.flatten(),
                    outputs: dense.features,
                };
                self.push("dense", 2, map, dense.activation, dense.dropout)
            }
            LayerConfig::Reshape([channels, rows, columns]) => {
                let values = self.shape.values();
                let wanted = channels
                    .checked_mul(*rows)
                    .and_then(|area| area.checked_mul(*columns));
                if wanted != Some(values) {
                    return Err(format!(
                        "cannot reshape {values} values to {channels}x{rows}x{columns}"
                    ));
                }
                self.flatten();
                let grid = [*rows, *columns, *channels];
                self.stages.push(Stage::Unflatten(grid));
                self.shape = Shape::Grid(grid);
                Ok(())
            }
        }
    }

    fn push(
        &mut self,
        kind: &str,
        counter: usize,
        map: LinearMap,
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
            LinearMap::Conv(g) => Shape::Grid(g.small),
            LinearMap::ConvTranspose(g) => Shape::Grid(g.large),
            LinearMap::Dense { outputs, .. } => Shape::Flat(outputs),
        };
        self.counts[counter] += 1;
        self.stages.push(Stage::Layer(LayerPlan {
            name: format!("{}.{kind}{}", self.part, self.counts[counter]),
            map,
            activation,
            dropout,
        }));
        Ok(())
    }

    /// Takes away the sigmoid that what is there ends with: what is left are logits.
    fn end_with_logits(&mut self) -> std::result::Result<(), Misfit> {
        match self.stages.last_mut() {
            Some(Stage::Layer(layer)) if layer.activation == Activation::Sigmoid => {
                layer.activation = Activation::None;
                Ok(())
            }
            _ => {
                let why = "must end with a sigmoid: under a Bernoulli likelihood its values are probabilities";
                Err(self.misfit(None, why.into()))
            }
        }
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
        let values = self.shape.values();
        if let Shape::Grid(grid) = self.shape {
            self.stages.push(Stage::Flatten(grid));
            self.shape = Shape::Flat(values);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ImageConfig;
    use crate::model::{Mode, Vae};
    use candle_core::{Device, Tensor};

    #[test]
    fn the_colours_of_a_pixel_are_drawn_beside_each_other() {
        let text = r#"{"image": {"size": 2, "channels": 3}, "latent_dim": 1, "encoder": [],
            "decoder": [{"dense": {"features": 4}}, {"reshape": [1, 2, 2]},
                        {"conv_transpose": {"channels": 3, "kernel": 1, "padding": 0}}]}"#;
        let config = Config::parse(text, "test").expect("a config");
        let vae = Vae::new(&config, &Device::Cpu).expect("a model");
        // All that is left of it are the biases of its last layer.
        for (name, parameter) in vae.parameters() {
            let values = match name.as_str() {
                "decoder.conv_transpose1.bias" => Tensor::new(&[1.0f32, 2.0, 3.0], &Device::Cpu),
                _ => parameter.zeros_like(),
            };
            parameter.set(&values.expect("values")).expect("the shape");
        }
        let latent = Tensor::zeros((1, 1), candle_core::DType::F32, &Device::Cpu);
        let image = vae.decode(&latent.expect("zeros"), &[0], Mode::Inference);
        let values = image.and_then(|image| Ok(image.flatten_all()?.to_vec1::<f32>()?));
        assert_eq!(values.expect("an image"), [1.0, 2.0, 3.0].repeat(4));
    }

    fn weights(config: &str) -> usize {
        let config = Config::parse(config, "test").expect("a config");
        Architecture::plan(&config).expect("a plan").weights()
    }

    #[test]
    fn the_models_have_their_number_of_weights() {
        assert_eq!(
            weights(include_str!("../../configs/article.json")),
            10_151_489
        );
        let conv = 16 * 32 + 32 + 32 * 16 * 64 + 64;
        let deconv = 64 * 16 * 32 + 32 + 32 * 16 + 1;
        let dense = 3136 * 256 + 256 + 2 * (256 * 10 + 10) + 10 * 256 + 256 + 256 * 3136 + 3136;
        assert_eq!(weights("{}"), conv + deconv + dense);
    }

    #[test]
    fn the_default_has_layers_for_images_of_any_shape() {
        let sides = [1, 2, 7, 8, 9, 28, 31, 32, 33, 64, 101, 256];
        for (height, width) in sides.iter().flat_map(|a| sides.map(|b| (*a, b))) {
            let shape = ImageShape {
                height,
                width,
                channels: 3,
            };
            let mut config = Config {
                image: ImageConfig::of(shape),
                ..Config::default()
            };
            config.scale_to_images();
            let plan = Architecture::plan(&config);
            // Sides of which one is even and one odd are not halved.
            if height % 2 == width % 2 || height * width < 10_000 {
                plan.unwrap_or_else(|error| panic!("{shape}: {error}"));
            }
        }
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
            (
                r#"{"decoder": [{"dense": {"features": 783}}]}"#,
                "decoder layer 1",
            ),
            (r#"{"decoder": []}"#, "decoder"),
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

    #[test]
    fn the_nearest_layers_that_fit_are_named() {
        let conv = |kernel: usize, padding: usize| {
            format!(
                r#"{{"conv_transpose": {{"channels": 1, "kernel": {kernel}, "stride": 2, "padding": {padding}}}}}"#
            )
        };
        let decoder = |layers: &[&str]| format!(r#"{{"decoder": [{}]}}"#, layers.join(", "));
        let dense = r#"{"dense": {"features": 196}}"#;
        let cases = [
            // Of 14 x 14, 30 x 30.
            (
                decoder(&[dense, r#"{"reshape": [1, 14, 14]}"#, &conv(4, 0)]),
                "decoder layer 3: must end with 784 values, 28x28x1, and makes 30x30x1",
                "what fits is decoder layer 3 with a padding of 1, or decoder layer 3 with a kernel of 2, \
                 or decoder layer 2 with a shape of [1, 13, 13] and features of 169 before it",
            ),
            (
                decoder(&[dense, r#"{"reshape": [3, 8, 8]}"#, &conv(4, 1), &conv(4, 1)]),
                "decoder layer 2: cannot reshape 196 values to 3x8x8",
                "what fits is decoder layer 2 with a shape of [4, 7, 7]",
            ),
            (
                decoder(&[r#"{"dense": {"features": 783}}"#]),
                "decoder layer 1: must end with 784 values, 28x28x1, and makes 783 values",
                "what fits is decoder layer 1 with features of 784",
            ),
            (
                r#"{"encoder": [{"conv": {"channels": 8, "kernel": 32, "padding": 1}}]}"#.into(),
                "encoder layer 1: a kernel of 32 is larger than its input of 28 (it gets 28x28x1)",
                "what fits is encoder layer 1 with a padding of 2, or encoder layer 1 with a kernel of 30",
            ),
        ];
        for (text, what, hint) in cases {
            let config = Config::parse(&text, "test").expect("a config");
            let error = Architecture::plan(&config).expect_err(&text);
            assert_eq!(error.to_string(), what);
            assert!(
                error.hint.as_deref().unwrap_or_default().starts_with(hint),
                "{error:?}"
            );
        }
    }
}

//! Layers as they are written in a configuration.

use crate::data::ImageShape;
use crate::kernels::activation::Activation;
use serde::{Deserialize, Serialize};

/// One layer of the encoder or the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerConfig {
    /// A convolution.
    Conv(ConvConfig),
    /// A transposed convolution.
    ConvTranspose(ConvConfig),
    /// A dense layer; what comes in is flattened channel first.
    Dense(DenseConfig),
    /// Values into channels, rows and columns, channel first.
    Reshape([usize; 3]),
}

/// What a convolution and a transposed convolution are made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvConfig {
    /// Output channels.
    pub channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Pixels from one place of the kernel to the next.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros around what is read.
    pub padding: PaddingConfig,
    /// What follows.
    #[serde(default)]
    pub activation: Activation,
    /// The probability, 0 to 1, that a value is dropped in training.
    #[serde(default)]
    pub dropout: f32,
}

/// What a dense layer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseConfig {
    /// Values that come out.
    pub features: usize,
    /// What follows.
    #[serde(default)]
    pub activation: Activation,
    /// The probability, 0 to 1, that a value is dropped in training.
    #[serde(default)]
    pub dropout: f32,
}

/// Zeros around what a convolution reads, or pixels cut from what a transposed convolution writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaddingConfig {
    /// As many as make the output the input's size divided (transposed: multiplied) by the stride. An
    /// odd number has its larger half below and on the right, as TensorFlow has it.
    Same,
    /// So many on each side.
    #[serde(untagged)]
    Pixels(usize),
}

/// What the default's convolutions have of channels.
const CHANNELS: [usize; 4] = [32, 64, 64, 64];
/// Convolutions halve an image no further than to so many rows or columns.
const SMALLEST: usize = 4;

/// The default's layers for images of a shape: as many convolutions as halve both of its sides, and two dense layers.
pub fn layers_for(shape: ImageShape) -> (Vec<LayerConfig>, Vec<LayerConfig>) {
    let activation = Activation::LeakyRelu(0.1);
    let conv = |channels, activation| ConvConfig {
        channels,
        kernel: 4,
        stride: 2,
        padding: PaddingConfig::Pixels(1),
        activation,
        dropout: 0.0,
    };
    let dense = |features, activation| {
        LayerConfig::Dense(DenseConfig {
            features,
            activation,
            dropout: 0.0,
        })
    };
    let [mut rows, mut columns] = [shape.height, shape.width];
    let mut halvings = 0;
    while halvings < CHANNELS.len()
        && [rows, columns]
            .iter()
            .all(|side| side % 2 == 0 && side / 2 >= SMALLEST)
    {
        (rows, columns) = (rows / 2, columns / 2);
        halvings += 1;
    }
    let channels = &CHANNELS[..halvings];
    let mut encoder: Vec<_> = channels
        .iter()
        .map(|&channels| LayerConfig::Conv(conv(channels, activation)))
        .collect();
    encoder.push(dense(256, activation));
    let mut decoder = vec![dense(256, activation)];
    let Some((&last, others)) = channels.split_last() else {
        decoder.push(dense(shape.values(), Activation::Sigmoid));
        return (encoder, decoder);
    };
    decoder.push(dense(last * rows * columns, activation));
    decoder.push(LayerConfig::Reshape([last, rows, columns]));
    let inner = others.iter().rev();
    decoder.extend(inner.map(|&channels| LayerConfig::ConvTranspose(conv(channels, activation))));
    let image = conv(shape.channels, Activation::Sigmoid);
    decoder.push(LayerConfig::ConvTranspose(image));
    (encoder, decoder)
}

fn one() -> usize {
    1
}

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

/// Channels of the default's first convolution, and of the others.
const CHANNELS: [usize; 2] = [32, 64];
/// Convolutions halve an image until a side is no longer than this.
const SMALLEST: usize = 7;

/// The default's layers for images of a shape: as many convolutions as halve both of its sides (of odd ones, of which one
/// pixel more than the half is left, the kernel is odd), and two dense layers.
pub fn layers_for(shape: ImageShape) -> (Vec<LayerConfig>, Vec<LayerConfig>) {
    let activation = Activation::LeakyRelu(0.1);
    let conv = |channels, kernel, activation| ConvConfig {
        channels,
        kernel,
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
    let mut halvings = Vec::new();
    while rows.min(columns) > SMALLEST && rows % 2 == columns % 2 {
        let channels = CHANNELS[halvings.len().min(1)];
        let kernel = if rows % 2 == 0 { 4 } else { 3 };
        halvings.push((channels, kernel));
        (rows, columns) = (rows.div_ceil(2), columns.div_ceil(2));
    }
    let convs = halvings.iter();
    let convs =
        convs.map(|&(channels, kernel)| LayerConfig::Conv(conv(channels, kernel, activation)));
    let mut encoder: Vec<_> = convs.collect();
    encoder.push(dense(256, activation));
    let mut decoder = vec![dense(256, activation)];
    let Some(&(last, _)) = halvings.last() else {
        decoder.push(dense(shape.values(), Activation::Sigmoid));
        return (encoder, decoder);
    };
    decoder.push(dense(last * rows * columns, activation));
    decoder.push(LayerConfig::Reshape([last, rows, columns]));
    // Back through the same sizes, with the channels that are before each.
    for (number, &(_, kernel)) in halvings.iter().enumerate().rev() {
        let conv = match number {
            0 => conv(shape.channels, kernel, Activation::Sigmoid),
            _ => conv(halvings[number - 1].0, kernel, activation),
        };
        decoder.push(LayerConfig::ConvTranspose(conv));
    }
    (encoder, decoder)
}

fn one() -> usize {
    1
}

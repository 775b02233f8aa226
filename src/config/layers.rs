//! Layers as they are written in a configuration.

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

fn one() -> usize {
    1
}

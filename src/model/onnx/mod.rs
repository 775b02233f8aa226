//! Models as ONNX, for onnxruntime and others: an encoder or a decoder as the content of a file.

mod graph;
mod layers;
mod parts;

pub use parts::{decoder, encoder};

//! The layers of a model as a page's scripts read them.

use crate::data::ImageShape;
use crate::kernels::activation::Activation;
use crate::nn::layer::{LayerPlan, LinearMap};
use crate::nn::stage::Stage;
use serde_json::{Result, Value, json, to_value};

/// What encoder and decoder are made of.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    /// From images to the posterior.
    pub encoder: &'a [Stage<LayerPlan>],
    /// From latent vectors, with labels if it is told those, to images.
    pub decoder: &'a [Stage<LayerPlan>],
    /// Whether what the decoder ends with are logits: of these a page makes probabilities.
    pub ends_with_logits: bool,
    /// What goes in and comes out.
    pub shape: ImageShape,
}

impl Layers<'_> {
    /// Encoder and decoder, a list of layers each, the shape, and whether what the decoder ends with is a grid, which a
    /// page has as a plane a channel.
    pub(super) fn describe(&self) -> Result<Value> {
        let ImageShape {
            width,
            height,
            channels,
        } = self.shape;
        let mut decoder = layers(self.decoder)?;
        if let Some(last) = decoder.last_mut().filter(|_| self.ends_with_logits) {
            last["activation"] = activation(Activation::Sigmoid)?;
        }
        Ok(json!({
            "image": {"width": width, "height": height, "channels": channels},
            "encoder": layers(self.encoder)?,
            "decoder": decoder,
            "planes": matches!(self.decoder.last(), Some(Stage::Layer(last)) if is_grid(last)),
        }))
    }
}

fn is_grid(layer: &LayerPlan) -> bool {
    !matches!(layer.map, LinearMap::Dense { .. })
}

/// The layers with weights; of heads the first, the posterior's mean. A grid in planes is a list already.
fn layers(stages: &[Stage<LayerPlan>]) -> Result<Vec<Value>> {
    let layers = stages.iter().filter_map(|stage| stage.layers().first());
    layers.map(layer).collect()
}

fn layer(layer: &LayerPlan) -> Result<Value> {
    let (kind, geometry) = match layer.map {
        LinearMap::Dense { .. } => ("dense", None),
        LinearMap::Conv(geometry) => ("conv", Some(geometry)),
        LinearMap::ConvTranspose(geometry) => ("conv_transpose", Some(geometry)),
    };
    let mut described = json!({
        "name": layer.name,
        "kind": kind,
        "activation": activation(layer.activation)?,
    });
    if let Some(geometry) = geometry {
        described["large"] = json!(geometry.large);
        described["small"] = json!(geometry.small);
        described["kernel"] = json!(geometry.kernel);
        described["stride"] = json!(geometry.stride);
        described["pad"] = json!(geometry.pad);
    }
    Ok(described)
}

/// The name of an activation, and its slope if it has one.
fn activation(activation: Activation) -> Result<Value> {
    Ok(match to_value(activation)? {
        Value::Object(named) => named
            .into_iter()
            .flat_map(|(name, slope)| [name.into(), slope])
            .collect(),
        name => json!([name]),
    })
}

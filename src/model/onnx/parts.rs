//! The two parts of a model, each the content of an ONNX file.
//!
//! What comes in and goes out, with a first dimension of any size:
//!
//! | part | in | out |
//! | --- | --- | --- |
//! | encoder | `image` (channels, rows, columns), `label` | `mean`, `log_variance` (latent dimensions) |
//! | decoder | `latent` (latent dimensions), `label` | `image` (channels, rows, columns) |
//!
//! There is a `label`, an int64, where the model is told labels.

use super::graph::{Graph, Value, integer, integers};
use super::layers::{reshape, stage};
use crate::config::{Config, Likelihood};
use crate::data::ImageShape;
use crate::model::architecture::Architecture;
use crate::model::condition::Condition;
use crate::model::vae::Vae;
use crate::nn::layer::{LayerPlan, LinearMap};
use crate::nn::stage::Stage;
use crate::{Error, Result};
use candle_core::{DType, Tensor, Var};

const IMAGE: &str = "image";
const LABEL: &str = "label";
const LATENT: &str = "latent";
const MEAN: &str = "mean";
const LOG_VARIANCE: &str = "log_variance";

/// The encoder of a model; `about` goes into the file, too, keys and values.
///
/// # Errors
///
/// If the model is not that of the configuration.
pub fn encoder(config: &Config, vae: &Vae, about: &[(&str, String)]) -> Result<Vec<u8>> {
    let mut graph = Graph::default();
    let stages = Architecture::plan(config)?.encoder;
    weights(&mut graph, &stages, vae)?;
    let mut value = IMAGE.to_string();
    for of in &stages {
        value = stage(&mut graph, of, &value);
    }
    let mut inputs = vec![image(vae.image_shape())];
    if let Some(condition) = vae.condition() {
        inputs.push(label(condition));
    }
    let output = |name, meaning: &str| Value {
        name,
        whole: false,
        shape: vec![config.latent_dim],
        meaning: meaning.into(),
    };
    let outputs = [
        output(MEAN, "the mean of the image's posterior"),
        output(LOG_VARIANCE, "the natural logarithm of its variance"),
    ];
    Ok(file(graph, "encoder", [&inputs, &outputs], about))
}

/// The decoder of a model; `about` goes into the file, too, keys and values.
///
/// # Errors
///
/// As of [`encoder`].
pub fn decoder(config: &Config, vae: &Vae, about: &[(&str, String)]) -> Result<Vec<u8>> {
    let mut graph = Graph::default();
    let stages = Architecture::plan(config)?.decoder;
    weights(&mut graph, &stages, vae)?;
    let mut value = LATENT.to_string();
    let mut inputs = vec![Value {
        name: LATENT,
        whole: false,
        shape: vec![config.latent_dim],
        meaning: "a latent vector: a posterior's mean, or a sample, mean + exp(log_variance / 2) * epsilon".into(),
    }];
    if let Some(condition) = vae.condition() {
        inputs.push(label(condition));
        value = labelled(&mut graph, condition)?;
    }
    for of in &stages {
        value = stage(&mut graph, of, &value);
    }
    if config.likelihood == Likelihood::Bernoulli {
        graph.node("Sigmoid", &[&value], "probabilities", []);
        value = "probabilities".into();
    }
    to_image(&mut graph, &value, stages.last(), vae.image_shape());
    let outputs = [image(vae.image_shape())];
    Ok(file(graph, "decoder", [&inputs, &outputs], about))
}

/// The content of the file, which also says what each value is.
fn file(graph: Graph, name: &str, values: [&[Value]; 2], about: &[(&str, String)]) -> Vec<u8> {
    let meanings = values.concat();
    let meanings = meanings
        .into_iter()
        .map(|value| (value.name, value.meaning));
    let about: Vec<_> = about.iter().cloned().chain(meanings).collect();
    graph.into_file(name, values, &about)
}

/// Adds the weights and biases of the layers of some stages, under their names.
fn weights(graph: &mut Graph, stages: &[Stage<LayerPlan>], vae: &Vae) -> Result<()> {
    for layer in stages.iter().flat_map(Stage::layers) {
        let [weight, bias] = ["weight", "bias"].map(|kind| format!("{}.{kind}", layer.name));
        graph.floats(&weight, parameter(vae, &weight)?)?;
        let head = [MEAN, LOG_VARIANCE]
            .iter()
            .position(|name| *name == layer.name);
        match (head, vae.condition()) {
            (Some(head), Some(condition)) => {
                // What the label adds to a head goes into its bias, which there is one of for each label.
                let rows = vae.latent_dim();
                let added = condition.weight.narrow(0, head * rows, rows)?.t()?;
                let biases = added.broadcast_add(parameter(vae, &bias)?)?;
                let of_labels = format!("{}.biases", layer.name);
                graph.floats(&of_labels, &biases)?;
                graph.node("Gather", &[&of_labels, LABEL], &bias, []);
            }
            _ => graph.floats(&bias, parameter(vae, &bias)?)?,
        }
    }
    Ok(())
}

fn parameter<'a>(vae: &'a Vae, name: &str) -> Result<&'a Var> {
    let found = vae.parameters().iter().find(|(of, _)| of == name);
    let missing = || Error::failed("the model", format!("`{name}` is missing"));
    Ok(&found.ok_or_else(missing)?.1)
}

/// Adds what the decoder of a conditional model reads: latent vectors with their labels, 1 at the label and 0 elsewhere,
/// which is a row of the identity. (`OneHot` would take a label that the model does not know for none at all.)
fn labelled(graph: &mut Graph, condition: &Condition) -> Result<String> {
    let rows = Tensor::eye(condition.classes, DType::F32, condition.weight.device())?;
    graph.floats("label.rows", &rows)?;
    graph.node("Gather", &["label.rows", LABEL], "label.row", []);
    let output = "latent.labelled";
    graph.node(
        "Concat",
        &[LATENT, "label.row"],
        output,
        [integer("axis", 1)],
    );
    Ok(output.into())
}

/// Adds the way from what the last stage writes to images: from grids, or from values with the channels of a pixel beside
/// each other.
fn to_image(graph: &mut Graph, values: &str, last: Option<&Stage<LayerPlan>>, shape: ImageShape) {
    let ImageShape {
        height,
        width,
        channels,
    } = shape;
    let is_grid = match last {
        Some(Stage::Layer(layer)) => !matches!(layer.map, LinearMap::Dense { .. }),
        Some(Stage::Unflatten(_)) => true,
        _ => false,
    };
    if is_grid || channels == 1 {
        return reshape(graph, values, [channels, height, width], IMAGE);
    }
    let pixels = "image.pixels";
    reshape(graph, values, [height, width, channels], pixels);
    graph.node(
        "Transpose",
        &[pixels],
        IMAGE,
        [integers("perm", &[0, 3, 1, 2])],
    );
}

fn image(shape: ImageShape) -> Value {
    let values = match shape.channels {
        1 => "grey, from 0 (black) to 1 (white)",
        _ => "red, green and blue, from 0 (dark) to 1 (light)",
    };
    Value {
        name: IMAGE,
        whole: false,
        shape: vec![shape.channels, shape.height, shape.width],
        meaning: format!("channels, rows and columns of an image; {values}"),
    }
}

fn label(condition: &Condition) -> Value {
    Value {
        name: LABEL,
        whole: true,
        shape: Vec::new(),
        meaning: format!("what the image shows, from 0 to {}", condition.classes - 1),
    }
}

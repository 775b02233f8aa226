//! The page: its text, style and scripts, and a model within.

use super::controls::{SLIDERS, buttons, colour, escaped, options, sliders};
use super::layers::Layers;
use super::tensors::Tensors;
use crate::picture::scatter::COLOURS;
use crate::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// In the order in which they use each other.
const SCRIPTS: [&str; 3] = [
    include_str!("network.js"),
    include_str!("drawing.js"),
    include_str!("page.js"),
];

/// What there is to say of a model and of its test images.
#[derive(Debug, Clone)]
pub struct About {
    /// What it is called.
    pub name: String,
    /// What it was trained on, and the like.
    pub about: String,
    /// The latent dimensions, the most active first.
    pub dimensions: Vec<usize>,
    /// Whether encoder and decoder are told labels.
    pub conditional: bool,
    /// What the labels are called, where there are any.
    pub labels: Vec<String>,
    /// Whether pictures are light ink on a dark ground: a drawing is then put into the middle.
    pub ink: bool,
    /// Whether pixels are black or white.
    pub binary: bool,
    /// The label of each test image whose mean there is.
    pub test_labels: Vec<u8>,
}

/// A page as HTML. Tensors are by their names in the model; besides, `test.mean` has the posterior means of test
/// images: (images, latent dimensions).
///
/// # Errors
///
/// If a model cannot be written as JSON.
pub fn page(about: &About, layers: Layers, tensors: &Tensors) -> Result<String> {
    let model = model(about, layers, tensors).map_err(|error| Error::failed("page", error))?;
    let part = |mark: &str| match mark {
        "name" => escaped(&about.name),
        "about" => escaped(&about.about),
        "style" => STYLE.into(),
        "script" => SCRIPTS.join("\n"),
        // Within a script nothing else could end it; to JSON it is the same.
        "model" => model.to_string().replace('<', "\\u003c"),
        "tensors" => STANDARD.encode(&tensors.bytes),
        "size" => {
            let shape = layers.shape;
            format!(" width=\"{}\" height=\"{}\"", shape.width, shape.height)
        }
        other => control(about, other),
    };
    let mut page = String::new();
    let mut rest = PAGE;
    while let Some((before, (mark, after))) = rest
        .split_once("{{")
        .and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
    {
        page += before;
        page += &part(mark);
        rest = after;
    }
    Ok(page + rest)
}

/// What of the page to press and to read depends on the model.
fn control(about: &About, mark: &str) -> String {
    let (dimensions, images) = (&about.dimensions, about.test_labels.len());
    let leads =
        |label| about.conditional || about.test_labels.iter().any(|&l| usize::from(l) == label);
    match mark {
        "labels" => buttons(&about.labels, leads),
        "labels-help" if about.conditional => "What to draw".into(),
        "labels-help" => "Walk to a test image that shows".into(),
        "across" => options(dimensions, 0),
        "up" => options(dimensions, 1.min(dimensions.len() - 1)),
        "dots-help" if images > 0 => {
            format!("Each of the {images} dots is a test image, at its posterior mean.")
        }
        "dots-help" => {
            "No test images were in reach as this page was made: there are no dots.".into()
        }
        "sliders" => sliders(dimensions),
        "sliders-help" if dimensions.len() > SLIDERS => format!(
            "The {SLIDERS} most active of {}; the others stay as they are.",
            dimensions.len()
        ),
        // Ink is white on black.
        "colours" if about.ink => " hidden".into(),
        _ => String::new(),
    }
}

/// All that the scripts are told.
fn model(about: &About, layers: Layers, tensors: &Tensors) -> serde_json::Result<Value> {
    let mut model = layers.describe()?;
    model["latent_dim"] = json!(about.dimensions.len());
    model["conditional"] = json!(about.conditional);
    model["labels"] = json!(about.labels);
    model["ink"] = json!(about.ink);
    model["binary"] = json!(about.binary);
    model["test_labels"] = json!(about.test_labels);
    model["colours"] = json!((0..COLOURS.len()).map(colour).collect::<Vec<_>>());
    model["tensors"] = serde_json::to_value(&tensors.places)?;
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_at_most_400_lines_of_scripts() {
        let lines = SCRIPTS.map(|script| script.lines().count());
        assert!(lines.iter().sum::<usize>() <= 400, "{lines:?}");
    }
}

//! Labels, as a person names them.

use crate::config::Config;
use crate::model::Vae;
use crate::{Error, Result};

/// The label that is asked for, by the name that the data gave it, or by its number.
///
/// # Errors
///
/// If it is none that the model knows, or the model knows no labels.
pub(super) fn label_of(asked: Option<&str>, (config, vae): (&Config, &Vae)) -> Result<Option<u8>> {
    let Some(asked) = asked else {
        return Ok(None);
    };
    let condition = vae.condition().ok_or_else(|| unconditional("--label"))?;
    let named = config.labels.iter().position(|name| name == asked);
    let label = named.or_else(|| asked.parse().ok());
    match label.filter(|&label| label < condition.classes) {
        Some(label) => Ok(Some(label as u8)),
        None => {
            let names = match config.labels.is_empty() {
                true => format!("0 to {}", condition.classes - 1),
                false => config.labels.join(", "),
            };
            let why = format!("`{asked}` is none of the model's labels: {names}");
            Err(Error::input("--label", why))
        }
    }
}

/// Says that a flag wants a model that is told labels.
pub(super) fn unconditional(flag: &str) -> Error {
    let why = "the model was not told labels as it was trained";
    Error::input(flag, why).hint("train one that is: \"conditional\": true in its configuration")
}

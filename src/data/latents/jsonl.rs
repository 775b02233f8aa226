//! Latent vectors as JSON, one object a line.

use super::encoded::{Encoded, LABEL, Latents};
use super::rows::Rows;
use serde_json::{Map, Value};

/// The content of a file.
pub(super) fn write(encoded: &Encoded) -> Result<Vec<u8>, String> {
    let mut file = String::new();
    for image in 0..encoded.len() {
        let label = encoded
            .labels
            .iter()
            .map(|labels| format!("\"{LABEL}\":{}", labels[image]));
        let mut fields: Vec<String> = label.collect();
        for (name, values) in encoded.of_image(image) {
            let values = serde_json::to_string(values).map_err(|error| error.to_string())?;
            fields.push(format!("\"{name}\":{values}"));
        }
        file += &format!("{{{}}}\n", fields.join(","));
    }
    Ok(file.into_bytes())
}

/// The latent vectors in lines: objects of which those of others have an array, or a number a dimension; or arrays.
pub(super) fn read(content: &[u8]) -> Result<Latents, String> {
    let text = std::str::from_utf8(content).map_err(|_| "it is no text")?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let (mut names, mut rows) = (Vec::new(), None);
    for (number, line) in lines {
        let line_number = number + 1;
        let value: Value =
            serde_json::from_str(line).map_err(|_| format!("line {line_number} is no JSON"))?;
        let (found, fields) = columns(value);
        let rows = match &mut rows {
            Some(_) if found != names => {
                return Err(format!("line {line_number} has other names than line 1"));
            }
            Some(rows) => rows,
            None => {
                names = found;
                rows.insert(Rows::with_columns(names.iter().map(String::as_str))?)
            }
        };
        rows.push(line_number as u64, |place| {
            fields.get(place).map(Value::to_string)
        })?;
    }
    rows.ok_or("it is empty")?.latents()
}

/// The columns of a line: each array has as many as values.
fn columns(line: Value) -> (Vec<String>, Vec<Value>) {
    let fields = match line {
        Value::Object(fields) => fields,
        other => Map::from_iter([(String::new(), other)]),
    };
    let columns = fields.into_iter().flat_map(|(name, value)| match value {
        Value::Array(values) => {
            let values = values.into_iter().enumerate();
            let named = values.map(|(place, value)| (format!("{name}{place}"), value));
            named.collect::<Vec<_>>()
        }
        value => vec![(name, value)],
    });
    columns.unzip()
}

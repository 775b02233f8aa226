//! Latent vectors as JSON, one object a line.

use super::encoded::{Encoded, LABEL, LATENT, Latents, MEAN, Wanted};
use super::rows::Rows;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// No line is longer.
const LONGEST_LINE: usize = 1 << 20;

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

/// The latent vectors in lines: each an array, or an object that has one under a name, or a number a dimension.
pub(super) fn read(content: &[u8], wanted: Wanted) -> Result<Latents, String> {
    let text = std::str::from_utf8(content).map_err(|_| "it is no text")?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let mut found: Option<(Vec<String>, Rows)> = None;
    for (number, line) in lines {
        let line_number = number as u64 + 1;
        if line.len() > LONGEST_LINE {
            return Err(format!(
                "line {line_number} is longer than {LONGEST_LINE} bytes"
            ));
        }
        let value: Value = serde_json::from_str(line).map_err(|error| {
            format!("line {line_number} is no JSON object or array of its own: {error}")
        })?;
        let mut fields = fields(value);
        let (names, rows) = match &mut found {
            Some(found) => found,
            None => {
                let names = names(&fields, wanted.labels);
                let rows = Rows::with_columns(names.iter().map(String::as_str), wanted)?;
                found.insert((names, rows))
            }
        };
        let values = names
            .iter()
            .map(|name| fields.remove(name).unwrap_or_default());
        let values: Vec<String> = values.collect();
        if fields.keys().any(|name| belongs_to(name, names)) {
            let found = format!("line {line_number} has more numbers than the first");
            return Err(found);
        }
        rows.push(line_number, |place| &values[place])?;
    }
    found.ok_or("it is empty")?.1.latents()
}

/// The fields of a line as they are written, by name; of an array each value, by the array's name and its place.
fn fields(line: Value) -> BTreeMap<String, String> {
    let fields = match line {
        Value::Object(fields) => fields,
        other => Map::from_iter([(String::new(), other)]),
    };
    let fields = fields.into_iter().flat_map(|(name, value)| match value {
        Value::Array(values) => {
            let values = values.into_iter().enumerate();
            let named = values.map(|(place, value)| (format!("{name}{place}"), value.to_string()));
            named.collect::<Vec<_>>()
        }
        value => vec![(name, value.to_string())],
    });
    fields.collect()
}

/// The names of those fields that latent vectors can be made of, and of the label.
fn names(fields: &BTreeMap<String, String>, label: bool) -> Vec<String> {
    let known = [LATENT, MEAN, ""]
        .into_iter()
        .find(|known| fields.contains_key(&format!("{known}0")));
    let of_known = known.into_iter().flat_map(|known| {
        let names = (0..).map(move |place| format!("{known}{place}"));
        names.take_while(|name| fields.contains_key(name))
    });
    let label = (label && fields.contains_key(LABEL)).then(|| LABEL.to_string());
    of_known.chain(label).collect()
}

/// Whether a field would be the next of these.
fn belongs_to(name: &str, names: &[String]) -> bool {
    let stem = |name: &str| {
        name.trim_end_matches(|letter: char| letter.is_ascii_digit())
            .to_string()
    };
    let next = names.iter().filter(|name| *name != LABEL).count();
    names
        .first()
        .is_some_and(|first| name == format!("{}{next}", stem(first)))
}

//! Latent vectors as comma-separated values, as pandas and NumPy read and write them.

use super::encoded::{Encoded, LABEL, Latents};
use super::rows::Rows;
use ::csv::{ReaderBuilder, StringRecord, Trim, Writer};

/// The content of a file.
pub(super) fn write(encoded: &Encoded) -> Result<Vec<u8>, String> {
    let failed = |error: ::csv::Error| error.to_string();
    let mut writer = Writer::from_writer(Vec::new());
    let dimensions = 0..encoded.latent_dim;
    let names = encoded.parts.iter();
    let names = names.flat_map(|(name, _)| dimensions.clone().map(move |d| format!("{name}{d}")));
    let label = encoded.labels.iter().map(|_| LABEL.to_string());
    writer.write_record(label.chain(names)).map_err(failed)?;
    for image in 0..encoded.len() {
        let label = encoded
            .labels
            .iter()
            .map(|labels| labels[image].to_string());
        let values = encoded.of_image(image).flat_map(|(_, values)| values);
        // The shortest text that is read as the same number.
        let values = values.map(|value| format!("{value:?}"));
        writer.write_record(label.chain(values)).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| error.to_string())
}

/// The latent vectors in a table: with a first line of names, or with numbers alone. A first column without a name is an
/// index.
pub(super) fn read(content: &[u8]) -> Result<Latents, String> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(content);
    let mut record = StringRecord::new();
    let mut next = |record: &mut StringRecord| {
        let found = reader.read_record(record);
        found.map_err(|_| "it is neither an array nor a table of numbers".to_string())
    };
    next(&mut record)?;
    let columns = record.len();
    let is_number = |field: &str| field.parse::<f32>().is_ok();
    let counts = record.iter().enumerate();
    let counts = counts
        .into_iter()
        .all(|(column, name)| name == column.to_string());
    let has_names = counts || !record.iter().all(is_number);
    let mut rows = match has_names {
        true => Rows::with_columns(record.iter())?,
        false => {
            let names: Vec<String> = (0..columns).map(|column| column.to_string()).collect();
            Rows::with_columns(names.iter().map(String::as_str))?
        }
    };
    let mut more = !has_names || next(&mut record)?;
    while more {
        let line = record.position().map_or(0, ::csv::Position::line);
        if record.len() != columns {
            return Err(format!(
                "line {line} has {} of {columns} columns",
                record.len()
            ));
        }
        rows.push(line, |place| record.get(place).map(str::to_string))?;
        more = next(&mut record)?;
    }
    rows.latents()
}

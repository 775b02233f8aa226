//! Latent vectors as comma-separated values, as pandas and NumPy read and write them.

use super::encoded::{Encoded, LABEL, Latents, Wanted};
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
pub(super) fn read(content: &[u8], wanted: Wanted) -> Result<Latents, String> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(content);
    let mut record = StringRecord::new();
    // Lines of nothing but spaces are as good as none.
    let mut next = |record: &mut StringRecord| loop {
        match reader.read_record(record) {
            Ok(true) if record.len() == 1 && record[0].is_empty() => {}
            Ok(found) => return Ok(found),
            Err(error) => {
                return Err(format!(
                    "it is neither an array nor a table of numbers: {error}"
                ));
            }
        }
    };
    next(&mut record)?;
    let columns = record.len();
    let mut rows = match has_names(&record) {
        true => {
            // NumPy begins a line of names so.
            let names = record
                .iter()
                .map(|name| name.trim_start_matches(['#', ' ']));
            let rows = Rows::with_columns(names, wanted)?;
            next(&mut record)?;
            rows
        }
        false => {
            let names: Vec<String> = (0..columns).map(|column| column.to_string()).collect();
            Rows::with_columns(names.iter().map(String::as_str), wanted)?
        }
    };
    while !record.is_empty() {
        let line = record.position().map_or(0, ::csv::Position::line);
        if record.len() != columns {
            return Err(format!(
                "line {line} has {} of {columns} columns",
                record.len()
            ));
        }
        rows.push(line, |place| &record[place])?;
        next(&mut record)?;
    }
    rows.latents()
}

/// Whether a first line has names, and not numbers: 0, 1, 2 and so on are names, as pandas gives them; of one column a
/// number.
fn has_names(record: &StringRecord) -> bool {
    let is_number = |field: &str| field.parse::<f32>().is_ok();
    let mut places = record.iter().enumerate();
    let counts = record.len() > 1 && places.all(|(column, name)| name == column.to_string());
    counts || !record.iter().all(is_number)
}

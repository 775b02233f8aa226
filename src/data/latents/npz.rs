//! Latent vectors in NumPy's archives: ZIP files that hold an array file a name.

use super::encoded::{Encoded, LABEL, LATENT, Latents, MEAN};
use super::rows::label;
use crate::data::npy::{self, Array};
use std::io::{Cursor, Read, Write};
use zip::read::ZipArchive;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

/// What such a file starts with.
pub(super) const MAGIC: &[u8] = b"PK";

/// Deflate cannot pack more than this many bytes into one.
const DEFLATE_LIMIT: u64 = 1032;

/// The content of a file. The same arrays make the same bytes, whatever the time.
pub(super) fn write(encoded: &Encoded) -> Result<Vec<u8>, String> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default());
    let parts = encoded.parts.iter();
    let parts = parts.map(|(name, values)| {
        (
            *name,
            npy::floats(values, &[encoded.len(), encoded.latent_dim]),
        )
    });
    let labels = encoded.labels.iter();
    let labels = labels.map(|labels| (LABEL, npy::bytes(labels, &[labels.len()])));
    for (name, array) in parts.chain(labels) {
        let begun = writer.start_file(format!("{name}.npy"), options);
        begun.map_err(|error| error.to_string())?;
        writer
            .write_all(&array)
            .map_err(|error| error.to_string())?;
    }
    let file = writer.finish().map_err(|error| error.to_string())?;
    Ok(file.into_inner())
}

/// The latent vectors in an archive: its `latent`, else its `mean`, else its only array besides `label`.
pub(super) fn read(content: &[u8]) -> Result<Latents, String> {
    let damaged = |error: &dyn std::fmt::Display| format!("it is no usable archive: {error}");
    let mut archive = ZipArchive::new(Cursor::new(content)).map_err(|error| damaged(&error))?;
    let names = archive.file_names().filter_map(Result::ok);
    let names: Vec<String> = names.map(String::from).collect();
    let has = |name: &str| names.iter().any(|of| of.strip_suffix(".npy") == Some(name));
    let others: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".npy"))
        .filter(|&name| name != LABEL)
        .collect();
    let name = match (
        [LATENT, MEAN].into_iter().find(|name| has(name)),
        &others[..],
    ) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => return Err("there is no array `latent` or `mean` in it".into()),
    };
    let mut array = |name: &str| {
        let of_array = |why: &dyn std::fmt::Display| format!("its array `{name}`: {why}");
        let mut file = archive
            .by_name(&format!("{name}.npy"))
            .map_err(|error| of_array(&error))?;
        let most = content.len() as u64 * DEFLATE_LIMIT;
        let mut array = Vec::new();
        let read = file.by_ref().take(most).read_to_end(&mut array);
        read.map_err(|error| of_array(&error))?;
        npy::read(&array).map_err(|why| of_array(&why))
    };
    let vectors = array(name)?;
    let labels = if has(LABEL) {
        Some(array(LABEL)?)
    } else {
        None
    };
    latents(vectors, labels)
}

/// Latent vectors of arrays.
///
/// # Shapes
///
/// - vectors: (vectors, latent dimensions), or (latent dimensions) of one
/// - labels: (vectors)
pub(super) fn latents(vectors: Array, labels: Option<Array>) -> Result<Latents, String> {
    let latent_dim = match vectors.shape[..] {
        [latent_dim] | [_, latent_dim] if !vectors.values.is_empty() => latent_dim,
        _ => {
            let shape = vectors.shape;
            return Err(format!(
                "its array has the shape {shape:?}, not (vectors, latent dimensions)"
            ));
        }
    };
    if let Some(place) = vectors.values.iter().position(|value| !value.is_finite()) {
        let (row, column) = (place / latent_dim, place % latent_dim);
        let value = vectors.values[place];
        return Err(format!(
            "element [{row}, {column}] is {value}, which is not finite"
        ));
    }
    let count = vectors.values.len() / latent_dim;
    let labels = labels.map(|labels| {
        let found: Vec<u8> = labels
            .values
            .iter()
            .filter_map(|&value| label(value))
            .collect();
        match found.len() == count && labels.values.len() == count {
            true => Ok(found),
            false => Err(format!(
                "its `label` does not hold {count} labels from 0 to 255"
            )),
        }
    });
    Ok(Latents {
        latent_dim,
        values: vectors.values,
        labels: labels.transpose()?,
    })
}

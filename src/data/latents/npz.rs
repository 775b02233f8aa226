//! Latent vectors in NumPy's archives.

use super::encoded::{Encoded, LABEL, LATENT, Latents, MEAN, Wanted};
use super::rows::label;
use crate::data::npy::{self, Array};
use crate::data::npz::{self, Archive};

/// The content of a file.
pub(super) fn write(encoded: &Encoded) -> Result<Vec<u8>, String> {
    let shape = [encoded.len(), encoded.latent_dim];
    let parts = encoded.parts.iter();
    let parts = parts.map(|(name, values)| (*name, npy::floats(values, &shape)));
    let labels = encoded.labels.iter();
    let labels = labels.map(|labels| (LABEL, npy::bytes(labels, &[labels.len()])));
    npz::write(parts.chain(labels))
}

/// Numbers that an archive may hold whatever its own size: so many latent vectors of zeros are packed well.
const MOST_PACKED: usize = 4 << 20;

/// The latent vectors in an archive: its `latent`, else its `mean`, else its only array besides `label`.
pub(super) fn read(content: &[u8], wanted: Wanted) -> Result<Latents, String> {
    let mut archive = Archive::open(content)?;
    let known = [LATENT, MEAN].into_iter().find(|name| archive.has(name));
    let others = archive.names.iter().filter(|name| *name != LABEL);
    let others: Vec<&String> = others.collect();
    let name = match (known, &others[..]) {
        (Some(name), _) => name.to_string(),
        (None, [only]) => only.to_string(),
        (None, _) => return Err("there is no array `latent` or `mean` in it".into()),
    };
    let vectors = archive.array(&name, MOST_PACKED.max(content.len()))?;
    let labels = match wanted.labels && archive.has(LABEL) {
        true => Some(archive.array(LABEL, wanted.most)?),
        false => None,
    };
    latents(vectors, labels, wanted)
}

/// Latent vectors of arrays.
///
/// # Shapes
///
/// - vectors: (vectors, latent dimensions), or (latent dimensions) of one
/// - labels: (vectors)
pub(super) fn latents(
    vectors: Array,
    labels: Option<Array>,
    wanted: Wanted,
) -> Result<Latents, String> {
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
    if count > wanted.most {
        return Err(format!(
            "it holds {count} vectors, more than {}",
            wanted.most
        ));
    }
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

//! Weights in files: safetensors, with PyTorch's names and layouts and our configuration beside them.

use crate::checksum::sha256;
use crate::config::Config;
use crate::{Error, Result, files};
use candle_core::{Device, Tensor};
use half::f16;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;

/// No file of ours is larger: the largest model with its moments.
pub const LARGEST_FILE: u64 = 2 << 30;

/// The header's one key of our own. There is only one because several have no fixed order, and the
/// same weights should be the same bytes.
const KEY: &str = "vae";

/// What stands in a file for its digest while the digest is computed.
const NO_DIGEST: [u8; 64] = [b'0'; 64];

/// A description with the SHA-256 of the file that it is in, in hexadecimal digits.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<D> {
    sha256: String,
    description: D,
}

/// Tensors by name, all f32.
pub type Tensors = HashMap<String, Tensor>;

/// The bytes of a safetensors file with `tensors` and, in its header, `description` as JSON.
pub fn to_bytes<'a>(
    tensors: impl IntoIterator<Item = (String, &'a Tensor)>,
    description: &impl Serialize,
) -> Result<Vec<u8>> {
    let broken = |error: &dyn std::fmt::Display| Error::failed("safetensors", error);
    let mut raw = Vec::new();
    for (name, tensor) in tensors {
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        let mut bytes = vec![0; 4 * values.len()];
        let (places, _) = bytes.as_chunks_mut::<4>();
        for (place, value) in places.iter_mut().zip(values) {
            *place = value.to_le_bytes();
        }
        raw.push((name, tensor.dims().to_vec(), bytes));
    }
    let views = raw.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        view.map(|view| (name.as_str(), view))
    });
    let views = views.collect::<std::result::Result<Vec<_>, _>>();
    let views = views.map_err(|error| broken(&error))?;
    let sealed = Sealed {
        sha256: String::from_utf8_lossy(&NO_DIGEST).into_owned(),
        description,
    };
    let sealed = serde_json::to_string(&sealed).map_err(|error| broken(&error))?;
    let header = HashMap::from([(KEY.to_string(), sealed)]);
    let mut file = serialize(views, Some(header)).map_err(|error| broken(&error))?;
    seal(&mut file, &NO_DIGEST);
    Ok(file)
}

/// Puts the digest of a file in the place of `digest`, which is in its header, and tells it. The digest
/// is taken with zeros in its own place.
pub fn seal(file: &mut [u8], digest: &[u8]) -> Option<String> {
    let place = file
        .windows(NO_DIGEST.len())
        .position(|part| part == digest)?;
    file[place..][..NO_DIGEST.len()].copy_from_slice(&NO_DIGEST);
    let digest = sha256(&[file]);
    file[place..][..NO_DIGEST.len()].copy_from_slice(digest.as_bytes());
    Some(digest)
}

/// What is in a safetensors file of ours: its tensors and the description in its header.
///
/// # Errors
///
/// If the file cannot be read, has no such description, or is not, to the bit, what was written.
pub fn read<D: DeserializeOwned>(path: &Path) -> Result<(Tensors, D)> {
    from_bytes(files::read(path, LARGEST_FILE)?, &path.display())
}

/// What is in the content of a safetensors file of ours, which is called `name`.
///
/// # Errors
///
/// As of [`read`].
pub fn from_bytes<D: DeserializeOwned>(
    mut bytes: Vec<u8>,
    name: &dyn Display,
) -> Result<(Tensors, D)> {
    if bytes.is_empty() {
        return Err(Error::input(name, "is empty"));
    }
    let damaged =
        |error: &dyn Display| Error::input(name, format!("is not a whole weights file: {error}"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(&error))?;
    let description = header.metadata().as_ref().and_then(|map| map.get(KEY));
    let description = description.ok_or_else(|| {
        Error::input(name, "has no configuration in its header")
            .hint("give a model.safetensors that `vae train` wrote")
    })?;
    let sealed: Sealed<D> = serde_json::from_str(description).map_err(|error| damaged(&error))?;
    if seal(&mut bytes, sealed.sha256.as_bytes()).as_ref() != Some(&sealed.sha256) {
        return Err(damaged(&"its content does not fit its checksum"));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(&error))?;
    let mut tensors = Tensors::new();
    for (name, view) in file.iter() {
        let values = numbers(&view).map_err(|why| damaged(&format!("`{name}` {why}")))?;
        let tensor = Tensor::from_vec(values, view.shape(), &Device::Cpu)?;
        tensors.insert(name.to_string(), tensor);
    }
    Ok((tensors, sealed.description))
}

/// The numbers of a tensor in a file.
fn numbers(view: &TensorView) -> std::result::Result<Vec<f32>, &'static str> {
    let data = view.data();
    let (values, rest) = match view.dtype() {
        Dtype::F32 => {
            let (values, rest) = data.as_chunks::<4>();
            let values = values.iter().map(|&bytes| f32::from_le_bytes(bytes));
            (values.collect(), rest)
        }
        Dtype::F16 => {
            let (values, rest) = data.as_chunks::<2>();
            let values = values
                .iter()
                .map(|&bytes| f16::from_le_bytes(bytes).to_f32());
            (values.collect(), rest)
        }
        _ => return Err("is of neither type f32 nor f16"),
    };
    match rest.is_empty() {
        true => Ok(values),
        false => Err("ends within a number"),
    }
}

/// The part of a configuration that made a model what it is: not where its data lay or how often it
/// was saved, so that those leave no trace in its file.
pub fn description(config: &Config) -> Result<serde_json::Value> {
    let mut value = serde_json::to_value(config).map_err(|e| Error::failed("config", e))?;
    if let Some(keys) = value.as_object_mut() {
        for key in [
            "data",
            "image_every",
            "save_every",
            "eval_every",
            "tensorboard",
        ] {
            keys.remove(key);
        }
    }
    Ok(value)
}

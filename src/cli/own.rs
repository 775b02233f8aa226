//! One's own pictures, as a model sees them.

use crate::Result;
use crate::config::Config;
use crate::data::Split;
use crate::picture::photo;
use std::path::PathBuf;

/// One's own pictures, which all show `label`, as a model of a configuration sees them.
///
/// # Errors
///
/// If one is no picture.
pub(super) fn own_pictures(paths: &[PathBuf], label: u8, config: &Config) -> Result<Split> {
    let shape = config.image_shape();
    let mut pixels = Vec::new();
    for path in paths {
        let values = photo::read_picture(path, shape)?;
        pixels.extend(values.iter().map(|value| (value * 255.0).round() as u8));
    }
    let pictures = Split {
        pixels,
        labels: vec![label; paths.len()],
        shape,
    };
    Ok(config.binarize.split(pictures, config.seed))
}

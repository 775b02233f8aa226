//! Pictures one after the other, as GIF files.

use super::grid;
use crate::data::ImageShape;
use crate::{Error, Result};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame};
use std::time::Duration;

/// How long a picture is shown.
const SHOWN: Duration = Duration::from_millis(80);

/// Frames as an animation that runs there and back, for ever. A frame is a grid of pictures of `columns` columns; all have
/// as many pictures.
///
/// # Errors
///
/// If the frames are larger than a GIF file holds: 65,535 pixels a side.
pub fn gif(frames: &[Vec<f32>], shape: ImageShape, columns: usize) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let failed = |error: image::ImageError| Error::failed("GIF", error);
    let mut encoder = GifEncoder::new_with_speed(&mut file, 10);
    encoder.set_repeat(Repeat::Infinite).map_err(failed)?;
    let back = (1..frames.len().saturating_sub(1)).rev();
    for index in (0..frames.len()).chain(back) {
        let picture = grid::image(&frames[index], shape, columns)?;
        let delay = Delay::from_saturating_duration(SHOWN);
        let frame = Frame::from_parts(picture.to_rgba8(), 0, 0, delay);
        encoder.encode_frame(frame).map_err(failed)?;
    }
    drop(encoder);
    Ok(file)
}

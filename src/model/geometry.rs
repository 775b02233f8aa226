//! From the numbers of a convolution to its geometry.

use crate::config::{ConvConfig, PaddingConfig};
use crate::kernels::geometry::Geometry;

/// Checks a number that a layer is given.
///
/// # Errors
///
/// What it must be.
pub(super) fn in_range(
    name: &str,
    value: usize,
    least: usize,
    most: usize,
) -> std::result::Result<(), String> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(format!(
            "{name} must be from {least} to {most}, found {value}"
        ))
    }
}

fn check(conv: &ConvConfig) -> std::result::Result<(), String> {
    in_range("channels", conv.channels, 1, 4096)?;
    in_range("kernel", conv.kernel, 1, 64)?;
    in_range("stride", conv.stride, 1, 64)?;
    if let PaddingConfig::Pixels(pixels) = conv.padding {
        in_range("padding", pixels, 0, conv.kernel - 1)?;
    }
    Ok(())
}

/// Rows (or columns) of zeros before a grid of `large` for a convolution to `small`, so that they are
/// evenly spread and the odd one comes after.
fn pad_before(large: usize, small: usize, kernel: usize, stride: usize) -> usize {
    ((small - 1) * stride + kernel).saturating_sub(large) / 2
}

/// The geometry of a convolution that reads a grid of `large` rows, columns and channels.
///
/// # Errors
///
/// What is wrong with it, if the two do not fit.
pub fn convolution(large: [usize; 3], conv: &ConvConfig) -> std::result::Result<Geometry, String> {
    check(conv)?;
    let (kernel, stride) = (conv.kernel, conv.stride);
    let side = |size: usize| match conv.padding {
        PaddingConfig::Same => Ok(size.div_ceil(stride)),
        PaddingConfig::Pixels(pixels) => match (size + 2 * pixels).checked_sub(kernel) {
            Some(room) => Ok(room / stride + 1),
            None => Err(format!(
                "a kernel of {kernel} is larger than its input of {size}"
            )),
        },
    };
    let small = [side(large[0])?, side(large[1])?, conv.channels];
    geometry(large, small, conv)
}

/// The geometry of a transposed convolution that reads a grid of `small` rows, columns and channels.
///
/// # Errors
///
/// What is wrong with it, if the two do not fit.
pub fn transposed_convolution(
    small: [usize; 3],
    conv: &ConvConfig,
) -> std::result::Result<Geometry, String> {
    check(conv)?;
    let side = |size: usize| match conv.padding {
        PaddingConfig::Same => Ok(size * conv.stride),
        PaddingConfig::Pixels(pixels) => ((size - 1) * conv.stride + conv.kernel)
            .checked_sub(2 * pixels)
            .filter(|&side| side > 0)
            .ok_or_else(|| format!("a padding of {pixels} leaves nothing of its output")),
    };
    let large = [side(small[0])?, side(small[1])?, conv.channels];
    geometry(large, small, conv)
}

fn geometry(
    large: [usize; 3],
    small: [usize; 3],
    conv: &ConvConfig,
) -> std::result::Result<Geometry, String> {
    let pad = |axis: usize| match conv.padding {
        PaddingConfig::Same => pad_before(large[axis], small[axis], conv.kernel, conv.stride),
        PaddingConfig::Pixels(pixels) => pixels,
    };
    Ok(Geometry {
        large,
        small,
        kernel: conv.kernel,
        stride: conv.stride,
        pad: [pad(0), pad(1)],
    })
}

//! Where the values lie that a kernel reads at the places of a small grid.

use crate::kernels::geometry::Geometry;

/// Neighbouring channels or taps that vectors are made of, whatever their length.
const CHANNEL_BLOCK: usize = 16;
/// With more channels, patches are worth their copies.
const MOST_CHANNELS: usize = 4;

/// Whether [`super::forward()`] and [`super::backward_weights()`] can do it.
pub fn has_few_channels(geometry: &Geometry) -> bool {
    geometry.large[2] <= MOST_CHANNELS && geometry.small[2].is_multiple_of(CHANNEL_BLOCK)
}

/// Whether [`super::backward_data()`] can do it.
pub fn has_blocks_of_taps(geometry: &Geometry) -> bool {
    geometry.large[2] <= MOST_CHANNELS
        && geometry.patch_len().is_multiple_of(CHANNEL_BLOCK)
        && geometry.kernel.is_multiple_of(geometry.stride)
}

/// Values of a row of the kernel.
#[inline(always)]
pub fn kernel_row(geometry: &Geometry) -> usize {
    geometry.kernel * geometry.large[2]
}

/// Values of the padded grid from a place to the next.
#[inline(always)]
pub fn place_step(geometry: &Geometry) -> usize {
    geometry.stride * geometry.large[2]
}

/// Values of a row of the padded grid.
#[inline(always)]
pub fn padded_row_len(geometry: &Geometry) -> usize {
    (geometry.small[1] - 1) * place_step(geometry) + kernel_row(geometry)
}

/// The row of the padded grid that the kernel's row `tap_row` reads at the row `row` of the small grid.
#[inline(always)]
pub fn padded_row<'a>(
    geometry: &Geometry,
    padded: &'a [f32],
    row: usize,
    tap_row: usize,
) -> &'a [f32] {
    let len = padded_row_len(geometry);
    &padded[(row * geometry.stride + tap_row) * len..][..len]
}

/// Places that are handled at a time at most.
pub const MOST_PLACES: usize = 8;

/// How many of the `left` places of a row are handled at a time: rows of usual small grids are multiples of 7 or 8.
#[inline(always)]
pub fn places_at_a_time(left: usize) -> usize {
    match left {
        left if left.is_multiple_of(8) => 8,
        7.. => 7,
        4.. => 4,
        _ => 1,
    }
}

//! Layers that are nearly the same, one of which may fit where a layer does not.

use crate::config::{ConvConfig, LayerConfig, PaddingConfig};

/// Layers before the one that does not fit that may be at fault.
const LAYERS_BACK: usize = 8;
/// By how much a number may be changed.
const PADDINGS: usize = 16;
const KERNELS: usize = 8;
const STRIDES: usize = 3;
const SIDES: usize = 4;
/// Likewise of a reshape, the shapes that are nearest.
const RESHAPES: usize = 2;

/// A change of a list of layers.
#[derive(Debug)]
pub(super) struct Change {
    /// The number of the layer, from 0 on.
    pub layer: usize,
    /// What is changed, in words, as in `a padding of`.
    pub what: &'static str,
    /// What it is changed to.
    pub to: String,
    /// How far that is from what it was.
    pub distance: f64,
    /// The layers that are then others, with their numbers.
    pub layers: Vec<(usize, LayerConfig)>,
}

/// Changes of the layer `at`, which gets so many values, and of those before it; values in the end are to be `wanted`.
pub(super) fn changes(
    layers: &[LayerConfig],
    at: usize,
    values: usize,
    wanted: usize,
) -> Vec<Change> {
    let mut found = Vec::new();
    for layer in at.saturating_sub(LAYERS_BACK)..=at {
        let mut add = |what, to: String, distance, changed: &[(usize, LayerConfig)]| {
            found.push(Change {
                layer,
                what,
                to,
                distance,
                layers: changed.to_vec(),
            });
        };
        match layers[layer] {
            LayerConfig::Conv(conv) => of_convolution(&conv, |what, to, distance, conv| {
                let changed = LayerConfig::Conv(conv);
                add(what, to.to_string(), distance, &[(layer, changed)]);
            }),
            LayerConfig::ConvTranspose(conv) => {
                of_convolution(&conv, |what, to, distance, conv| {
                    let changed = LayerConfig::ConvTranspose(conv);
                    add(what, to.to_string(), distance, &[(layer, changed)]);
                });
            }
            LayerConfig::Dense(dense) => {
                let features = match layers.get(layer + 1) {
                    Some(LayerConfig::Reshape(shape)) => product(*shape),
                    _ => Some(wanted),
                };
                let features = features.filter(|&features| features != dense.features);
                if let Some(features) = features {
                    let mut changed = dense;
                    changed.features = features;
                    let changed = LayerConfig::Dense(changed);
                    add(
                        "features of",
                        features.to_string(),
                        0.0,
                        &[(layer, changed)],
                    );
                }
            }
            LayerConfig::Reshape(shape) => {
                if layer == at {
                    for (distance, shape) in factorisations(values, shape) {
                        let changed = LayerConfig::Reshape(shape);
                        add("a shape of", in_words(shape), distance, &[(layer, changed)]);
                    }
                }
                let before = layer.checked_sub(1).map(|before| layers[before]);
                let Some(LayerConfig::Dense(dense)) = before else {
                    continue;
                };
                for (distance, shape) in of_sides(shape) {
                    let Some(features) = product(shape) else {
                        continue;
                    };
                    let mut dense = dense;
                    dense.features = features;
                    let to = format!("{} and features of {features} before it", in_words(shape));
                    let changed = [
                        (layer - 1, LayerConfig::Dense(dense)),
                        (layer, LayerConfig::Reshape(shape)),
                    ];
                    add("a shape of", to, distance, &changed);
                }
            }
        }
    }
    found
}

/// A convolution with another padding, another kernel or another stride.
fn of_convolution(conv: &ConvConfig, mut add: impl FnMut(&'static str, usize, f64, ConvConfig)) {
    let around = |value: usize, reach: usize| {
        value.saturating_sub(reach).max(1)..=value.saturating_add(reach)
    };
    let away = |a: usize, b: usize| a.abs_diff(b) as f64;
    if let PaddingConfig::Pixels(pixels) = conv.padding {
        for padding in pixels.saturating_sub(PADDINGS)..=pixels.saturating_add(PADDINGS) {
            let mut changed = *conv;
            changed.padding = PaddingConfig::Pixels(padding);
            add("a padding of", padding, away(padding, pixels), changed);
        }
    }
    for kernel in around(conv.kernel, KERNELS) {
        let mut changed = *conv;
        changed.kernel = kernel;
        add("a kernel of", kernel, away(kernel, conv.kernel), changed);
    }
    for stride in around(conv.stride, STRIDES) {
        let mut changed = *conv;
        changed.stride = stride;
        add("a stride of", stride, away(stride, conv.stride), changed);
    }
}

/// The shapes of so many values that are nearest to one: channels, rows, columns.
fn factorisations(values: usize, wanted: [usize; 3]) -> Vec<(f64, [usize; 3])> {
    let divisors = |values: usize| -> Vec<usize> {
        let small = (1..=values.isqrt()).filter(move |divisor| values.is_multiple_of(*divisor));
        small
            .flat_map(|divisor| [divisor, values / divisor])
            .collect()
    };
    let distance = |shape: [usize; 3]| -> f64 {
        // What follows can do with other channels rather than with other sides.
        let parts = shape.iter().zip(wanted).zip([1.0, 4.0, 4.0]);
        let logs = parts.map(|((&a, b), weight)| weight * (a as f64 / b.max(1) as f64).ln().abs());
        logs.sum()
    };
    let mut found = Vec::new();
    for channels in divisors(values) {
        for rows in divisors(values / channels) {
            let shape = [channels, rows, values / channels / rows];
            found.push((distance(shape), shape));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    found.dedup_by_key(|(_, shape)| *shape);
    found.truncate(RESHAPES);
    found
}

/// Shapes of other rows and columns.
fn of_sides([channels, rows, columns]: [usize; 3]) -> Vec<(f64, [usize; 3])> {
    let around = |side: usize| side.saturating_sub(SIDES).max(1)..=side.saturating_add(SIDES);
    let shapes = around(rows).flat_map(|a| around(columns).map(move |b| [channels, a, b]));
    let away = |shape: [usize; 3]| (shape[1].abs_diff(rows) + shape[2].abs_diff(columns)) as f64;
    let shapes = shapes.map(|shape| (away(shape), shape));
    shapes.filter(|(distance, _)| *distance > 0.0).collect()
}

fn product(shape: [usize; 3]) -> Option<usize> {
    let [channels, rows, columns] = shape;
    channels.checked_mul(rows)?.checked_mul(columns)
}

fn in_words([channels, rows, columns]: [usize; 3]) -> String {
    format!("[{channels}, {rows}, {columns}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_shapes_come_first() {
        let shapes = |values, wanted| -> Vec<[usize; 3]> {
            let found = factorisations(values, wanted).into_iter();
            found.map(|(_, shape)| shape).collect()
        };
        assert_eq!(shapes(3136, [32, 7, 7])[0], [64, 7, 7]);
        assert_eq!(shapes(784, [3, 14, 14])[0], [4, 14, 14]);
        assert_eq!(shapes(7, [1, 1, 1]).len(), 2);
        assert_eq!(shapes(0, [1, 1, 1]), [[0; 3]; 0]);
    }
}

//! Images changed in ways that leave them what they are, so that a small set shows more.

use super::shape::ImageShape;
use crate::rng::{Purpose, stream};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// How training images are changed, anew each time that they are seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Whether half of them are mirrored, left to right.
    pub flip: bool,
    /// By how many pixels they are moved at most, each way; what moves in is as the border was.
    pub shift: usize,
}

impl Augment {
    /// Whether it changes nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// An image, changed; `number` is how many images were seen before.
    pub fn image(self, pixels: &[u8], shape: ImageShape, seed: u64, number: u64) -> Vec<u8> {
        let mut rng = stream(seed, Purpose::Augment, number);
        let is_mirrored = rng.random_bool(0.5) && self.flip;
        let most = self.shift as i64;
        let [down, right] = [0, 1].map(|_| rng.random_range(-most..=most));
        let [rows, columns, channels] = shape.grid();
        let within = |place: i64, size: usize| place.clamp(0, size as i64 - 1) as usize;
        let mut changed = Vec::with_capacity(pixels.len());
        for row in 0..rows {
            let from = within(row as i64 - down, rows);
            for column in 0..columns {
                let column = within(column as i64 - right, columns);
                let column = if is_mirrored {
                    columns - 1 - column
                } else {
                    column
                };
                changed
                    .extend_from_slice(&pixels[(from * columns + column) * channels..][..channels]);
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape {
        height: 3,
        width: 4,
        channels: 3,
    };

    fn seen(augment: Augment) -> Vec<Vec<u8>> {
        let pixels: Vec<u8> = (0..36).collect();
        let image = |number| augment.image(&pixels, SHAPE, 5, number);
        assert_eq!(image(3), image(3));
        let mut seen: Vec<_> = (0..400).map(image).collect();
        seen.sort();
        seen.dedup();
        seen
    }

    #[test]
    fn images_are_mirrored_and_moved() {
        let pixels: Vec<u8> = (0..36).collect();
        assert_eq!(seen(Augment::default()), std::slice::from_ref(&pixels));
        let mirrored = seen(Augment {
            flip: true,
            shift: 0,
        });
        assert_eq!(mirrored.len(), 2);
        assert!(mirrored.contains(&pixels));
        assert!(
            mirrored
                .iter()
                .any(|image| image[..6] == [9, 10, 11, 6, 7, 8])
        );
        // Three places each way.
        let moved = seen(Augment {
            flip: false,
            shift: 1,
        });
        assert_eq!(moved.len(), 9);
        // Up and to the left: the border is seen again.
        let corner = moved.iter().any(|image| {
            image[..9] == [15, 16, 17, 18, 19, 20, 21, 22, 23] && image[24..27] == [27, 28, 29]
        });
        assert!(corner);
        assert_eq!(
            seen(Augment {
                flip: true,
                shift: 1
            })
            .len(),
            18
        );
    }
}

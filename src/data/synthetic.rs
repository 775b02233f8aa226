//! Digits drawn by an imagined hand: a data set like MNIST for machines without a network.
//!
//! A digit is a few strokes of a pen. An image picks one of the styles of its digit, bends it the
//! way handwriting varies, and is then fitted into its frame as MNIST's images are: scaled into a
//! box of 20 by 20 pixels, which is placed so that the ink's centre of mass is central.

mod glyphs;

use super::dataset::{Dataset, Split};
use super::shape::ImageShape;
use crate::parallel::map;
use crate::rng::{Purpose, stream};
use glyphs::DIGITS;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f32::consts::{PI, TAU};
use std::ops::Range;
use tiny_skia::{FillRule, LineCap, Mask, PathBuilder, Point, Stroke, Transform};

/// The data set is always the same one, whatever the seed of a run.
const SEED: u64 = 10;
const TRAIN: usize = 60_000;
const TEST: usize = 10_000;
const SHAPE: ImageShape = ImageShape::MNIST;
/// Rows of an image, and columns.
const SIDE: usize = SHAPE.height;
const PIXELS: usize = SHAPE.values();
/// The side of the box that the ink fills.
const BOX: usize = 20;
/// How far a control point strays from its place, in hundredths of a digit's height.
const TREMOR: f32 = 4.0;

/// Sixty thousand digits to learn from and ten thousand to be tested on, the same on every call.
pub fn dataset() -> Dataset {
    Dataset {
        train: split(0..TRAIN),
        test: split(TRAIN..TRAIN + TEST),
        name: "synthetic digits".to_string(),
    }
}

/// The images with these indices, in parallel: each depends on nothing but its index.
fn split(indices: Range<usize>) -> Split {
    /// Images that a thread draws at a time.
    const IMAGES: usize = 64;
    let mut pixels = vec![0; indices.len() * PIXELS];
    let blocks = pixels.chunks_mut(IMAGES * PIXELS);
    let labels = map(blocks.zip(indices.step_by(IMAGES)), |(images, first)| {
        let mut ink = Mask::new(BOX as u32, BOX as u32);
        let images = images.chunks_exact_mut(PIXELS).zip(first..);
        let labels = images.map(|(image, index)| draw(index, ink.as_mut(), image));
        labels.collect::<Vec<u8>>()
    });
    Split {
        pixels: pixels.into(),
        labels: labels.concat(),
        shape: SHAPE,
    }
}

/// Draws one image, by way of `ink`, and returns its label.
fn draw(index: usize, ink: Option<&mut Mask>, image: &mut [u8]) -> u8 {
    let mut rng = stream(SEED, Purpose::Synthetic, index as u64);
    let digit = rng.random_range(0..DIGITS.len());
    let strokes = write(digit, &mut rng);
    let mut pieces = pieces(&strokes, &mut rng);
    fit(&mut pieces);
    if let Some(ink) = ink {
        fill(&pieces, ink);
        place(ink.data(), image);
    }
    digit as u8
}

/// The control points of a digit's strokes, in one of its styles and in somebody's hand.
fn write(digit: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<Point>> {
    let styles = DIGITS[digit];
    let [one, other] = styles[rng.random_range(0..styles.len())];
    let (blend, hand) = (rng.random_range(-0.1..1.1), Hand::new(rng));
    let mut between = |a: i16, b: i16| {
        let (a, b) = (f32::from(a), f32::from(b));
        (a + blend * (b - a) + TREMOR * normal(rng)) / 100.0
    };
    let mut stroke = |(one, other): (&glyphs::Stroke, &glyphs::Stroke)| {
        let points = one.iter().zip(*other);
        points
            .map(|(a, b)| hand.bend(between(a.0, b.0), between(a.1, b.1)))
            .collect()
    };
    one.iter().zip(other).map(&mut stroke).collect()
}

/// How somebody writes: what happens to all points of a digit alike.
struct Hand {
    slant: f32,
    turn: f32,
    aspect: f32,
    /// Above zero, the upper half is the larger one.
    balance: f32,
    /// Above zero, the lower half is the wider one.
    flare: f32,
    bow: f32,
}

impl Hand {
    /// The amounts make the spread of widths, heights and slants that MNIST has.
    fn new(rng: &mut ChaCha8Rng) -> Self {
        Self {
            slant: 0.12 + 0.22 * normal(rng),
            turn: 0.07 * normal(rng),
            aspect: (0.12 + 0.19 * normal(rng)).exp(),
            balance: 0.18 * normal(rng),
            flare: 0.18 * normal(rng),
            bow: 0.05 * normal(rng),
        }
    }

    fn bend(&self, x: f32, y: f32) -> Point {
        let x = (x - 0.3) * (1.0 + self.flare * (y - 0.5)) * self.aspect;
        let x = x + self.bow * (PI * y).sin() + self.slant * (0.5 - y);
        let y = y + self.balance * y * (1.0 - y);
        let (sin, cos) = self.turn.sin_cos();
        Point::from_xy(x * cos - y * sin, x * sin + y * cos)
    }
}

/// A stretch of a stroke: a quadratic curve, and the width of the pen on it in pixels.
struct Piece {
    curve: [Point; 3],
    width: f32,
}

/// The curves along the strokes. They meet halfway between control points, where they have the
/// same direction, and the pressure on the pen changes from one to the next.
fn pieces(strokes: &[Vec<Point>], rng: &mut ChaCha8Rng) -> Vec<Piece> {
    let width = 2.35 * (0.26 * normal(rng)).exp();
    let (pressure, phase) = (0.14 * normal(rng), rng.random_range(0.0..TAU));
    let mut pieces = Vec::new();
    for points in strokes {
        let last = points.len().saturating_sub(3);
        for (i, near) in points.windows(3).enumerate() {
            let from = if i == 0 {
                near[0]
            } else {
                middle(near[0], near[1])
            };
            let to = if i == last {
                near[2]
            } else {
                middle(near[1], near[2])
            };
            let press = 1.0 + pressure * (phase + i as f32).sin();
            pieces.push(Piece {
                curve: [from, near[1], to],
                width: width * press,
            });
        }
    }
    pieces
}

/// Scales and moves the pieces to fill the box.
fn fit(pieces: &mut [Piece]) {
    let mut low = Point::from_xy(f32::MAX, f32::MAX);
    let mut high = Point::from_xy(f32::MIN, f32::MIN);
    let mut width: f32 = 0.0;
    for piece in pieces.iter() {
        width = width.max(piece.width);
        for p in (0..=4).map(|i| at(piece.curve, i as f32 / 4.0)) {
            low = Point::from_xy(low.x.min(p.x), low.y.min(p.y));
            high = Point::from_xy(high.x.max(p.x), high.y.max(p.y));
        }
    }
    let (side, centre) = (BOX as f32, middle(low, high));
    let scale = (side - width) / (high.x - low.x).max(high.y - low.y);
    for p in pieces.iter_mut().flat_map(|piece| &mut piece.curve) {
        p.x = (p.x - centre.x) * scale + side / 2.0;
        p.y = (p.y - centre.y) * scale + side / 2.0;
    }
}

/// The point of a quadratic curve at `t`, from 0 to 1.
fn at([a, b, c]: [Point; 3], t: f32) -> Point {
    let (u, v, w) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
    Point::from_xy(u * a.x + v * b.x + w * c.x, u * a.y + v * b.y + w * c.y)
}

fn middle(a: Point, b: Point) -> Point {
    Point::from_xy((a.x + b.x) / 2.0, (a.y + b.y) / 2.0)
}

/// Rasterises all pieces as one shape, so that there is no seam where they meet.
fn fill(pieces: &[Piece], ink: &mut Mask) {
    ink.clear();
    let mut shape = PathBuilder::new();
    for Piece {
        curve: [a, b, c],
        width,
    } in pieces
    {
        let pen = Stroke {
            width: *width,
            line_cap: LineCap::Round,
            ..Stroke::default()
        };
        let mut path = PathBuilder::new();
        path.move_to(a.x, a.y);
        path.quad_to(b.x, b.y, c.x, c.y);
        if let Some(outline) = path.finish().and_then(|path| path.stroke(&pen, 1.0)) {
            shape.push_path(&outline);
        }
    }
    if let Some(shape) = shape.finish() {
        ink.fill_path(&shape, FillRule::Winding, true, Transform::identity());
    }
}

/// Copies the box into the frame, its centre of mass as central as whole pixels allow, but never
/// at the border.
fn place(ink: &[u8], image: &mut [u8]) {
    let (x, y) = centre_of_mass(ink, BOX);
    let offset = |mass: f32| ((SIDE as f32 / 2.0 - mass).round() as usize).clamp(1, SIDE - BOX - 1);
    let (left, top) = (offset(x), offset(y));
    for (row, line) in ink.chunks_exact(BOX).enumerate() {
        image[(top + row) * SIDE + left..][..BOX].copy_from_slice(line);
    }
}

fn centre_of_mass(ink: &[u8], side: usize) -> (f32, f32) {
    let (mut mass, mut x, mut y) = (0.0, 0.0, 0.0);
    for (i, &pixel) in ink.iter().enumerate() {
        let pixel = f32::from(pixel);
        mass += pixel;
        x += pixel * ((i % side) as f32 + 0.5);
        y += pixel * ((i / side) as f32 + 0.5);
    }
    (x / mass, y / mass)
}

/// A draw from the normal distribution, without the extremes that nobody could read.
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let value: f32 = StandardNormal.sample(rng);
    value.clamp(-2.2, 2.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extremes_of_a_style_have_the_same_strokes() {
        for [one, other] in DIGITS.iter().flat_map(|styles| styles.iter()) {
            assert_eq!(one.len(), other.len());
            for (a, b) in one.iter().zip(*other) {
                assert_eq!(a.len(), b.len(), "{a:?} {b:?}");
                assert!(a.len() >= 3, "{a:?} has no curve");
            }
        }
    }

    #[test]
    fn images_depend_on_their_index_alone() -> Result<(), rayon::ThreadPoolBuildError> {
        let threads = |count| rayon::ThreadPoolBuilder::new().num_threads(count).build();
        let all = threads(1)?.install(|| split(0..200));
        let some = threads(3)?.install(|| split(50..150));
        assert_eq!(some.labels, all.labels[50..150]);
        for index in 0..100 {
            assert_eq!(some.image(index), all.image(50 + index));
        }
        Ok(())
    }

    #[test]
    fn ink_is_central_and_clear_of_the_border() {
        let split = split(0..500);
        let mut off_centre = 0;
        for index in 0..split.len() {
            let image = &*split.image(index).expect("an image");
            assert!(image.iter().any(|&p| p > 150), "image {index} is faint");
            let at_border = |i: usize| {
                [i % SIDE, i / SIDE]
                    .iter()
                    .any(|c| [0, SIDE - 1].contains(c))
            };
            assert!(
                (0..PIXELS).all(|i| image[i] == 0 || !at_border(i)),
                "image {index} is cut"
            );
            let (x, y) = centre_of_mass(image, SIDE);
            assert!(
                (x - 14.0).abs().max((y - 14.0).abs()) < 2.0,
                "image {index} is off-centre"
            );
            off_centre += usize::from((x - 14.0).abs().max((y - 14.0).abs()) > 1.0);
        }
        assert!(
            off_centre < 5,
            "{off_centre} images are off-centre by more than a pixel"
        );
    }

    /// The mean image of each class tells the digits of other images apart.
    #[test]
    fn classes_differ() {
        let (train, test) = (split(0..1000), split(TRAIN..TRAIN + 300));
        let means: Vec<Vec<f32>> = (0..10).map(|label| mean(&train, label)).collect();
        let distance = |image: &[u8], mean: &[f32]| -> f32 {
            image
                .iter()
                .zip(mean)
                .map(|(&p, m)| (f32::from(p) - m).powi(2))
                .sum()
        };
        let right = (0..test.len()).filter(|&i| {
            let distances = means
                .iter()
                .map(|mean| distance(&test.image(i).expect("an image"), mean));
            let nearest = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
            nearest.is_some_and(|(label, _)| label == usize::from(test.labels[i]))
        });
        assert!(right.count() > 210);
    }

    fn mean(split: &Split, label: u8) -> Vec<f32> {
        let images: Vec<usize> = (0..split.len())
            .filter(|&i| split.labels[i] == label)
            .collect();
        assert!(images.len() > 50, "few images of {label}");
        let sum = |p: usize| {
            images
                .iter()
                .map(|&i| f32::from(split.image(i).expect("an image")[p]))
                .sum::<f32>()
        };
        (0..PIXELS).map(|p| sum(p) / images.len() as f32).collect()
    }
}

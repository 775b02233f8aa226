//! Pictures as sixels, six rows of pixels at a time (DEC's VT330/VT340 programmer reference, chapter 14).

use color_quant::NeuQuant;
use image::RgbaImage;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The most colours that terminals are known to take.
const COLOURS: usize = 256;
/// How many pixels the choice of colours looks at: one in so many.
const SAMPLED: i32 = 10;
/// A character for six pixels of which none is set; the uppermost counts 1.
const NONE: u8 = b'?';

/// Puts a picture where the cursor is. What is transparent is left as it is.
pub fn show(picture: &RgbaImage) -> String {
    let (width, height) = picture.dimensions();
    let (palette, indices) = colours(picture);
    // 0;1: what is not set stays. The aspect ratio of a pixel, and the size.
    let mut text = format!("\x1bP0;1;0q\"1;1;{width};{height}");
    for (number, [red, green, blue]) in palette.iter().enumerate() {
        // Writing to a string does not fail.
        let _ = write!(text, "#{number};2;{red};{green};{blue}");
    }
    let width = width.max(1) as usize;
    for band in indices.chunks(6 * width) {
        let mut rows: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
        for (place, index) in band.iter().enumerate() {
            if let Some(index) = index {
                let row = rows.entry(*index).or_insert_with(|| vec![0; width]);
                row[place % width] |= 1 << (place / width);
            }
        }
        for (index, row) in rows {
            let _ = write!(text, "#{index}");
            runs(&mut text, &row);
            text.push('$');
        }
        text.push('-');
    }
    text.push_str("\x1b\\");
    text
}

/// A row of sixels of one colour: from four times the same on, that is said with its count.
fn runs(text: &mut String, row: &[u8]) {
    let end = row
        .iter()
        .rposition(|&bits| bits > 0)
        .map_or(0, |at| at + 1);
    for run in row[..end].chunk_by(|a, b| a == b) {
        let letter = char::from(NONE + run[0]);
        match run.len() {
            0..=3 => text.extend(std::iter::repeat_n(letter, run.len())),
            count => {
                let _ = write!(text, "!{count}{letter}");
            }
        }
    }
}

/// Colours in hundredths of red, green and blue, and of each pixel which one it has, unless it is transparent.
fn colours(picture: &RgbaImage) -> (Vec<[u8; 3]>, Vec<Option<u8>>) {
    let hundredths = |value: u8| ((u32::from(value) * 100 + 127) / 255) as u8;
    let exact = |pixel: &[u8; 4]| [pixel[0], pixel[1], pixel[2]].map(hundredths);
    let pixels: Vec<Option<&[u8; 4]>> = picture
        .pixels()
        .map(|pixel| Some(&pixel.0).filter(|pixel| pixel[3] > 0))
        .collect();
    let mut numbers = BTreeMap::new();
    for pixel in pixels.iter().flatten() {
        let next = numbers.len();
        numbers.entry(exact(pixel)).or_insert(next);
        if numbers.len() > COLOURS {
            break;
        }
    }
    if numbers.len() > COLOURS {
        let chosen = NeuQuant::new(SAMPLED, COLOURS, picture.as_raw());
        let palette = chosen.color_map_rgb();
        let palette = palette.as_chunks::<3>().0.iter();
        let index = |pixel: Option<&[u8; 4]>| pixel.map(|pixel| chosen.index_of(pixel) as u8);
        let indices = pixels.into_iter().map(index);
        return (
            palette.map(|rgb| rgb.map(hundredths)).collect(),
            indices.collect(),
        );
    }
    let mut palette = vec![[0; 3]; numbers.len()];
    for (colour, &number) in &numbers {
        palette[number] = *colour;
    }
    let index = |pixel: Option<&[u8; 4]>| Some(numbers[&exact(pixel?)] as u8);
    let indices = pixels.into_iter().map(index).collect();
    (palette, indices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    /// A reader of sixels, by the specification: what each pixel was set to, in hundredths.
    fn read(text: &str) -> BTreeMap<(usize, usize), [u8; 3]> {
        let body = text.strip_prefix("\x1bP0;1;0q\"").expect("a beginning");
        let body = body.strip_suffix("\x1b\\").expect("an end");
        let (size, body) = body.split_at(body.find('#').expect("a colour"));
        assert!(size.starts_with("1;1;"), "{size}");
        let mut letters = body.chars().peekable();
        let (mut x, mut y, mut colour, mut count) = (0, 0, 0, 1);
        let (mut palette, mut pixels) = (BTreeMap::new(), BTreeMap::new());
        while let Some(letter) = letters.next() {
            let mut numbers = String::new();
            while matches!(letter, '#' | '!')
                && letters
                    .peek()
                    .is_some_and(|c| c.is_ascii_digit() || *c == ';')
            {
                numbers.extend(letters.next());
            }
            let numbers: Vec<usize> = numbers.split(';').flat_map(str::parse).collect();
            match letter {
                '#' if numbers.len() == 5 => {
                    assert_eq!(numbers[1], 2);
                    palette.insert(numbers[0], [2, 3, 4].map(|at| numbers[at] as u8));
                }
                '#' => colour = numbers[0],
                '!' => count = numbers[0],
                '$' => x = 0,
                '-' => (x, y) = (0, y + 6),
                '?'..='~' => {
                    for _ in 0..std::mem::replace(&mut count, 1) {
                        for row in (0..6).filter(|row| (letter as u8 - b'?') >> row & 1 == 1) {
                            let twice = pixels.insert((x, y + row), palette[&colour]);
                            assert_eq!(twice, None, "set twice");
                        }
                        x += 1;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        pixels
    }

    fn hundredths(picture: &RgbaImage) -> BTreeMap<(usize, usize), [u8; 3]> {
        let set = picture
            .enumerate_pixels()
            .filter(|(_, _, pixel)| pixel.0[3] > 0);
        let colour =
            |pixel: &Rgba<u8>| [0, 1, 2].map(|at| (f64::from(pixel.0[at]) / 2.55).round() as u8);
        set.map(|(x, y, pixel)| ((x as usize, y as usize), colour(pixel)))
            .collect()
    }

    #[test]
    fn greys_are_exact_and_what_is_transparent_is_not_set() {
        let picture = RgbaImage::from_fn(50, 15, |x, y| match (x + y) % 7 {
            0 => Rgba([0; 4]),
            _ => Rgba([(x * 5) as u8, (x * 5) as u8, (x * 5) as u8, 255]),
        });
        assert_eq!(read(&show(&picture)), hundredths(&picture));
    }

    #[test]
    fn one_colour_is_a_run() {
        let picture = RgbaImage::from_pixel(40, 6, Rgba([255, 0, 0, 255]));
        assert_eq!(
            show(&picture),
            "\x1bP0;1;0q\"1;1;40;6#0;2;100;0;0#0!40~$-\x1b\\"
        );
    }

    #[test]
    fn of_many_colours_256_are_chosen_that_are_near() {
        let picture = RgbaImage::from_fn(64, 64, |x, y| {
            Rgba([(x * 4) as u8, (y * 4) as u8, (x * y / 16) as u8, 255])
        });
        let (found, expected) = (read(&show(&picture)), hundredths(&picture));
        assert_eq!(found.len(), expected.len());
        let errors = found.iter().flat_map(|(place, colour)| {
            let expected = expected[place];
            (0..3).map(move |at| f64::from(colour[at].abs_diff(expected[at])))
        });
        let mean = errors.sum::<f64>() / (3 * found.len()) as f64;
        assert!(mean < 4.0, "{mean}");
    }
}

//! Pictures as half blocks: two pixels, one above the other, are a character and what is behind it.

use image::{Rgba, RgbaImage};
use std::fmt::Write;

/// The levels of red, green and blue among a terminal's 256 colours.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
/// The number of the first of those 6 x 6 x 6 colours, and of the first of the 24 greys after them.
const FIRST_COLOUR: u8 = 16;
const FIRST_GREY: u8 = 232;

/// What ends all colours.
pub const PLAIN: &str = "\x1b[0m";

/// Which colours a terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// 24 bits of red, green and blue.
    True,
    /// 256: the 16 that people choose, 216 of six levels each, 24 greys.
    Indexed,
}

impl Colours {
    /// The parameters that choose a colour, after the 3 of what is written or the 4 of what is behind it.
    fn parameters(self, [red, green, blue]: [u8; 3]) -> String {
        match self {
            Self::True => format!("8;2;{red};{green};{blue}"),
            Self::Indexed => format!("8;5;{}", index([red, green, blue])),
        }
    }

    /// Text in a colour.
    pub fn paint(self, text: &str, colour: [u8; 3]) -> String {
        format!("\x1b[3{}m{text}{PLAIN}", self.parameters(colour))
    }
}

/// The nearest of 256 colours, by the squared distance; never one of those that people choose.
fn index(colour: [u8; 3]) -> u8 {
    let distance = |other: [u8; 3]| -> u32 {
        let pairs = colour.into_iter().zip(other);
        pairs.map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    let nearest = |value: u8| (0..6).min_by_key(|&level| value.abs_diff(LEVELS[level]));
    let levels = colour.map(|value| nearest(value).unwrap_or_default());
    let mean = colour.iter().map(|&value| u32::from(value)).sum::<u32>() / 3;
    let grey = (mean.saturating_sub(3) / 10).min(23) as u8;
    let [red, green, blue] = levels.map(|level| level as u8);
    match distance([8 + 10 * grey; 3]) < distance(levels.map(|level| LEVELS[level])) {
        true => FIRST_GREY + grey,
        false => FIRST_COLOUR + 36 * red + 6 * green + blue,
    }
}

/// A picture's lines: of two rows of pixels each, a character a column. What is transparent is the terminal's background.
pub fn lines(picture: &RgbaImage, colours: Colours) -> Vec<String> {
    let (width, height) = picture.dimensions();
    let pixel = |x, y| match picture.get_pixel_checked(x, y) {
        Some(&Rgba([red, green, blue, alpha])) if alpha > 0 => Some([red, green, blue]),
        _ => None,
    };
    let line = |y| {
        let mut line = Writer::new(colours);
        for x in 0..width {
            line.push(pixel(x, y), pixel(x, y + 1));
        }
        line.end()
    };
    (0..height).step_by(2).map(line).collect()
}

/// A line as it is written: colours are named where they change.
struct Writer {
    text: String,
    colours: Colours,
    ink: Option<[u8; 3]>,
    ground: Option<[u8; 3]>,
}

impl Writer {
    fn new(colours: Colours) -> Self {
        Self {
            text: String::new(),
            colours,
            ink: None,
            ground: None,
        }
    }

    fn push(&mut self, upper: Option<[u8; 3]>, lower: Option<[u8; 3]>) {
        let (ink, ground, letter) = match (upper, lower) {
            (upper, lower) if upper == lower => (None, upper, ' '),
            (None, lower) => (lower, None, '▄'),
            (upper, lower) => (upper, lower, '▀'),
        };
        if ground != self.ground {
            let parameters = ground.map_or("9".into(), |ground| self.colours.parameters(ground));
            // Writing to a string does not fail.
            let _ = write!(self.text, "\x1b[4{parameters}m");
            self.ground = ground;
        }
        if let Some(colour) = ink
            && ink != self.ink
        {
            let _ = write!(self.text, "\x1b[3{}m", self.colours.parameters(colour));
            self.ink = ink;
        }
        self.text.push(letter);
    }

    fn end(mut self) -> String {
        if self.ink.is_some() || self.ground.is_some() {
            self.text.push_str(PLAIN);
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_the_nearest_of_256() {
        // As xterm's own table has them.
        for (colour, number) in [
            ([0, 0, 0], 16),
            ([255, 255, 255], 231),
            ([255, 0, 0], 196),
            ([95, 135, 175], 67),
            ([8, 8, 8], 232),
            ([128, 128, 128], 244),
            ([238, 238, 238], 255),
        ] {
            assert_eq!(index(colour), number, "{colour:?}");
        }
    }

    #[test]
    fn no_other_of_256_colours_is_nearer() {
        let colour_of = |number: u8| match number {
            FIRST_GREY.. => [8 + 10 * (number - FIRST_GREY); 3],
            number => [36, 6, 1].map(|part| LEVELS[usize::from((number - 16) / part % 6)]),
        };
        let distance = |a: [u8; 3], b: [u8; 3]| -> u32 {
            (0..3).map(|i| u32::from(a[i].abs_diff(b[i])).pow(2)).sum()
        };
        for seed in 0..1000_u32 {
            let bits = seed.wrapping_mul(2_654_435_761);
            let colour = [bits >> 24, bits >> 16, bits >> 8].map(|byte| byte as u8);
            let least = (FIRST_COLOUR..=255).map(|n| distance(colour, colour_of(n)));
            let found = distance(colour, colour_of(index(colour)));
            assert_eq!(Some(found), least.min(), "{colour:?}");
        }
    }

    #[test]
    fn two_rows_are_a_line_and_colours_are_named_once() {
        let [white, black, clear] = [[255; 4], [0, 0, 0, 255], [0; 4]].map(Rgba);
        let rows = [
            [white, white, black, clear],
            [black, black, black, white],
            [clear, white, clear, clear],
        ];
        let picture = RgbaImage::from_fn(4, 3, |x, y| rows[y as usize][x as usize]);
        let lines = lines(&picture, Colours::Indexed);
        assert_eq!(
            lines,
            [
                "\x1b[48;5;16m\x1b[38;5;231m▀▀ \x1b[49m▄\x1b[0m",
                " \x1b[38;5;231m▀  \x1b[0m"
            ]
        );
        let green = RgbaImage::from_pixel(1, 2, Rgba([1, 2, 3, 255]));
        let lines = super::lines(&green, Colours::True);
        assert_eq!(lines, ["\x1b[48;2;1;2;3m \x1b[0m"]);
    }
}

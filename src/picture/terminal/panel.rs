//! What a training shows of itself: pictures, and beside them the curves of the loss's terms.

use super::drawn::{Drawn, Line, Room};
use super::{Sheet, curve};
use crate::Result;
use crate::data::ImageShape;
use crate::picture::plot::Curve;

/// Curves are shown from so many columns on, and take the third of them between these.
const WITH_CURVES: usize = 60;
const CURVES: (usize, usize) = (26, 36);
/// Columns between pictures and curves.
const GAP: usize = 2;
/// Columns for the highest and the lowest value of a curve.
const SCALE: usize = 7;

/// Pictures of a step, and the curves up to it.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What is shown, in words.
    pub caption: String,
    /// Sets of pictures, one below the other: values of 0 to 1.
    pub sets: Vec<Vec<f32>>,
    /// The shape of a picture.
    pub shape: ImageShape,
    /// The curves, one below the other.
    pub curves: Vec<Curve>,
    /// The last step that the curves have room for.
    pub steps: u64,
}

impl Panel {
    /// The panel as it fits into a room, in kitty in the place of the last with the same `id`. Where the room is too narrow
    /// or too low there is nothing.
    ///
    /// # Errors
    ///
    /// If pictures have another number of channels than 1 or 3.
    pub fn draw(&self, room: &Room, id: u32) -> Result<Drawn> {
        let curves = match room.columns < WITH_CURVES {
            true => 0,
            false => (room.columns / 3).clamp(CURVES.0, CURVES.1),
        };
        let pictures = Room {
            columns: room.columns - curves - if curves > 0 { GAP } else { 0 },
            lines: room.lines.saturating_sub(1),
            ..*room
        };
        let sheet = Sheet {
            sets: self.sets.iter().map(Vec::as_slice).collect(),
            shape: self.shape,
            columns: None,
        };
        let Some(placing) = sheet.place_band(&pictures) else {
            return Ok(Drawn::default());
        };
        let mut drawn = Drawn::picture(sheet.draw(&placing, &pictures)?, &pictures, Some(id))?;
        let beside = self.curves(room, [curves, drawn.lines.len()]);
        for (line, curve) in drawn.lines.iter_mut().zip(beside) {
            line.text += &" ".repeat(GAP);
            line.text += &curve.text;
            line.columns += GAP + curve.columns;
        }
        drawn
            .lines
            .insert(0, Line::plain(&self.caption, room.columns));
        drawn.overlay = drawn.overlay.map(|(line, overlay)| (line + 1, overlay));
        Ok(drawn)
    }

    /// The curves in so many columns and lines, each below its name and its last values.
    fn curves(&self, room: &Room, [columns, lines]: [usize; 2]) -> Vec<Line> {
        let count = self.curves.len().max(1);
        let each = (lines + 1) / count;
        if columns == 0 || each < 3 {
            return Vec::new();
        }
        let colours = room.graphics.colours();
        let mut text = Vec::new();
        for of in &self.curves {
            let last = |points: &[(u64, f64)]| points.last().map(|point| point.1);
            let train = last(&of.line).map_or(String::new(), |value| format!("train {value:.2}"));
            let test = last(&of.dots).map_or(String::new(), |value| format!("   test {value:.2}"));
            text.push(Line::plain(of.name, columns));
            text.push(Line::plain(&(train + &test), columns));
            let range = range(&of.line);
            // One line is left between this and the next.
            let size = [columns - SCALE, each - 3];
            let rows = curve::lines(&of.line, self.steps, range, size);
            for (row, line) in rows.iter().enumerate() {
                let scale = match (row + 1 == rows.len(), row) {
                    (true, _) => format!("{:>SCALE$.1}", range[0]),
                    (_, 0) => format!("{:>SCALE$.1}", range[1]),
                    _ => String::new(),
                };
                let (red, green, blue) = of.colour;
                text.push(Line {
                    columns: columns - SCALE + scale.chars().count(),
                    text: colours.paint(line, [red, green, blue]) + &scale,
                });
            }
            text.push(Line::plain("", columns));
        }
        text
    }
}

/// From the least to the greatest value, but no more than twice the last: the first steps must not flatten the rest.
fn range(points: &[(u64, f64)]) -> [f64; 2] {
    let values = || {
        points
            .iter()
            .map(|point| point.1)
            .filter(|value| value.is_finite())
    };
    let last = values().next_back().unwrap_or_default();
    let low = values().fold(f64::MAX, f64::min).min(last);
    let high = values().fold(f64::MIN, f64::max).max(last);
    [low, high.min(low.max(2.0 * last))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::terminal::{Colours, Graphics};

    fn panel(sets: usize) -> Panel {
        let curve = |name| Curve {
            name,
            colour: (31, 119, 180),
            line: vec![(200, 60.0), (400, 30.0), (600, 24.5)],
            dots: vec![(500, 25.75)],
        };
        Panel {
            caption: "step 600: test images, reconstructions, samples".into(),
            sets: vec![vec![0.5; 16 * 784]; sets],
            shape: ImageShape::MNIST,
            curves: vec![curve("squared error"), curve("KL")],
            steps: 2000,
        }
    }

    #[test]
    fn it_fits_into_every_window_or_is_left_out() {
        for graphics in [Graphics::Blocks(Colours::Indexed), Graphics::Sixel] {
            for sets in [3, 4] {
                let panel = panel(sets);
                for columns in [1, 10, 19, 21, 30, 59, 60, 61, 79, 120, 199] {
                    for lines in [1, 5, 12, 20, 60] {
                        let room = Room {
                            columns,
                            lines,
                            cell: [10, 20],
                            graphics,
                        };
                        let drawn = panel.draw(&room, 1).expect("a panel");
                        assert!(drawn.lines.len() <= lines);
                        let widths = drawn.lines.iter().map(|line| line.columns);
                        assert!(widths.max().unwrap_or(0) <= columns, "{columns}x{lines}");
                        assert!(columns < 60 || lines < 20 || !drawn.lines.is_empty());
                    }
                }
            }
        }
    }

    #[test]
    fn curves_stand_beside_the_pictures_with_their_last_values() {
        let room = Room {
            columns: 79,
            lines: 20,
            cell: [10, 20],
            graphics: Graphics::Blocks(Colours::True),
        };
        let drawn = panel(3).draw(&room, 1).expect("a panel");
        let text = drawn.text("");
        for words in [
            "squared error",
            "KL",
            "train 24.50   test 25.75",
            "  49.0\n",
            "  24.5\n",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
        let braille = |line: &&Line| {
            line.text
                .chars()
                .any(|c| ('\u{2801}'..='\u{28ff}').contains(&c))
        };
        let blocks = drawn.lines.iter().filter(braille);
        assert!(blocks.clone().count() > 6);
        let has_picture =
            |line: &Line| line.text.contains(['▀', '▄']) || line.text.contains("\x1b[4");
        assert!(blocks.clone().all(has_picture));
    }
}

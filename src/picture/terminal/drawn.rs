//! What is written to a terminal: lines, and a picture over them where it has graphics.

use super::blocks::{self, Colours};
use super::{iterm2, kitty, sixel};
use crate::Result;
use crate::picture::grid;
use image::{DynamicImage, RgbaImage};

/// How a terminal shows pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graphics {
    /// kitty's graphics protocol.
    Kitty,
    /// iTerm2's inline files.
    ITerm2,
    /// DEC's sixels.
    Sixel,
    /// Half blocks.
    Blocks(Colours),
}

impl Graphics {
    /// The colours that text can have.
    pub fn colours(self) -> Colours {
        match self {
            Self::Blocks(colours) => colours,
            _ => Colours::True,
        }
    }
}

/// Where pictures are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Characters in a line.
    pub columns: usize,
    /// Lines.
    pub lines: usize,
    /// Columns and rows of pixels that a character takes.
    pub cell: [u32; 2],
    /// What is there to show them.
    pub graphics: Graphics,
}

impl Room {
    /// Columns and rows of pixels in half a character, the upper or the lower: what pictures and the gaps between them are
    /// measured in.
    pub fn unit(&self) -> [u32; 2] {
        match self.graphics {
            Graphics::Blocks(_) => [1, 1],
            _ => [self.cell[0].max(1), (self.cell[1] / 2).max(1)],
        }
    }
}

/// A line of text, and how many columns it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// With colours.
    pub text: String,
    /// Without them.
    pub columns: usize,
}

impl Line {
    /// Text without colours, cut to so many columns. Each of its characters takes one.
    pub fn plain(text: &str, columns: usize) -> Self {
        let text: String = text.chars().take(columns).collect();
        let columns = text.chars().count();
        Self { text, columns }
    }
}

/// Lines, and a picture over some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drawn {
    /// From the top.
    pub lines: Vec<Line>,
    /// The line where a picture begins, and what puts it there.
    pub overlay: Option<(usize, String)>,
}

impl Drawn {
    /// A picture whose size is a multiple of the room's [`Room::unit`]; in kitty, in the place of the last with the same
    /// `id`.
    ///
    /// # Errors
    ///
    /// If it cannot be made a PNG.
    pub fn picture(picture: RgbaImage, room: &Room, id: Option<u32>) -> Result<Self> {
        let [across, down] = room.unit();
        let columns = (picture.width() / across) as usize;
        let count = (picture.height() / down).div_ceil(2) as usize;
        if let Graphics::Blocks(colours) = room.graphics {
            let lines = blocks::lines(&picture, colours).into_iter();
            let lines = lines.map(|text| Line { text, columns }).collect();
            return Ok(Self {
                lines,
                overlay: None,
            });
        }
        let cells = [columns, count];
        let overlay = match room.graphics {
            Graphics::Sixel => sixel::show(&picture),
            Graphics::ITerm2 => iterm2::show(&grid::encode(&DynamicImage::from(picture))?, cells),
            _ => kitty::show(&grid::encode(&DynamicImage::from(picture))?, cells, id),
        };
        let room_for_it = Line {
            text: format!("\x1b[{columns}C"),
            columns,
        };
        Ok(Self {
            lines: vec![room_for_it; count],
            overlay: Some((0, overlay)),
        })
    }

    /// All of it, from the start of a line to the start of the line below it; each line with this at its end.
    pub fn text(&self, end: &str) -> String {
        let lines = self.lines.iter();
        let mut text: String = lines.flat_map(|line| [&line.text, end, "\n"]).collect();
        if let Some((line, overlay)) = &self.overlay {
            // The lines make room first: nothing scrolls any more. The cursor is kept, for terminals leave it in different
            // places.
            let up = self.lines.len() - line;
            text += &format!("\x1b7\x1b[{up}A{overlay}\x1b8");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    fn room(graphics: Graphics) -> Room {
        Room {
            columns: 80,
            lines: 24,
            cell: [8, 18],
            graphics,
        }
    }

    #[test]
    fn graphics_lie_over_lines_that_are_left_free() {
        for (graphics, beginning) in [
            (Graphics::Kitty, "\x1b_G"),
            (Graphics::ITerm2, "\x1b]1337;File="),
            (Graphics::Sixel, "\x1bP"),
        ] {
            let room = room(graphics);
            assert_eq!(room.unit(), [8, 9]);
            let picture = RgbaImage::from_pixel(8 * 5, 9 * 5, Rgba([9, 9, 9, 255]));
            let drawn = Drawn::picture(picture, &room, None).expect("a picture");
            let text = drawn.text("");
            let free = "\x1b[5C\n".repeat(3);
            let overlay = text.strip_prefix(&free).expect("three free lines");
            let overlay = overlay.strip_prefix("\x1b7\x1b[3A").expect("the first one");
            assert!(overlay.starts_with(beginning) && overlay.ends_with("\x1b8"));
        }
    }

    #[test]
    fn half_blocks_are_the_lines_themselves() {
        let picture = RgbaImage::from_pixel(5, 5, Rgba([9, 9, 9, 255]));
        let room = room(Graphics::Blocks(Colours::Indexed));
        let drawn = Drawn::picture(picture, &room, None).expect("a picture");
        assert_eq!((drawn.lines.len(), drawn.overlay), (3, None));
        assert!(drawn.lines.iter().all(|line| line.columns == 5));
    }
}

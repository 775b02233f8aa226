//! Pictures as large as a window has room for.

use super::drawn::{Graphics, Room};
use crate::Result;
use crate::data::ImageShape;
use crate::picture::evenly::evenly;
use crate::picture::grid::{byte, picture};
use image::imageops::{FilterType, replace, resize};
use image::{DynamicImage, RgbaImage};

/// No more lines are shown, however many pictures there are.
const MOST_LINES: usize = 200;
/// A picture of half blocks is shown with at least the third of its rows: fewer nobody recognises.
const LEAST_BLOCKS: usize = 3;
/// In a band that changes before one's eyes the quarter will do.
const LEAST_BLOCKS_IN_BAND: usize = 4;
/// Graphics are shown at most so many times as large as they are.
const MOST_ZOOM: u32 = 4;

/// Pictures to show.
#[derive(Debug, Clone)]
pub struct Sheet<'a> {
    /// Sets of as many pictures, one below the other, as originals above their reconstructions: values of 0 to 1.
    pub sets: Vec<&'a [f32]>,
    /// The shape of a picture.
    pub shape: ImageShape,
    /// The pictures of a row that belong together; without that, a row has as many as fit.
    pub columns: Option<usize>,
}

/// Which pictures are shown, and how large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placing {
    /// Columns and rows of a picture, in halves of characters.
    pub side: [usize; 2],
    /// The pictures of a band that are shown.
    columns: Vec<usize>,
    /// How many pictures a band has of each set.
    stride: usize,
    /// Bands of rows, a row a set.
    bands: usize,
}

/// So many, with gaps of one between them, of one size.
fn stretch(count: usize, size: usize) -> usize {
    (count * (size + 1)).saturating_sub(1)
}

impl Placing {
    /// How many of `count` pictures of a set are shown.
    pub fn shown(&self, count: usize) -> usize {
        let bands = 0..self.bands;
        let places =
            bands.flat_map(|band| self.columns.iter().map(move |c| band * self.stride + c));
        places.filter(|&place| place < count).count()
    }
}

impl Sheet<'_> {
    /// Pictures of a set.
    pub fn count(&self) -> usize {
        let of_set = |set: &&[f32]| set.len() / self.shape.values();
        self.sets.first().map_or(0, of_set)
    }

    /// Columns of a picture of so many rows.
    fn width(&self, height: usize) -> usize {
        (height * self.shape.width)
            .div_ceil(self.shape.height)
            .max(1)
    }

    /// The fewest and most rows that a picture is shown with: of half blocks at least this part of its own.
    fn heights(&self, room: &Room, least_blocks: usize) -> (usize, usize) {
        let height = self.shape.height;
        match room.graphics {
            Graphics::Blocks(_) => (height.div_ceil(least_blocks), height),
            _ => {
                let unit = room.unit()[1];
                let least = height.div_ceil(unit as usize);
                (
                    least,
                    (height * MOST_ZOOM as usize / unit as usize).max(least),
                )
            }
        }
    }

    /// All pictures, as large as they fit; if they do not, as small as they are recognised, some of the columns that belong
    /// together, and more lines than the room has, up to a limit. `None` where not even one fits.
    pub fn place(&self, room: &Room) -> Option<Placing> {
        let (least, most) = self.heights(room, LEAST_BLOCKS);
        let (rows, count) = (2 * room.lines, self.count());
        let fitting = |height: usize| (room.columns + 1) / (self.width(height) + 1);
        let of = |height: usize| {
            let columns = self
                .columns
                .unwrap_or(fitting(height))
                .clamp(1, count.max(1));
            (columns, count.div_ceil(columns))
        };
        let all = (least..=most).rev().find_map(|height| {
            let (columns, bands) = of(height);
            let fits =
                columns <= fitting(height) && stretch(bands * self.sets.len(), height) <= rows;
            fits.then(|| self.placing(height, (0..columns).collect(), columns, bands))
        });
        if all.is_some() || fitting(least) == 0 {
            return all;
        }
        let (stride, bands) = of(least);
        let limit = (2 * MOST_LINES).max(rows) / (self.sets.len() * (least + 1));
        let some = match fitting(least) {
            1 => vec![0],
            fitting => evenly(stride, fitting).collect(),
        };
        Some(self.placing(least, some, stride, bands.min(limit.max(1))))
    }

    /// One band of the first pictures, as large as the room is high, and at most half as large as they are in half blocks
    /// (but with 14 rows, if they have them) and three times as large in graphics. `None` where no two fit.
    pub fn place_band(&self, room: &Room) -> Option<Placing> {
        let (least, most) = self.heights(room, LEAST_BLOCKS_IN_BAND);
        let most = match room.graphics {
            Graphics::Blocks(_) => (self.shape.height / 2).max(14).min(most),
            _ => (most * 3 / 4).max(least),
        };
        let height = ((2 * room.lines + 1) / self.sets.len().max(1)).saturating_sub(1);
        let height = height.min(most);
        let columns = ((room.columns + 1) / (self.width(height) + 1)).min(self.count());
        let fits = height >= least && columns >= 2;
        fits.then(|| self.placing(height, (0..columns).collect(), columns, 1))
    }

    fn placing(&self, height: usize, columns: Vec<usize>, stride: usize, bands: usize) -> Placing {
        Placing {
            side: [self.width(height), height],
            columns,
            stride,
            bands,
        }
    }

    /// The pictures in their places; what lies between them is transparent.
    ///
    /// # Errors
    ///
    /// If pictures have another number of channels than 1 or 3.
    pub fn draw(&self, placing: &Placing, room: &Room) -> Result<RgbaImage> {
        let [across, down] = room.unit();
        let [width, height] = placing.side;
        let rows = stretch(placing.bands * self.sets.len(), height).next_multiple_of(2);
        let mut sheet = RgbaImage::new(
            stretch(placing.columns.len(), width) as u32 * across,
            rows as u32 * down,
        );
        let size = [width as u32 * across, height as u32 * down];
        for band in 0..placing.bands {
            for (row, set) in self.sets.iter().enumerate() {
                let top = (band * self.sets.len() + row) * (height + 1) * down as usize;
                for (place, column) in placing.columns.iter().enumerate() {
                    let index = band * placing.stride + column;
                    if let Some(values) = set.chunks_exact(self.shape.values()).nth(index) {
                        let left = place * (width + 1) * across as usize;
                        let picture = self.sized(values, size)?;
                        replace(&mut sheet, &picture, left as i64, top as i64);
                    }
                }
            }
        }
        Ok(sheet)
    }

    /// A picture with so many columns and rows of pixels.
    fn sized(&self, values: &[f32], [width, height]: [u32; 2]) -> Result<RgbaImage> {
        let own = [self.shape.width, self.shape.height].map(|size| size as u32);
        let pixels = values.iter().map(|&value| byte(value));
        let filter = FilterType::Triangle;
        Ok(match picture(pixels.collect(), own, self.shape.channels)? {
            DynamicImage::ImageLuma8(grey) => {
                DynamicImage::from(resize(&grey, width, height, filter)).into_rgba8()
            }
            colour => {
                DynamicImage::from(resize(&colour.into_rgb8(), width, height, filter)).into_rgba8()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::terminal::Colours;

    const BLOCKS: Graphics = Graphics::Blocks(Colours::True);

    fn room(columns: usize, lines: usize, graphics: Graphics) -> Room {
        Room {
            columns,
            lines,
            cell: [10, 20],
            graphics,
        }
    }

    /// Pictures of MNIST's shape in so many sets.
    fn sheet(set: &[f32], sets: usize, columns: Option<usize>) -> Sheet<'_> {
        Sheet {
            sets: vec![set; sets],
            shape: ImageShape::MNIST,
            columns,
        }
    }

    #[test]
    fn pictures_are_as_large_as_all_fit() {
        let set = vec![0.5; 64 * 784];
        for (columns, lines) in [(80, 24), (120, 40), (300, 100), (10, 3)] {
            for graphics in [BLOCKS, Graphics::Kitty] {
                let (room, sheet) = (room(columns, lines, graphics), sheet(&set, 1, None));
                let placing = sheet.place(&room).expect("a picture fits");
                let drawn = sheet.draw(&placing, &room).expect("pictures");
                let [across, down] = room.unit();
                assert!(drawn.width() <= columns as u32 * across);
                assert!(drawn.height() <= 2 * MOST_LINES as u32 * down);
                assert_eq!(drawn.height() / down % 2, 0);
                let (least, most) = sheet.heights(&room, LEAST_BLOCKS);
                assert!((least..=most).contains(&placing.side[1]));
                if columns > 10 {
                    assert_eq!(placing.shown(64), 64);
                }
                if columns == 300 {
                    assert!(drawn.height() <= lines as u32 * 2 * down);
                    assert!(placing.side[1] > least);
                }
            }
        }
        assert_eq!(sheet(&set, 1, None).place(&room(9, 24, BLOCKS)), None);
    }

    #[test]
    fn of_columns_that_belong_together_some_are_shown_with_both_ends() {
        let set: Vec<f32> = (0..22).flat_map(|n| vec![n as f32 / 25.5; 784]).collect();
        let (room, sheet) = (room(80, 24, BLOCKS), sheet(&set, 1, Some(11)));
        let placing = sheet.place(&room).expect("a picture fits");
        assert_eq!(placing.columns, [0, 2, 3, 5, 7, 8, 10]);
        let narrow = Room {
            columns: 15,
            ..room
        };
        let narrow = sheet.place(&narrow).expect("a picture fits");
        assert_eq!(narrow.columns, [0]);
        assert_eq!(placing.shown(22), 14);
        let drawn = sheet.draw(&placing, &room).expect("pictures");
        let grey = |x: u32, y: u32| drawn.get_pixel(x * 11, y * 11).0[0];
        assert_eq!(
            [grey(0, 0), grey(6, 0), grey(0, 1), grey(6, 1)],
            [0, 100, 110, 210]
        );
        assert_eq!(drawn.get_pixel(10, 0).0[3], 0);
    }

    #[test]
    fn sets_stand_one_below_the_other() {
        let (upper, lower) = (vec![1.0; 3 * 784], vec![0.0; 3 * 784]);
        let sheet = Sheet {
            sets: vec![&upper, &lower],
            shape: ImageShape::MNIST,
            columns: None,
        };
        let room = room(41, 40, BLOCKS);
        let placing = sheet.place_band(&room).expect("two pictures");
        assert_eq!((placing.side, placing.shown(3)), ([14, 14], 2));
        let drawn = sheet.draw(&placing, &room).expect("pictures");
        assert_eq!(
            (drawn.get_pixel(3, 3).0[0], drawn.get_pixel(3, 18).0[0]),
            (255, 0)
        );
        let narrow = Room {
            columns: 14,
            ..room
        };
        assert_eq!(sheet.place_band(&narrow), None);
    }
}

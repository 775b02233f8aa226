//! Pictures that were decoded, in the form that a person wants.

use super::console::Console;
use super::paths::{deliver, kind};
use crate::data::{ImageShape, npy};
use crate::files::{self, Partial};
use crate::picture::grid;
use crate::{Error, Result};
use std::path::Path;

/// What pictures are written as.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// All in one PNG; also on stdout.
    Grid,
    /// A NumPy array: float32, shape (pictures, rows, columns), of colours (pictures, rows, columns, 3), values 0 to 1.
    Array,
    /// A PNG each.
    Directory,
}

impl Form {
    /// That which a name asks for.
    ///
    /// # Errors
    ///
    /// If it asks for none.
    pub fn of(out: &Path) -> Result<Self> {
        let text = out.to_string_lossy();
        match kind(out, "png").as_str() {
            _ if text.ends_with(std::path::is_separator) || out.is_dir() => Ok(Self::Directory),
            "png" => Ok(Self::Grid),
            "npy" => Ok(Self::Array),
            _ => Err(Error::input(&text, "is of no kind that can be written")
                .hint("end it in .png (a grid), .npy (an array) or / (a directory of PNGs)")),
        }
    }

    /// Writes pictures, in a grid in so many columns; without a number of them about a square.
    pub fn write(
        self,
        console: &Console,
        out: &Path,
        pictures: &[f32],
        shape: ImageShape,
        columns: Option<usize>,
    ) -> Result<()> {
        if let Self::Grid = self {
            return deliver_grid(console, out, pictures, shape, columns);
        }
        let mut written = self.begin(out, pictures.len() / shape.values(), shape)?;
        written.add(pictures)?;
        written.finish(console, columns)
    }

    /// Begins to write `count` pictures, all of which must be added. Unless they are for a grid, they need not be in
    /// memory together.
    ///
    /// # Errors
    ///
    /// If nothing can be written there.
    pub fn begin(self, out: &Path, count: usize, shape: ImageShape) -> Result<Written<'_>> {
        let to = match self {
            Self::Grid => To::Grid(Vec::new()),
            Self::Array => {
                let mut sizes = vec![count, shape.height, shape.width];
                sizes.extend(Some(shape.channels).filter(|&channels| channels > 1));
                let mut file = Partial::create(out)?;
                file.write(&npy::beginning_of_floats(&sizes))?;
                To::Array(file)
            }
            Self::Directory => {
                files::create_folder(out)?;
                To::Directory { written: 0 }
            }
        };
        Ok(Written { out, shape, to })
    }
}

/// Pictures that are being written.
pub(super) struct Written<'a> {
    out: &'a Path,
    shape: ImageShape,
    to: To,
}

enum To {
    Grid(Vec<f32>),
    Array(Partial),
    Directory { written: usize },
}

impl Written<'_> {
    /// Adds the next pictures.
    ///
    /// # Errors
    ///
    /// If they cannot be written. In a directory, those before them stay.
    pub fn add(&mut self, pictures: &[f32]) -> Result<()> {
        match &mut self.to {
            To::Grid(values) => values.extend_from_slice(pictures),
            To::Array(file) => {
                for picture in pictures.chunks_exact(self.shape.values()) {
                    file.write(&npy::bytes_of(picture).collect::<Vec<_>>())?;
                }
            }
            To::Directory { written } => {
                for picture in pictures.chunks_exact(self.shape.values()) {
                    let png = grid::single_png(picture, self.shape)?;
                    let file = self.out.join(format!("{written:06}.png"));
                    files::write_atomically(&file, &png)?;
                    *written += 1;
                }
            }
        }
        Ok(())
    }

    /// Ends it, when all are there, and says where they are; a grid has so many columns, or is about a square.
    ///
    /// # Errors
    ///
    /// If a file cannot be given its name.
    pub fn finish(self, console: &Console, columns: Option<usize>) -> Result<()> {
        match self.to {
            To::Grid(values) => {
                return deliver_grid(console, self.out, &values, self.shape, columns);
            }
            To::Array(file) => file.persist()?,
            To::Directory { .. } => {}
        }
        console.result(self.out)
    }
}

fn deliver_grid(
    console: &Console,
    out: &Path,
    pictures: &[f32],
    shape: ImageShape,
    columns: Option<usize>,
) -> Result<()> {
    let count = pictures.len() / shape.values();
    let columns = columns.unwrap_or_else(|| grid::square_columns(count));
    deliver(console, out, &grid::png(pictures, shape, columns)?)
}

//! Pictures that were decoded, in the form that a person wants.

use super::console::Console;
use super::paths::{deliver, deliver_by, kind};
use crate::data::{ImageShape, npy};
use crate::picture::grid;
use crate::{Error, Result, files};
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
        let count = pictures.len() / shape.values();
        let columns = columns.unwrap_or_else(|| grid::square_columns(count));
        match self {
            Self::Grid => deliver(console, out, &grid::png(pictures, shape, columns)?),
            Self::Array => {
                let mut sizes = vec![count, shape.height, shape.width];
                sizes.extend(Some(shape.channels).filter(|&channels| channels > 1));
                deliver_by(console, out, |file| {
                    npy::write_floats(file, pictures, &sizes)
                })
            }
            Self::Directory => {
                write_directory(out, pictures, shape)?;
                console.result(out)
            }
        }
    }
}

fn write_directory(path: &Path, pictures: &[f32], shape: ImageShape) -> Result<()> {
    files::create_folder(path)?;
    for (number, picture) in pictures.chunks_exact(shape.values()).enumerate() {
        let png = grid::single_png(picture, shape)?;
        let file = path.join(format!("{number:06}.png"));
        files::write_atomically(&file, &png)?;
    }
    Ok(())
}

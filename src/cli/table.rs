//! Pictures in rows and columns that have names.

use super::console::Console;
use super::paths::{deliver, kind};
use super::show::Showing;
use crate::data::ImageShape;
use crate::picture::{animation, grid, labelled};
use crate::{Error, Result};
use std::path::Path;

/// Pictures in rows and columns that have names.
pub(super) struct Table {
    /// Row by row.
    pub values: Vec<f32>,
    pub rows: Vec<String>,
    pub columns: Vec<String>,
}

/// What a table is written as.
#[derive(Clone, Copy)]
enum Form {
    Png,
    Svg,
    Gif,
}

fn form(out: &Path) -> Result<Form> {
    match kind(out, "png").as_str() {
        "png" => Ok(Form::Png),
        "svg" => Ok(Form::Svg),
        "gif" => Ok(Form::Gif),
        _ => Err(Error::input(out.display(), "is of no kind that can be written")
            .hint("end it in .png, .svg (with names at rows and columns) or .gif (columns one after the other)")),
    }
}

/// Checks that a file has a name that a table can be written to.
///
/// # Errors
///
/// If it has another.
pub(super) fn check_name(out: &Path) -> Result<()> {
    form(out).map(|_| ())
}

/// A number of the latent space in words; 0 has no sign.
pub(super) fn words(number: f64) -> String {
    format!("{:.2}", (number * 100.0).round() / 100.0 + 0.0)
}

impl Table {
    /// Shows it in the terminal: a single row in as many as it takes.
    pub fn show(&self, showing: &Showing, shape: ImageShape) -> Result<()> {
        let columns = Some(self.columns.len()).filter(|_| self.rows.len() > 1);
        showing.pictures(&self.values, shape, columns)
    }

    /// Writes it as the name of the file says: PNG; SVG, with the names of rows and columns; or GIF, the columns one
    /// after the other.
    pub fn write(&self, console: &Console, out: &Path, shape: ImageShape) -> Result<()> {
        let columns = self.columns.len();
        let file = match form(out)? {
            Form::Png => grid::png(&self.values, shape, columns)?,
            Form::Svg => {
                labelled::svg(&self.values, shape, &self.rows, &self.columns)?.into_bytes()
            }
            Form::Gif => {
                let pictures: Vec<_> = self.values.chunks_exact(shape.values()).collect();
                let frame = |column: usize| -> Vec<f32> {
                    let of_column = pictures.iter().skip(column).step_by(columns);
                    of_column
                        .flat_map(|picture| picture.iter().copied())
                        .collect()
                };
                let frames: Vec<_> = (0..columns).map(frame).collect();
                animation::gif(&frames, shape, 1)?
            }
        };
        deliver(console, out, &file)
    }
}

//! Grids of pictures whose rows and columns say what they are.

use super::grid;
use crate::Result;
use crate::data::ImageShape;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// Room for the words of a row and of a column, in pixels.
const ROW_WORDS: u32 = 150;
const COLUMN_WORDS: u32 = 22;

/// Pictures row by row, as an SVG file that has them as one PNG, with words at each row and above each column. Either may
/// be without.
pub fn svg(
    values: &[f32],
    shape: ImageShape,
    rows: &[String],
    columns: &[String],
) -> Result<String> {
    let png = grid::png(values, shape, columns.len())?;
    let [cell_width, cell_height] = grid::cell(shape);
    let (left, top) = (ROW_WORDS, COLUMN_WORDS);
    let width = grid::side(cell_width, columns.len());
    let height = grid::side(cell_height, rows.len());
    let middle = |cell: u32, index: usize| cell * index as u32 + cell / 2;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <image x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" image-rendering=\"pixelated\" \
         href=\"data:image/png;base64,{}\"/>\n",
        left + width,
        top + height,
        STANDARD.encode(png)
    );
    // Writing to a string does not fail.
    for (index, words) in columns.iter().enumerate() {
        let x = left + middle(cell_width, index);
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{words}</text>",
            top - 6
        );
    }
    for (index, words) in rows.iter().enumerate() {
        let y = top + middle(cell_height, index) + 4;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{words}</text>",
            left - 6
        );
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_and_column_has_its_words() {
        let shape = ImageShape::MNIST;
        let values = vec![0.5; 6 * shape.values()];
        let words = |count: usize, of: &str| -> Vec<String> {
            (0..count).map(|number| format!("{of} {number}")).collect()
        };
        let svg = svg(&values, shape, &words(2, "row"), &words(3, "column")).expect("a picture");
        for text in [
            "row 0",
            "row 1",
            "column 0",
            "column 2",
            "data:image/png;base64,",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg.matches("<text").count(), 5);
    }
}

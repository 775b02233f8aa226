//! Points with labels as SVG.

use crate::{Error, Result};
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 760);
/// Colours that are told apart, also by most who see fewer: of ten labels; others take them again.
const COLOURS: [(u8, u8, u8); 10] = [
    (0x1f, 0x77, 0xb4),
    (0xff, 0x7f, 0x0e),
    (0x2c, 0xa0, 0x2c),
    (0xd6, 0x27, 0x28),
    (0x94, 0x67, 0xbd),
    (0x8c, 0x56, 0x4b),
    (0xe3, 0x77, 0xc2),
    (0x7f, 0x7f, 0x7f),
    (0xbc, 0xbd, 0x22),
    (0x17, 0xbe, 0xcf),
];

/// A point, and the label that gives it its colour.
pub type Point = ([f64; 2], u8);

/// Points in a plane whose axes are named, with a legend of their labels. At least one point.
///
/// # Errors
///
/// If the drawing library fails.
pub fn draw(points: &[Point], axes: &[String; 2]) -> Result<String> {
    let mut svg = String::new();
    draw_into(&mut svg, points, axes).map_err(|error| Error::failed("scatter plot", error))?;
    Ok(svg)
}

fn draw_into(
    svg: &mut String,
    points: &[Point],
    axes: &[String; 2],
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let range = |axis: usize| {
        let values = || points.iter().map(|(point, _)| point[axis]);
        let (low, high) = (
            values().fold(f64::MAX, f64::min),
            values().fold(f64::MIN, f64::max),
        );
        let margin = 0.03 * (high - low).max(1e-6);
        low - margin..high + margin
    };
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .margin_right(90)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(range(0), range(1))?;
    chart
        .configure_mesh()
        .x_desc(&axes[0])
        .y_desc(&axes[1])
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(0xe0, 0xe0, 0xe0))
        .draw()?;
    let mut labels: Vec<u8> = points.iter().map(|(_, label)| *label).collect();
    labels.sort_unstable();
    labels.dedup();
    for (index, label) in labels.iter().enumerate() {
        let (red, green, blue) = COLOURS[usize::from(*label) % COLOURS.len()];
        let colour = RGBColor(red, green, blue);
        let of_label = points.iter().filter(|(_, of)| of == label);
        chart.draw_series(of_label.map(|([x, y], _)| Circle::new((*x, *y), 2, colour.filled())))?;
        // Beside the plot, where no point is.
        let (x, y) = (SIZE.0 as i32 - 78, 24 + 22 * index as i32);
        area.draw(&Circle::new((x, y + 7), 6, colour.filled()))?;
        area.draw(&Text::new(
            label.to_string(),
            (x + 14, y),
            ("sans-serif", 16),
        ))?;
    }
    area.present()?;
    Ok(())
}

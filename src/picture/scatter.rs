//! Points with labels as SVG.

use super::terminal::Colours;
use crate::{Error, Result};
use image::{Rgba, RgbaImage};
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 760);
/// Colours that are told apart, also by most who see fewer: of ten labels; others take them again.
pub(super) const COLOURS: [(u8, u8, u8); 10] = [
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

/// The same points as a picture of so many columns and rows of pixels, without axes: what lies between them is transparent.
pub fn raster(points: &[Point], [width, height]: [u32; 2]) -> RgbaImage {
    let mut picture = RgbaImage::new(width, height);
    let ranges = [0, 1].map(|axis| range(points, axis));
    // As large as in the SVG file.
    let size = (width / 225).max(1);
    for (point, label) in points {
        let [x, y] = [0, 1].map(|axis| {
            let range = &ranges[axis];
            (point[axis] - range.start) / (range.end - range.start)
        });
        let (red, green, blue) = colour(*label);
        let place = |share: f64, side: u32| (share * f64::from(side - size)) as u32;
        let (left, top) = (place(x, width), place(1.0 - y, height));
        for (across, down) in (0..size * size).map(|dot| (dot % size, dot / size)) {
            picture.put_pixel(left + across, top + down, Rgba([red, green, blue, 255]));
        }
    }
    picture
}

/// Which labels have which colours, as a line for a terminal.
pub fn legend(points: &[Point], colours: Colours) -> String {
    let entry = |label: &u8| {
        let (red, green, blue) = colour(*label);
        format!("{} {label}", colours.paint("■", [red, green, blue]))
    };
    let entries: Vec<String> = labels(points).iter().map(entry).collect();
    entries.join("  ")
}

/// The labels that there are, in order.
fn labels(points: &[Point]) -> Vec<u8> {
    let mut labels: Vec<u8> = points.iter().map(|(_, label)| *label).collect();
    labels.sort_unstable();
    labels.dedup();
    labels
}

/// The values along an axis, and a little more on both sides.
fn range(points: &[Point], axis: usize) -> std::ops::Range<f64> {
    let values = || points.iter().map(|(point, _)| point[axis]);
    let (low, high) = (
        values().fold(f64::MAX, f64::min),
        values().fold(f64::MIN, f64::max),
    );
    let margin = 0.03 * (high - low).max(1e-6);
    low - margin..high + margin
}

fn colour(label: u8) -> (u8, u8, u8) {
    COLOURS[usize::from(label) % COLOURS.len()]
}

fn draw_into(
    svg: &mut String,
    points: &[Point],
    axes: &[String; 2],
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .margin_right(90)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(range(points, 0), range(points, 1))?;
    chart
        .configure_mesh()
        .x_desc(&axes[0])
        .y_desc(&axes[1])
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(0xe0, 0xe0, 0xe0))
        .draw()?;
    for (index, label) in labels(points).iter().enumerate() {
        let (red, green, blue) = colour(*label);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_they_should_in_their_colours() {
        let points = [([-1.0, -2.0], 0), ([1.0, 2.0], 13)];
        let picture = raster(&points, [100, 50]);
        let dots = picture
            .enumerate_pixels()
            .filter(|(_, _, pixel)| pixel.0[3] > 0);
        let dots: Vec<_> = dots.map(|(x, y, pixel)| (x, y, pixel.0[0])).collect();
        let [first, second] = [COLOURS[0].0, COLOURS[3].0];
        assert_eq!(dots, [(96, 1, second), (2, 47, first)]);
        let legend = legend(&points, Colours::True);
        assert!(legend.contains("m■\x1b[0m 0  ") && legend.ends_with(" 13"));
    }
}

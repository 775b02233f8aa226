//! Curves as SVG.

use super::evenly::evenly;
use crate::{Error, Result};
use plotters::prelude::*;

const SIZE: (u32, u32) = (800, 500);

/// No line has more points, nor are there more dots: the plot is 800 wide.
const MOST_POINTS: usize = 1000;

/// A curve over the steps of a training.
#[derive(Debug, Clone)]
pub struct Curve {
    /// What it is called in the legend.
    pub name: &'static str,
    /// Its red, green and blue.
    pub colour: (u8, u8, u8),
    /// Steps and values of its line.
    pub line: Vec<(u64, f64)>,
    /// Steps and values of its dots.
    pub dots: Vec<(u64, f64)>,
}

/// Curves from 0 to `top`: thin lines for training, dots for test.
///
/// # Errors
///
/// If the drawing library fails.
pub fn draw(curves: &[Curve], top: f64) -> Result<String> {
    let mut svg = String::new();
    draw_into(&mut svg, curves, top).map_err(|error| Error::failed("loss.svg", error))?;
    Ok(svg)
}

fn draw_into(
    svg: &mut String,
    curves: &[Curve],
    top: f64,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let points = curves.iter().flat_map(|c| c.line.iter().chain(&c.dots));
    let last = points.map(|(step, _)| *step).max().unwrap_or(1);
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0..last, 0.0..top)?;
    chart
        .configure_mesh()
        .x_desc("step")
        .y_desc("per image (lines: train, dots: test)")
        .y_label_formatter(&|value| format!("{value:.0}"))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(0xe0, 0xe0, 0xe0))
        .draw()?;
    for curve in curves {
        let (red, green, blue) = curve.colour;
        let colour = RGBColor(red, green, blue);
        chart.draw_series(LineSeries::new(shown(&curve.line), colour))?;
        let dots = shown(&curve.dots);
        chart
            .draw_series(dots.map(|point| Circle::new(point, 4, colour.filled())))?
            .label(curve.name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 2), (x + 12, y + 2)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .position(SeriesLabelPosition::UpperRight)
        .draw()?;
    area.present()?;
    Ok(())
}

/// As many points as there is room for.
fn shown(points: &[(u64, f64)]) -> impl Iterator<Item = (u64, f64)> {
    evenly(points.len(), MOST_POINTS).map(|place| points[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_training_has_no_more_points_than_the_plot_can_show() {
        let curve = |steps: u64| Curve {
            name: "loss",
            colour: (0, 0, 0),
            line: (0..steps).map(|step| (step, 0.5)).collect(),
            dots: Vec::new(),
        };
        let points = |steps| {
            let svg = draw(&[curve(steps)], 1.0).expect("a plot");
            let lines = svg.split("points=\"").skip(1);
            let lines = lines.filter_map(|line| line.split('"').next());
            lines.map(|line| line.split_whitespace().count()).max()
        };
        assert_eq!([points(7), points(5000)], [Some(7), Some(MOST_POINTS)]);
    }
}

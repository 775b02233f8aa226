//! The curves of a run, as SVG.

use crate::run::{Metric, SplitName};
use crate::{Error, Result};
use plotters::prelude::*;

const SIZE: (u32, u32) = (800, 500);

/// A curve: its name, its colour, and what it takes of a metric.
type Curve = (&'static str, RGBColor, fn(&Metric) -> f64);

const CURVES: [Curve; 3] = [
    ("loss", RGBColor(0x33, 0x33, 0x33), |metric| metric.loss),
    ("squared error", RGBColor(0x1f, 0x77, 0xb4), |metric| {
        metric.squared_error
    }),
    ("KL", RGBColor(0xd6, 0x5f, 0x2a), |metric| metric.kl),
];

/// Squared error, KL and their sum over the steps: thin lines for training, dots for test.
///
/// # Errors
///
/// If the drawing library fails.
pub fn losses(metrics: &[Metric]) -> Result<String> {
    let mut svg = String::new();
    draw(&mut svg, metrics).map_err(|error| Error::failed("loss.svg", error))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    metrics: &[Metric],
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let last = metrics.iter().map(|metric| metric.step).max().unwrap_or(1);
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0..last, 0.0..height(metrics))?;
    chart
        .configure_mesh()
        .x_desc("step")
        .y_desc("per image (lines: train, dots: test)")
        .y_label_formatter(&|value| format!("{value:.0}"))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(0xe0, 0xe0, 0xe0))
        .draw()?;
    for (name, colour, value) in CURVES {
        let points = |split| {
            let of_split = metrics.iter().filter(move |metric| metric.split == split);
            of_split.map(move |metric| (metric.step, value(metric)))
        };
        chart.draw_series(LineSeries::new(points(SplitName::Train), colour))?;
        chart
            .draw_series(
                points(SplitName::Test).map(|point| Circle::new(point, 4, colour.filled())),
            )?
            .label(name)
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

/// The top of the plot: twice the last loss, so that the first steps do not flatten the rest.
fn height(metrics: &[Metric]) -> f64 {
    let losses = || {
        metrics
            .iter()
            .map(|metric| metric.loss.max(metric.squared_error))
    };
    let highest = losses().fold(0.0, f64::max);
    let last = losses().next_back().unwrap_or(1.0);
    (1.05 * highest).min(2.0 * last).max(1e-3)
}

//! `vae latent interpolate`: what lies between two points.

use super::console::Console;
use super::point::{Point, Shown};
use super::table::{Table, check_name};
use crate::Result;
use crate::model::paths::between;
use crate::model::sampling::decode_all;
use candle_core::Device;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Go from one image to another, through what lies between them.
#[derive(Debug, Args)]
pub struct Interpolate {
    /// Where to begin: the number of a test image, a picture (PNG, JPEG and others), or seed:N, what sampling with that seed draws
    /// first
    #[arg(value_name = "A", default_value = "0")]
    from: Point,

    /// Where to end
    #[arg(value_name = "B", default_value = "1")]
    to: Point,

    /// Pictures on the way, both ends included, 2 to 1000
    #[arg(long, default_value_t = 16, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=1000))]
    steps: usize,

    /// Go along an arc around the middle, rather than in a straight line
    #[arg(long)]
    spherical: bool,

    /// Where to put it: a picture (.png, .svg), or an animation there and back (.gif)
    #[arg(long, default_value = "interpolation.png", value_name = "FILE")]
    out: PathBuf,

    #[command(flatten)]
    shown: Shown,
}

impl Interpolate {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        check_name(&self.out)?;
        let showing = self.shown.show.open(console)?;
        let mut space = self.shown.space(console, device)?;
        let (points, label) = match (&self.from, &self.to) {
            // Between two that were drawn, all the way is of what could be drawn.
            (Point::Seed(from), Point::Seed(to)) => {
                let (_, label) = space.find(&self.from)?;
                let [from, to] = [from, to].map(|seed| space.normals(*seed));
                let normals = between(&from, &to, self.steps, self.spherical).concat();
                (space.vae.from_prior(&normals), label)
            }
            _ => {
                let ((from, label), (to, _)) = (space.find(&self.from)?, space.find(&self.to)?);
                (
                    between(&from, &to, self.steps, self.spherical).concat(),
                    label,
                )
            }
        };
        let table = Table {
            values: decode_all(&space.vae, &points, &vec![label; self.steps])?,
            rows: vec![String::new()],
            columns: (1..=self.steps).map(|step| step.to_string()).collect(),
        };
        table.write(console, &self.out, space.vae.image_shape())?;
        table.show(&showing, space.vae.image_shape())?;
        Ok(ExitCode::SUCCESS)
    }
}

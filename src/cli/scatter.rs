//! `vae latent scatter`: where images lie.

use super::console::Console;
use super::paths::{deliver, kind};
use super::point::Shown;
use crate::evaluate::plane::plane;
use crate::picture::scatter;
use crate::{Error, Result};
use candle_core::Device;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show where the test images lie in the latent space, coloured by their labels.
#[derive(Debug, Args)]
pub struct Scatter {
    /// How many test images, 1 to 100000; no more than there are
    #[arg(long, default_value_t = 10_000, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    n: usize,

    /// Where to put it (.svg). Of more than two latent dimensions, the two principal components are shown
    #[arg(long, default_value = "scatter.svg", value_name = "FILE")]
    out: PathBuf,

    #[command(flatten)]
    shown: Shown,
}

impl Scatter {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        if kind(&self.out, "svg") != "svg" {
            return Err(Error::input(self.out.display(), "must end in .svg"));
        }
        let showing = self.shown.show.open(console)?;
        let mut space = self.shown.space(console, device)?;
        let corruption = space.config.corruption();
        let mut test = space.test()?.clone();
        test.truncate(self.n);
        let (points, axes) = plane(&space.vae, &test, corruption)?;
        let points: Vec<_> = points.into_iter().zip(test.labels).collect();
        deliver(
            console,
            &self.out,
            scatter::draw(&points, &axes)?.as_bytes(),
        )?;
        showing.drawing(
            |size| scatter::raster(&points, size),
            |colours| scatter::legend(&points, colours),
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

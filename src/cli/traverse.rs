//! `vae latent traverse`: what each dimension does.

use super::console::Console;
use super::point::{Point, Shown};
use super::table::{Table, check_name, words};
use crate::Result;
use crate::evaluate::{Dimension, LatentSpace};
use crate::model::paths::quantiles;
use crate::model::sampling::decode_all;
use candle_core::Device;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show what each latent dimension does: a row a dimension, the most active first.
#[derive(Debug, Args)]
pub struct Traverse {
    /// Go around this image: the number of a test image, a picture (PNG, JPEG and others), or seed:N [default: the middle of the
    /// latent space]
    #[arg(long, value_name = "IMAGE")]
    image: Option<Point>,

    /// Pictures a row, 2 to 1000: quantiles of the unit normal distribution
    #[arg(long, default_value_t = 11, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=1000))]
    steps: usize,

    /// Dimensions to show, 1 to 100 [default: those that are active]
    #[arg(long, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100))]
    dimensions: Option<usize>,

    /// Where to put it: a picture (.png; .svg has the dimensions and values beside it), or an animation (.gif)
    #[arg(long, default_value = "traversal.png", value_name = "FILE")]
    out: PathBuf,

    #[command(flatten)]
    shown: Shown,
}

impl Traverse {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        check_name(&self.out)?;
        let showing = self.shown.show.open(console)?;
        let mut space = self.shown.space(console, device)?;
        let (point, label) = match &self.image {
            Some(image) => space.find(image)?,
            None => (vec![0.0; space.vae.latent_dim()], space.label()),
        };
        let corruption = space.config.corruption();
        let test = space.test()?.clone();
        let latent_space = LatentSpace::of(&space.vae, &test, corruption)?;
        let active = latent_space.active_units().max(1);
        let count = self.dimensions.unwrap_or(active).min(point.len());
        let mut dimensions = latent_space.dimensions;
        dimensions.sort_by(|a, b| b.activity.total_cmp(&a.activity));
        dimensions.truncate(count);
        let quantiles = quantiles(self.steps);
        let mut latent = Vec::new();
        for dimension in &dimensions {
            for &quantile in &quantiles {
                let mut point = point.clone();
                point[dimension.dimension] = quantile as f32;
                latent.extend(point);
            }
        }
        let row = |d: &Dimension| format!("dimension {}, KL {:.2}", d.dimension, d.kl);
        let table = Table {
            values: decode_all(&space.vae, &latent, &vec![label; count * self.steps])?,
            rows: dimensions.iter().map(row).collect(),
            columns: quantiles.iter().map(|quantile| words(*quantile)).collect(),
        };
        for (number, row) in table.rows.iter().enumerate() {
            console.say(format_args!("row {}: {row}", number + 1));
        }
        table.write(console, &self.out, space.vae.image_shape())?;
        table.show(&showing, space.vae.image_shape())?;
        Ok(ExitCode::SUCCESS)
    }
}

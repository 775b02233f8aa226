//! `vae latent manifold`: all of a latent space of two dimensions.

use super::console::Console;
use super::point::Shown;
use super::table::{Table, check_name, words};
use crate::model::paths::quantiles;
use crate::model::sampling::decode_all;
use crate::{Error, Result};
use candle_core::Device;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show all that a model with two latent dimensions draws: a grid over the quantiles of what it draws from.
#[derive(Debug, Args)]
pub struct Manifold {
    /// Pictures a side, 2 to 100
    #[arg(long, default_value_t = 20, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=100))]
    steps: usize,

    /// Where to put it: a picture (.png; .svg has the quantiles beside it), or an animation, column by column (.gif)
    #[arg(long, default_value = "manifold.png", value_name = "FILE")]
    out: PathBuf,

    #[command(flatten)]
    shown: Shown,
}

impl Manifold {
    pub fn run(self, console: &Console, device: &Device) -> Result<ExitCode> {
        check_name(&self.out)?;
        let showing = self.shown.show.open(console)?;
        let space = self.shown.space(console, device)?;
        if space.vae.latent_dim() != 2 {
            let why = format!(
                "the model has {} latent dimensions, not two",
                space.vae.latent_dim()
            );
            let hint = "train one that has: vae train --config configs/latent-2d.json";
            return Err(Error::input("manifold", why).hint(hint));
        }
        let quantiles = quantiles(self.steps);
        // The second dimension points up.
        let rows = quantiles.iter().rev();
        let normals = rows.flat_map(|&y| quantiles.iter().flat_map(move |&x| [x as f32, y as f32]));
        let normals: Vec<f32> = normals.collect();
        let latent = space.vae.from_prior(&normals);
        let table = Table {
            values: decode_all(
                &space.vae,
                &latent,
                &vec![space.label(); self.steps * self.steps],
            )?,
            rows: quantiles
                .iter()
                .rev()
                .map(|quantile| words(*quantile))
                .collect(),
            columns: quantiles.iter().map(|quantile| words(*quantile)).collect(),
        };
        table.write(console, &self.out, space.vae.image_shape())?;
        table.show(&showing, space.vae.image_shape())?;
        Ok(ExitCode::SUCCESS)
    }
}

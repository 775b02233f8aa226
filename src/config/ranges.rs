//! What each number may be, but those of layers, which are checked as a model is planned.

use super::hyperparameters::{BetaSchedule, Config, Prior};
use crate::data::ImageShape;
use crate::{Error, Result};

/// The most components of a mixture that latent vectors are drawn from.
pub const MOST_COMPONENTS: usize = 1000;

impl Config {
    /// Checks every number for its range, but those of layers: `model::architecture` checks those as it plans.
    ///
    /// # Errors
    ///
    /// If one is out of range; the error names it and says what it may be.
    pub fn validate(&self) -> Result<()> {
        let whole = |name: &str, value: u64, least: u64, most: u64| {
            let range = format!("must be a whole number from {least} to {most}, found {value}");
            check(name, (least..=most).contains(&value), range)
        };
        whole("steps", self.steps, 1, 1_000_000_000)?;
        whole("batch_size", self.batch_size as u64, 1, 65_536)?;
        whole("warmup_steps", self.warmup_steps, 0, 1_000_000_000)?;
        whole("image_every", self.image_every, 1, u64::MAX)?;
        whole("save_every", self.save_every, 1, u64::MAX)?;
        whole("eval_every", self.eval_every, 1, u64::MAX)?;
        whole("classes", self.classes as u64, 2, 256)?;
        whole("latent_dim", self.latent_dim as u64, 1, 4096)?;

        for side in self.image.size.iter().flat_map(|size| size.sides()) {
            whole(
                "image.size",
                side as u64,
                1,
                ImageShape::LARGEST_SIDE as u64,
            )?;
        }
        let shift = self.augment.shift as u64;
        whole("augment.shift", shift, 0, ImageShape::LARGEST_SIDE as u64)?;
        let channels = self.image.channels;
        let range = format!("must be 1 or 3, found {}", channels.unwrap_or_default());
        check(
            "image.channels",
            matches!(channels, None | Some(1 | 3)),
            range,
        )?;
        let samples = self.train_importance_samples as u64;
        whole("train_importance_samples", samples, 1, 1000)?;
        if let BetaSchedule::Linear(steps) | BetaSchedule::Cyclic(steps) = self.beta_schedule {
            whole("beta_schedule", steps, 1, 1_000_000_000)?;
        }
        if let Prior::Mixture(components) = self.prior {
            whole("prior", components as u64, 1, MOST_COMPONENTS as u64)?;
        }

        let number = |name: &str, value: f64, valid: bool, range: &str| {
            check(name, valid, format!("must be {range}, found {value}"))
        };
        let rate = self.highest_learning_rate();
        let valid = rate > 0.0 && rate <= 10.0;
        number("learning_rate", rate, valid, "above 0 and at most 10")?;
        let valid = (0.0..=1e6).contains(&self.beta);
        number("beta", self.beta, valid, "from 0 to 1,000,000")?;
        if let Some(amount) = self.noise.amount() {
            let most = self.noise.most();
            let valid = (0.0..=most).contains(&amount);
            number("noise", amount, valid, &format!("from 0 to {most}"))?;
        }
        if let Some(share) = self.test_share {
            let valid = share > 0.0 && share < 1.0;
            number("test_share", share, valid, "above 0 and below 1")?;
        }
        let valid = (0.0..=1e6).contains(&self.free_bits);
        number("free_bits", self.free_bits, valid, "from 0 to 1,000,000")?;
        let no_bits = self.train_importance_samples == 1 || self.free_bits == 0.0;
        let range =
            "must be 0 where train_importance_samples is above 1: the bound has no KL".into();
        check("free_bits", no_bits, range)?;
        let valid = (0.0..=10.0).contains(&self.weight_decay);
        number("weight_decay", self.weight_decay, valid, "from 0 to 10")?;
        if let Some(norm) = self.max_gradient_norm {
            let valid = norm > 0.0 && norm <= 1e9;
            number(
                "max_gradient_norm",
                norm,
                valid,
                "above 0 and at most 1,000,000,000",
            )?;
        }
        for (name, value) in [
            ("adam_beta1", self.adam_beta1),
            ("adam_beta2", self.adam_beta2),
            ("ema_decay", self.ema_decay),
        ] {
            number(
                name,
                value,
                (0.0..1.0).contains(&value),
                "from 0 to below 1",
            )?;
        }
        let valid = self.adam_epsilon > 0.0 && self.adam_epsilon <= 1.0;
        number(
            "adam_epsilon",
            self.adam_epsilon,
            valid,
            "above 0 and at most 1",
        )?;
        Ok(())
    }
}

fn check(name: &str, valid: bool, range: String) -> Result<()> {
    if valid {
        Ok(())
    } else {
        Err(Error::input(name, range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Noise;

    #[test]
    fn numbers_out_of_range_are_named() {
        let with = |change: &dyn Fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().map_err(|error| error.what)
        };
        assert_eq!(with(&|_| {}), Ok(()));
        assert_eq!(with(&|c| c.steps = 0), Err("steps".into()));
        assert_eq!(with(&|c| c.batch_size = 0), Err("batch_size".into()));
        assert_eq!(with(&|c| c.classes = 1), Err("classes".into()));
        assert_eq!(with(&|c| c.latent_dim = 0), Err("latent_dim".into()));
        assert_eq!(with(&|c| c.prior = Prior::Mixture(0)), Err("prior".into()));
        assert_eq!(
            with(&|c| c.prior = Prior::Mixture(1001)),
            Err("prior".into())
        );
        assert_eq!(with(&|c| c.beta = -1.0), Err("beta".into()));
        for noise in [
            Noise::Gaussian(-1.0),
            Noise::Gaussian(f64::NAN),
            Noise::Masked(1.1),
        ] {
            assert_eq!(with(&|c| c.noise = noise), Err("noise".into()));
        }
        assert_eq!(with(&|c| c.ema_decay = 1.0), Err("ema_decay".into()));
        assert_eq!(with(&|c| c.free_bits = -1.0), Err("free_bits".into()));
        assert_eq!(
            with(&|c| c.weight_decay = f64::NAN),
            Err("weight_decay".into())
        );
        let error = Err("max_gradient_norm".into());
        assert_eq!(with(&|c| c.max_gradient_norm = Some(0.0)), error);
        let error = Err("train_importance_samples".into());
        assert_eq!(with(&|c| c.train_importance_samples = 0), error);
        for schedule in [BetaSchedule::Linear(0), BetaSchedule::Cyclic(0)] {
            let error = Err("beta_schedule".into());
            assert_eq!(with(&|c| c.beta_schedule = schedule), error);
        }
        for rate in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            let error = with(&|c| c.learning_rate = Some(rate));
            assert_eq!(error, Err("learning_rate".into()));
        }
    }
}

//! How the learning rate and beta change from step to step.

use crate::config::{BetaSchedule, Config, Schedule};

/// The learning rate of a step, counted from 1.
pub fn learning_rate(config: &Config, step: u64) -> f64 {
    let warmup = (step as f64 / config.warmup_steps.max(1) as f64).min(1.0);
    let decay = match config.schedule {
        Schedule::Constant => 1.0,
        Schedule::Cosine => {
            let progress = (step - 1) as f64 / config.steps as f64;
            0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
        }
    };
    config.highest_learning_rate() * warmup * decay
}

/// The weight of the KL divergence at a step, counted from 1.
pub fn beta(config: &Config, step: u64) -> f64 {
    let part = match config.beta_schedule {
        BetaSchedule::Constant => 1.0,
        BetaSchedule::Linear(steps) => step as f64 / steps as f64,
        BetaSchedule::Cyclic(steps) => 2.0 * ((step - 1) % steps + 1) as f64 / steps as f64,
    };
    config.beta * part.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ImageConfig;
    use crate::data::ImageShape;

    #[test]
    fn beta_rises_once_or_again_and_again() {
        let with = |beta_schedule, step| {
            let config = Config {
                beta: 2.0,
                beta_schedule,
                ..Config::default()
            };
            beta(&config, step)
        };
        assert_eq!(with(BetaSchedule::Constant, 1), 2.0);
        let linear = [1, 50, 100, 1000].map(|step| with(BetaSchedule::Linear(100), step));
        assert_eq!(linear, [0.02, 1.0, 2.0, 2.0]);
        let cyclic = [1, 25, 50, 100, 101, 125, 150];
        let cyclic = cyclic.map(|step| with(BetaSchedule::Cyclic(100), step));
        assert_eq!(cyclic, [0.04, 1.0, 2.0, 2.0, 0.04, 1.0, 2.0]);
    }

    #[test]
    fn the_learning_rate_warms_up_and_falls_to_a_hundredth() {
        let config = Config::default();
        assert!(learning_rate(&config, 1) < 1e-4);
        assert!((learning_rate(&config, 100) - 3e-3).abs() < 5e-5);
        assert!((learning_rate(&config, 2000) / 3e-5 - 1.0).abs() < 0.01);
        let constant = Config {
            schedule: Schedule::Constant,
            warmup_steps: 0,
            ..config
        };
        assert_eq!(learning_rate(&constant, 1), 3e-3);
        assert_eq!(learning_rate(&constant, 2000), 3e-3);
    }

    #[test]
    fn the_learning_rate_suits_the_images_unless_one_is_asked_for() {
        let rate = |height, width, learning_rate| {
            let shape = ImageShape {
                height,
                width,
                channels: 1,
            };
            let config = Config {
                image: ImageConfig::of(shape),
                learning_rate,
                ..Config::default()
            };
            config.highest_learning_rate()
        };
        let rates = [[28, 28], [56, 56], [56, 200], [57, 57], [200, 64]];
        let rates = rates.map(|[height, width]| rate(height, width, None));
        assert_eq!(rates, [3e-3, 3e-3, 3e-3, 1e-3, 1e-3]);
        assert_eq!(rate(64, 64, Some(3e-3)), 3e-3);
    }
}

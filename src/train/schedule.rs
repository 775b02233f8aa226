//! How the learning rate changes from step to step.

use crate::config::{Config, Schedule};

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
    config.learning_rate * warmup * decay
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

//! Mixtures of where a model's encoder puts images, with a bar while they are fitted.

use super::console::Console;
use crate::Result;
use crate::config::Config;
use crate::data::Dataset;
use crate::model::{FittedPrior, Vae};
use crate::run::{self, ModelName};

/// The mixtures of a model's posteriors, from the cache or fitted now.
pub(super) fn fit_mixtures(
    name: &ModelName,
    model: (&Config, &Vae),
    dataset: &Dataset,
    console: &Console,
) -> Result<Vec<Option<FittedPrior>>> {
    let bar = console.bar("step", 0, 0);
    bar.set_message("fitting a mixture to the posteriors");
    let mut notify = |notice| console.notice(notice);
    let mixtures = run::posterior_mixtures(name, model, dataset, &mut notify, |step, steps| {
        bar.set_length(steps);
        bar.set_position(step);
    });
    bar.finish_and_clear();
    mixtures
}

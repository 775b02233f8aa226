//! The training loop: batches in, events out. It prints nothing and writes no file.

pub mod evaluation;
pub mod event;
pub mod losses;
pub mod objective;
mod parts;
mod prior;
pub mod schedule;
pub mod trainer;

pub use evaluation::evaluate;
pub use event::{Event, Progress, Step};
pub use losses::Losses;
pub use objective::Objective;
pub use prior::{POSTERIOR_RECIPE, fit_posterior};
pub use trainer::Trainer;

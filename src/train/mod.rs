//! The training loop: batches in, events out. It prints nothing and writes no file.

pub mod event;
pub mod losses;
pub mod schedule;
pub mod trainer;

pub use event::{Event, Progress, Step};
pub use losses::Losses;
pub use trainer::Trainer;

//! The run directory: what is where, and how it is written and read again.
//!
//! What each command does with a directory whose files are missing, empty or of another run is in
//! `docs/run-directory.md`.

mod cache;
mod checkpoint;
mod classifier;
mod dir;
mod evaluation;
mod lock;
mod metrics;
mod mixture;
mod model;
mod names;
pub mod report;
mod state;
mod tensorboard;
pub mod weights;

pub use checkpoint::{Checkpoint, save, save_model_of};
pub use classifier::classifier;
pub use dir::RunDir;
pub use metrics::{Metric, MetricsLog, Recorded, SplitName, parse_metrics};
pub use mixture::posterior_mixtures;
pub use model::{ModelName, load_model, newest, trained_on};
pub use names::RUNS;
pub use state::State;
pub use tensorboard::EventFiles;

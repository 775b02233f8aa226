//! `report.html`: a run, or several side by side, as one file that opens from disk.

mod comparison;
mod curves;
mod own;
mod page;
mod pictures;
mod recorded;
mod settings;

pub use comparison::compare;
pub use own::{keep_evaluation, write_during};
pub use page::Page;
pub use recorded::{RecordedRun, find};

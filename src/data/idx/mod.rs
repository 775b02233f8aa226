//! The IDX format, in which MNIST has always been published, and data sets of such files.

mod file;
pub mod folder;
pub mod names;

pub use folder::{Part, parts, read_folder, sum, write_folder};
pub use names::{FILES, is_in};

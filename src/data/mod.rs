//! Images to learn from: what a data set is, and where one comes from.

pub mod batches;
pub mod binarize;
pub mod dataset;
pub mod idx;
pub mod load;
pub mod mnist;
pub mod shape;
pub mod source;
pub mod synthetic;

pub use binarize::Binarize;
pub use dataset::{Dataset, Split};
pub use load::load;
pub use shape::ImageShape;
pub use source::{Notice, Source};

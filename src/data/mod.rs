//! Images to learn from: what a data set is, and where one comes from.

pub mod arrays;
pub mod augment;
pub mod batches;
pub mod binarize;
pub mod dataset;
pub mod examples;
pub mod hold_out;
pub mod idx;
pub mod latents;
pub mod load;
pub mod noise;
pub mod npy;
pub mod npz;
pub mod numbers;
pub mod parquet;
pub mod percent;
pub mod pictures;
pub mod pixels;
pub mod published;
pub mod shape;
pub mod source;
pub mod synthetic;
pub mod tensor;

pub use augment::Augment;
pub use binarize::Binarize;
pub use dataset::{Dataset, Split};
pub use examples::Examples;
pub use load::{Loaded, load};
pub use noise::{CLEAN, Corruption, Noise};
pub use pictures::{Fit, Reading};
pub use pixels::Pixels;
pub use published::Published;
pub use shape::ImageShape;
pub use source::{Notice, Source};

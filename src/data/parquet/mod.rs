//! Parquet files of pictures, in the form in which the Hugging Face hub has data sets.

pub mod list;
#[cfg(feature = "download")]
mod pages;
mod read;
#[cfg(feature = "download")]
pub mod rows;

pub use list::is_in;
pub use read::read;

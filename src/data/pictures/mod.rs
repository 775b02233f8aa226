//! Pictures that somebody has, in folders, as data to learn from.

mod cache;
pub mod decode;
pub mod fit;
pub mod folder;
mod list;
mod memory;
pub mod reading;

pub use decode::decode;
pub use fit::{Fit, fit};
pub use list::{Content, List, PictureFile, half_of, is_picture};
pub use reading::Reading;

//! Latent vectors in files: NumPy's arrays and archives of them, CSV, JSON lines.

mod csv;
pub mod encoded;
pub mod file;
mod jsonl;
mod npz;
mod rows;

pub use encoded::{Encoded, LATENT, LOG_VARIANCE, Latents, MEAN, Wanted};
pub use file::{Form, read, write};

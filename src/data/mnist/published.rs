//! What MNIST is, to the last bit.

use crate::checksum::sha256;
use crate::data::dataset::Dataset;
use crate::data::idx;

/// The name of a data set whose every byte is MNIST's.
pub const NAME: &str = "MNIST, verified";

/// The SHA-256 sums of the four files as published, unzipped, in the order of [`idx::FILES`].
const SUMS: [&str; 4] = [
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
];

/// Whether a data set is MNIST to the last bit.
///
/// # Errors
///
/// If it is not: which of its files is the first to differ.
pub fn check(dataset: &Dataset) -> std::result::Result<(), String> {
    for (part, expected) in idx::parts(dataset).iter().zip(SUMS) {
        if sha256(&[&part.header, part.body]) != expected {
            return Err(format!("{} is not MNIST's", part.file));
        }
    }
    Ok(())
}

//! Checksums of files and data.

use sha2::{Digest, Sha256};

/// The SHA-256 sum of some bytes, given in pieces, in hexadecimal.
pub fn sha256(pieces: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for piece in pieces {
        hasher.update(piece);
    }
    let sum = hasher.finalize();
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Checksums of files and data.

use sha2::{Digest, Sha256};

/// The SHA-256 sum of bytes that come one after the other.
#[derive(Clone, Default)]
pub struct Sum(Sha256);

impl Sum {
    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The sum, in hexadecimal.
    pub fn finish(self) -> String {
        let sum = self.0.finalize();
        sum.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The SHA-256 sum of some bytes, given in pieces, in hexadecimal.
pub fn sha256(pieces: &[&[u8]]) -> String {
    let mut sum = Sum::default();
    pieces.iter().for_each(|piece| sum.update(piece));
    sum.finish()
}

/// The CRC-32C sum of some bytes (Castagnoli et al., 1993; RFC 3720, section 12.1).
pub fn crc32c(bytes: &[u8]) -> u32 {
    /// The polynomial, its lowest power first.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    /// What each byte adds.
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < table.len() {
            let mut sum = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                sum = (sum >> 1) ^ (POLYNOMIAL * (sum & 1));
                bit += 1;
            }
            table[byte] = sum;
            byte += 1;
        }
        table
    };
    let step = |sum: u32, byte: &u8| (sum >> 8) ^ TABLE[usize::from(sum as u8 ^ byte)];
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 3720, appendix B.4, and the usual one.
    #[test]
    fn sums_are_those_of_the_standard() {
        let rising: Vec<u8> = (0..32).collect();
        for (bytes, sum) in [
            (&b""[..], 0),
            (b"123456789", 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&rising, 0x46dd_794e),
        ] {
            assert_eq!(crc32c(bytes), sum);
        }
    }
}

//! What the pages of a Parquet file promise, before its reader believes it.
//!
//! The reader sets memory aside for what a page's header says of its size and of the values in a dictionary. A header is a
//! structure of Thrift's compact protocol:
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>, with the numbers of fields of
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>.

use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;
use std::fs::File;

/// Bytes that a byte of a page can be unpacked to, and how many it may be besides.
const MOST_PACKED: u64 = 2048;
const FLAT: u64 = 1 << 20;
/// Values of a dictionary take so many bytes.
const LEAST_VALUE: u64 = 4;
/// Bytes that the header of a page usually fits into, and those that are looked at otherwise.
const HEADERS: [u64; 2] = [1 << 10, 1 << 20];
/// Structures within structures are looked into so deep.
const DEEPEST: usize = 16;

/// The fields of a page's header that are looked at.
const UNPACKED: i16 = 2;
const PACKED: i16 = 3;
const DICTIONARY: i16 = 7;
const DICTIONARY_VALUES: i16 = 1;

/// Checks the pages of those columns whose paths are `wanted`, in a file of a length.
///
/// # Errors
///
/// If a page is not where it should be, or promises more than its bytes can hold.
pub(super) fn check(
    file: &File,
    length: u64,
    metadata: &ParquetMetaData,
    wanted: impl Fn(&[String]) -> bool,
) -> Result<(), String> {
    let columns = metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns());
    for column in columns.filter(|column| wanted(column.column_path().parts())) {
        let (mut start, size) = column.byte_range();
        let end = start.checked_add(size).filter(|&end| end <= length);
        let end = end.ok_or("it promises pages beyond its end")?;
        while start < end {
            let header = HEADERS.iter().find_map(|&most| {
                let bytes = file.get_bytes(start, most.min(end - start) as usize);
                Header::of(&bytes.ok()?)
            });
            let header = header.ok_or("a header of its pages is damaged")?;
            let room = header
                .packed
                .saturating_mul(MOST_PACKED)
                .saturating_add(FLAT);
            let values = header.dictionary.saturating_mul(LEAST_VALUE);
            start = start
                .saturating_add(header.length)
                .saturating_add(header.packed);
            if start > end || header.unpacked > room || values > header.unpacked {
                return Err("a page of it promises more than its bytes can hold".into());
            }
        }
    }
    Ok(())
}

/// What the header of a page says.
#[derive(Debug, Default, PartialEq)]
struct Header {
    /// Its own bytes.
    length: u64,
    /// Those of the page, as they are in the file, and unpacked.
    packed: u64,
    unpacked: u64,
    /// Values, if it is a dictionary.
    dictionary: u64,
}

impl Header {
    /// The header that some bytes begin with.
    fn of(bytes: &[u8]) -> Option<Self> {
        let mut header = Self::default();
        let mut rest = Rest(bytes);
        rest.structure(&mut Vec::new(), &mut |path, number| {
            let place = match *path {
                [PACKED] => &mut header.packed,
                [UNPACKED] => &mut header.unpacked,
                [DICTIONARY, DICTIONARY_VALUES] => &mut header.dictionary,
                _ => return Some(()),
            };
            *place = u64::try_from(number).ok()?;
            Some(())
        })?;
        header.length = (bytes.len() - rest.0.len()) as u64;
        Some(header)
    }
}

/// Bytes that are not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A number with its sign in the lowest bit.
    fn number(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A structure, after a path of fields; `see` is shown the whole numbers in it.
    fn structure(
        &mut self,
        path: &mut Vec<i16>,
        see: &mut dyn FnMut(&[i16], i64) -> Option<()>,
    ) -> Option<()> {
        if path.len() > DEEPEST {
            return None;
        }
        let mut field = 0i16;
        loop {
            let head = self.byte()?;
            let kind = head & 0x0f;
            if kind == 0 {
                return Some(());
            }
            field = match head >> 4 {
                0 => i16::try_from(self.number()?).ok()?,
                step => field.checked_add(step.into())?,
            };
            path.push(field);
            match kind {
                // Truth is in the kind itself.
                1 | 2 => {}
                _ => self.value(kind, path, see)?,
            }
            path.pop();
        }
    }

    fn value(
        &mut self,
        kind: u8,
        path: &mut Vec<i16>,
        see: &mut dyn FnMut(&[i16], i64) -> Option<()>,
    ) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => {
                let number = self.number()?;
                see(path, number)
            }
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            // A header of a page has lists of nothing that matters here, and has none today.
            12 => self.structure(path, see),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_pages_say_what_they_promise() {
        // type 2, unpacked 300, packed 200, dictionary_page_header {num_values 5, encoding 0}.
        let dictionary = [
            0x15, 4, 0x15, 0xd8, 4, 0x15, 0x90, 3, 0x4c, 0x15, 10, 0x15, 0, 0, 0, 9,
        ];
        let expected = Header {
            length: 15,
            packed: 200,
            unpacked: 300,
            dictionary: 5,
        };
        assert_eq!(Header::of(&dictionary), Some(expected));
        for length in 0..15 {
            assert_eq!(Header::of(&dictionary[..length]), None, "{length}");
        }
        // A negative size, a field number that is too high, structures without an end.
        assert_eq!(Header::of(&[0x15, 4, 0x15, 1, 0]), None);
        assert_eq!(Header::of(&[0x05, 0xff, 0xff, 0xff, 0x7f, 0, 0]), None);
        assert_eq!(Header::of(&[0x1c; 100]), None);
    }
}

//! NumPy's array files.
//!
//! A file is `\x93NUMPY`, a version, the length of a header, the header, and then the values, nothing else. The header is
//! a Python dictionary of a type (`descr`), an order (`fortran_order`) and a shape:
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. What it promises is compared with the file's
//! length before any memory is asked for.

use std::io::Read;

/// What every array file starts with.
pub const MAGIC: &[u8] = b"\x93NUMPY";

/// The most dimensions that an array has in NumPy.
const MOST_DIMENSIONS: usize = 64;

/// An array of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its size in each dimension.
    pub shape: Vec<usize>,
    /// The values, the last dimension fastest.
    pub values: Vec<f32>,
    /// What kind of numbers those were.
    pub numbers: Numbers,
}

/// Kinds of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// False and true, as 0 and 1.
    Truth,
    /// Whole ones.
    Whole,
    /// Fractions.
    Fractions,
}

/// The file of an array of float32.
pub fn floats(values: &[f32], shape: &[usize]) -> Vec<u8> {
    let mut file = beginning_of_floats(shape);
    file.extend(bytes_of(values));
    file
}

/// What [`bytes_of`] all values follow in such a file.
pub fn beginning_of_floats(shape: &[usize]) -> Vec<u8> {
    beginning("<f4", shape)
}

/// Values as they are in such a file.
pub fn bytes_of(values: &[f32]) -> impl Iterator<Item = u8> {
    values.iter().flat_map(|value| value.to_le_bytes())
}

/// The file of an array of uint8.
pub fn bytes(values: &[u8], shape: &[usize]) -> Vec<u8> {
    let mut file = beginning("|u1", shape);
    file.extend_from_slice(values);
    file
}

/// What the values follow in a file of version 1.0.
fn beginning(descr: &str, shape: &[usize]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let sizes = format!("({}{comma})", sizes.join(", "));
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {sizes}, }}").into_bytes();
    // Magic, version and length take 10 bytes; the values begin at a multiple of 64.
    header.resize((10 + header.len() + 1).next_multiple_of(64) - 11, b' ');
    header.push(b'\n');
    let mut file = [MAGIC, b"\x01\x00"].concat();
    file.extend_from_slice(&(header.len() as u16).to_le_bytes());
    file.extend_from_slice(&header);
    file
}

/// The array in a file: of whole numbers, float16, float32, float64 or bool, in any order of bytes and dimensions.
///
/// # Errors
///
/// Why the file is no such array.
pub fn read(file: &[u8]) -> Result<Array, String> {
    read_from(file, usize::MAX)
}

/// The same from a stream, of at most so many values: what is not to be trusted may be packed.
///
/// # Errors
///
/// The same, or if the header promises more values.
pub fn read_from(mut file: impl Read, most: usize) -> Result<Array, String> {
    let header = header(&mut file).ok_or("it is no whole NumPy array file")?;
    let kind = Kind::of(entry(&header, "descr")?)?;
    let shape = shape(entry(&header, "shape")?)?;
    let count = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    let sizes = shape.iter().map(usize::to_string).collect::<Vec<_>>();
    let promise = format!(
        "its header promises {} values of {} bytes",
        sizes.join(" x "),
        kind.size
    );
    let count = count.filter(|&count| count <= most);
    let size = count.and_then(|count| count.checked_mul(kind.size));
    let size = size.ok_or_else(|| format!("{promise}, more than can be read"))?;
    let mut body = Vec::new();
    let read = file.take(size as u64 + 1).read_to_end(&mut body);
    read.map_err(|error| error.to_string())?;
    match body.len() {
        found if found < size => return Err(format!("{promise}; {found} bytes follow")),
        found if found > size => return Err(format!("{promise}; more than {size} bytes follow")),
        _ => {}
    }
    let values = body.chunks_exact(kind.size).map(|bytes| kind.value(bytes));
    let values: Vec<f32> = values.collect();
    let values = match entry(&header, "fortran_order")?.starts_with("True") {
        true => last_dimension_fastest(&values, &shape),
        false => values,
    };
    Ok(Array {
        shape,
        values,
        numbers: kind.numbers(),
    })
}

/// The header of a file, from its start.
fn header(file: &mut impl Read) -> Option<String> {
    let mut start = [0; 8];
    file.read_exact(&mut start).ok()?;
    let version = start.strip_prefix(MAGIC)?[0];
    let length = match version {
        1 => {
            let mut length = [0; 2];
            file.read_exact(&mut length).ok()?;
            u32::from(u16::from_le_bytes(length))
        }
        2 | 3 => {
            let mut length = [0; 4];
            file.read_exact(&mut length).ok()?;
            u32::from_le_bytes(length)
        }
        _ => return None,
    };
    let mut header = Vec::new();
    let whole = file.take(length.into()).read_to_end(&mut header).ok()?;
    (whole == length as usize).then(|| String::from_utf8(header).ok())?
}

/// What follows a key of the header.
fn entry<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let (_, rest) = header
        .split_once(&format!("'{key}':"))
        .ok_or_else(|| format!("its header has no `{key}`"))?;
    Ok(rest.trim_start())
}

fn shape(text: &str) -> Result<Vec<usize>, String> {
    let inside = text.strip_prefix('(').and_then(|text| text.split_once(')'));
    let (inside, _) = inside.ok_or("its shape is none")?;
    let sizes = inside
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty());
    let sizes: Vec<usize> = sizes
        .map(|size| {
            size.parse()
                .map_err(|_| format!("its shape has the size `{size}`"))
        })
        .take(MOST_DIMENSIONS + 1)
        .collect::<Result<_, _>>()?;
    match sizes.len() > MOST_DIMENSIONS {
        true => Err("its shape has more dimensions than arrays have".into()),
        false => Ok(sizes),
    }
}

/// How a value is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// `b` for bool, `i` and `u` for whole numbers, `f` for fractions.
    pub letter: u8,
    /// Bytes of a value.
    pub size: usize,
    pub big_endian: bool,
}

impl Kind {
    /// That of `descr`, as in `'<f4'`: the order of bytes, a letter, how many bytes.
    fn of(descr: &str) -> Result<Self, String> {
        let descr = descr
            .strip_prefix('\'')
            .and_then(|text| text.split_once('\''));
        let (descr, _) = descr.ok_or("it is an array of records, not of numbers")?;
        let unknown = || {
            format!(
                "it is of type `{descr}`; whole numbers, fractions of 16, 32 and 64 bits, and bool can be read"
            )
        };
        let &[order, letter, size] = descr.as_bytes() else {
            return Err(unknown());
        };
        let size = usize::from(size.wrapping_sub(b'0'));
        let known = match letter {
            b'f' => [2, 4, 8].contains(&size),
            b'i' | b'u' => [1, 2, 4, 8].contains(&size),
            b'b' => size == 1,
            _ => false,
        };
        match known && b"<>|=".contains(&order) {
            true => Ok(Self {
                letter,
                size,
                big_endian: order == b'>',
            }),
            false => Err(unknown()),
        }
    }

    /// What kind of numbers such values are.
    pub fn numbers(&self) -> Numbers {
        match self.letter {
            b'b' => Numbers::Truth,
            b'f' => Numbers::Fractions,
            _ => Numbers::Whole,
        }
    }

    /// The nearest float32 to a value.
    pub fn value(&self, bytes: &[u8]) -> f32 {
        let mut little = [0; 8];
        little[..bytes.len()].copy_from_slice(bytes);
        if self.big_endian {
            little[..bytes.len()].reverse();
        }
        let whole = u64::from_le_bytes(little);
        let unused = 64 - 8 * bytes.len() as u32;
        match (self.letter, self.size) {
            (b'f', 2) => half::f16::from_bits(whole as u16).to_f32(),
            (b'f', 4) => f32::from_bits(whole as u32),
            (b'f', _) => f64::from_bits(whole) as f32,
            (b'i', _) => ((whole << unused) as i64 >> unused) as f32,
            _ => whole as f32,
        }
    }
}

/// Values of which the first dimension runs fastest, as they are where the last one does.
fn last_dimension_fastest(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut steps = Vec::with_capacity(shape.len());
    let mut step = 1;
    for &size in shape {
        steps.push(step);
        step *= size;
    }
    let mut index = vec![0; shape.len()];
    let mut place = 0;
    let mut ordered = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        ordered.push(values[place]);
        for dimension in (0..shape.len()).rev() {
            index[dimension] += 1;
            place += steps[dimension];
            if index[dimension] < shape[dimension] {
                break;
            }
            place -= index[dimension] * steps[dimension];
            index[dimension] = 0;
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_header(header: &str, body: &[u8]) -> Vec<u8> {
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(body);
        file
    }

    #[test]
    fn what_is_written_is_read_again() {
        for shape in [&[6][..], &[2, 3], &[1, 3, 2], &[0, 3]] {
            let values = &[0.1, -2.5e-30, 3.0, 4.0, 5.0, f32::MAX][..shape.iter().product()];
            let array = read(&floats(values, shape)).expect("an array");
            assert_eq!((&array.shape[..], &array.values[..]), (shape, values));
        }
        let array = read(&bytes(&[0, 255], &[2])).expect("an array");
        assert_eq!((array.shape, array.values), (vec![2], vec![0.0, 255.0]));
        assert_eq!(bytes(&[1], &[1]).len(), 128 + 1);
    }

    #[test]
    fn every_type_and_order_is_read() {
        for (descr, body, expected) in [
            (">f4", &[0x3f, 0x80, 0, 0][..], 1.0),
            ("<f8", &[0, 0, 0, 0, 0, 0, 0xf8, 0xbf], -1.5),
            ("<f2", &[0, 0xc2], -3.0),
            ("<i2", &[0xff, 0xff], -1.0),
            (">i4", &[0xff, 0xff, 0xff, 0xfe], -2.0),
            ("<u8", &[7, 0, 0, 0, 0, 0, 0, 0], 7.0),
            ("|b1", &[1], 1.0),
            ("|i1", &[0x80], -128.0),
        ] {
            let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}");
            let array = read(&with_header(&header, body)).expect("an array");
            assert_eq!(array.values, [expected], "{descr}");
        }
        // Element (i, j, k) is 6 i + 2 j + k, with the first dimension fastest.
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }";
        let array = read(&with_header(
            header,
            &[0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11],
        ));
        let expected: Vec<f32> = (0..12u8).map(f32::from).collect();
        assert_eq!(array.expect("an array").values, expected);
    }

    #[test]
    fn what_is_no_array_is_refused() {
        let header = |descr: &str, shape: &str| {
            let header =
                format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
            read(&with_header(&header, &[0; 8])).expect_err("an error")
        };
        assert!(header("'<f4'", "(3,)").contains("promises 3 values of 4 bytes; 8 bytes follow"));
        assert!(header("'<f4'", "(2, 18446744073709551615)").contains("more than can be read"));
        assert!(header("'<f4'", "(-1,)").contains("the size `-1`"));
        assert!(header("'<f16'", "(1,)").contains("`<f16`"));
        assert!(header("'<f4'", "(1,)").contains("more than 4 bytes follow"));
        assert!(header("'<U2'", "(1,)").contains("`<U2`"));
        assert!(header("'|O'", "(1,)").contains("`|O`"));
        assert!(header("[('a', '<f4')]", "(2,)").contains("records"));
        for cut in 0..12 {
            assert!(read(&floats(&[1.0], &[1])[..cut]).is_err(), "{cut}");
        }
    }
}

//! Pictures as arrays for NumPy.

use crate::data::ImageShape;

/// Pictures as a NumPy array file: float32, shape (pictures, rows, columns), values 0 to 1.
///
/// The format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, version 1.0.
pub fn npy(values: &[f32], shape: ImageShape) -> Vec<u8> {
    let shape = (values.len() / shape.values(), shape.height, shape.width);
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape:?}, }}").into_bytes();
    // Magic, version and length take 10 bytes; the values begin at a multiple of 64.
    header.resize((10 + header.len() + 1).next_multiple_of(64) - 11, b' ');
    header.push(b'\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend_from_slice(&(header.len() as u16).to_le_bytes());
    file.extend_from_slice(&header);
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape::MNIST;

    #[test]
    fn an_array_file_has_a_header_that_numpy_reads() {
        let file = npy(&[0.5; 2 * SHAPE.values()], SHAPE);
        assert_eq!(&file[..8], b"\x93NUMPY\x01\x00");
        let header_len = usize::from(u16::from_le_bytes([file[8], file[9]]));
        assert_eq!((10 + header_len) % 64, 0);
        let header = std::str::from_utf8(&file[10..10 + header_len]).expect("text");
        assert!(header.contains("'shape': (2, 28, 28)"), "{header}");
        assert_eq!(file.len(), 10 + header_len + 4 * 2 * SHAPE.values());
        assert_eq!(file[file.len() - 4..], 0.5f32.to_le_bytes());
    }
}

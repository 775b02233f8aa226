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

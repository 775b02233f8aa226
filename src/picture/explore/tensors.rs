//! Tensors as a page holds them.

use serde::Serialize;
use std::collections::BTreeMap;

/// Tensors one after the other, each from a multiple of four bytes on, and where each is.
#[derive(Debug, Clone, Default)]
pub struct Tensors {
    pub(super) places: BTreeMap<String, Place>,
    pub(super) bytes: Vec<u8>,
}

/// Where a tensor is, and how.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Place {
    /// Bytes before it.
    at: usize,
    /// How many values it has.
    length: usize,
    /// What its values are multiples of, if they are 16-bit whole numbers of that; else they are 32-bit numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<f32>,
}

impl Tensors {
    /// Adds a tensor, as it is.
    pub fn push(&mut self, name: &str, values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.add(name, values.len(), None, bytes);
    }

    /// Adds a tensor whose values are so many `step`s each, in half the bytes.
    pub fn push_counts(&mut self, name: &str, counts: &[i16], step: f32) {
        let bytes = counts.iter().flat_map(|count| count.to_le_bytes());
        self.add(name, counts.len(), Some(step), bytes);
    }

    fn add(
        &mut self,
        name: &str,
        length: usize,
        step: Option<f32>,
        bytes: impl Iterator<Item = u8>,
    ) {
        let at = self.bytes.len();
        self.places.insert(name.into(), Place { at, length, step });
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tensor_begins_where_numbers_of_32_bits_may() {
        let mut tensors = Tensors::default();
        tensors.push_counts("a", &[1, -2, 258], 0.5);
        tensors.push("b", &[1.0]);
        assert_eq!(tensors.bytes, [1, 0, 254, 255, 2, 1, 0, 0, 0, 0, 128, 63]);
        let b = tensors.places["b"];
        assert_eq!((b.at, b.length, b.step), (8, 1, None));
        let json = serde_json::to_string(&tensors.places).expect("JSON");
        assert_eq!(
            json,
            r#"{"a":{"at":0,"length":3,"step":0.5},"b":{"at":8,"length":1}}"#
        );
    }
}

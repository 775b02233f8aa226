//! Protocol Buffers, as messages are written: <https://protobuf.dev/programming-guides/encoding/>.
//!
//! A message is its fields, one after the other; a field is its number with the kind of value that follows, then the
//! value. What the fields of a message are, its format says: for ONNX `onnx.proto`, for TensorBoard `event.proto`.

/// What kind of value follows the number of a field.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// A message, field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// A message without any fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a whole number (`int32`, `int64` or an enumeration).
    pub fn integer(mut self, field: u32, value: i64) -> Self {
        self.key(field, Kind::Varint);
        self.varint(value as u64);
        self
    }

    /// Adds a `float`.
    pub fn float(mut self, field: u32, value: f32) -> Self {
        self.key(field, Kind::Fixed32);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a `double`.
    pub fn double(mut self, field: u32, value: f64) -> Self {
        self.key(field, Kind::Fixed64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds `bytes`.
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.key(field, Kind::Bytes);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// Adds a `string`.
    pub fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// Adds a message.
    pub fn message(self, field: u32, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// Adds messages, a field each, in their order.
    pub fn messages<'a>(self, field: u32, values: impl IntoIterator<Item = &'a Self>) -> Self {
        let values = values.into_iter();
        values.fold(self, |message, value| message.message(field, value))
    }

    /// The message as bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn key(&mut self, field: u32, kind: Kind) {
        self.varint((u64::from(field) << 3) | kind as u64);
    }

    /// Seven bits a byte, the lowest first; the highest bit of a byte says that another follows.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of <https://protobuf.dev/programming-guides/encoding/>, and numbers at the edges.
    #[test]
    fn fields_are_encoded_as_the_guide_says() {
        let message = Message::new();
        let cases: [(Message, &[u8]); 8] = [
            (message.clone().integer(1, 150), b"\x08\x96\x01"),
            (
                message.clone().integer(1, -2),
                b"\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            ),
            (message.clone().integer(16, 127), b"\x80\x01\x7f"),
            (message.clone().text(2, "testing"), b"\x12\x07testing"),
            (
                message.clone().message(3, &message.clone().integer(1, 150)),
                b"\x1a\x03\x08\x96\x01",
            ),
            (message.clone().float(2, 1.5), b"\x15\x00\x00\xc0\x3f"),
            (
                message.clone().double(1, 1.5),
                b"\x09\x00\x00\x00\x00\x00\x00\xf8\x3f",
            ),
            (
                message.clone().messages(5, &[message.clone(), message]),
                b"\x2a\x00\x2a\x00",
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(message.into_bytes(), expected);
        }
    }
}

//! Protocol Buffers as they are read: enough of them to look into files that the program wrote.

use std::collections::BTreeMap;

/// A message: the values of each of its fields, in their order.
#[derive(Debug, Default)]
pub struct Wire(BTreeMap<u64, Vec<Value>>);

#[derive(Debug, Clone, PartialEq)]
enum Value {
    /// A whole number, or the bits of a fraction.
    Number(u64),
    Bytes(Vec<u8>),
}

impl Wire {
    pub fn read(mut bytes: &[u8]) -> Self {
        let mut message = Self::default();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let value = match key & 7 {
                0 => Value::Number(varint(&mut bytes)),
                1 => Value::Number(u64::from_le_bytes(take(&mut bytes))),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    let (value, rest) = bytes.split_at(length);
                    bytes = rest;
                    Value::Bytes(value.to_vec())
                }
                5 => Value::Number(u32::from_le_bytes(take(&mut bytes)).into()),
                kind => panic!("field {}: no kind {kind}", key >> 3),
            };
            message.0.entry(key >> 3).or_default().push(value);
        }
        message
    }

    pub fn numbers(&self, field: u64) -> Vec<u64> {
        let values = self.0.get(&field).into_iter().flatten();
        let numbers = values.map(|value| match value {
            Value::Number(number) => *number,
            Value::Bytes(_) => panic!("field {field} is no number"),
        });
        numbers.collect()
    }

    /// Fields of type `float`.
    pub fn floats(&self, field: u64) -> Vec<f32> {
        let bits = self.numbers(field).into_iter();
        bits.map(|bits| f32::from_bits(bits as u32)).collect()
    }

    pub fn bytes(&self, field: u64) -> Vec<Vec<u8>> {
        let values = self.0.get(&field).into_iter().flatten();
        let bytes = values.map(|value| match value {
            Value::Bytes(bytes) => bytes.clone(),
            Value::Number(_) => panic!("field {field} is a number"),
        });
        bytes.collect()
    }

    pub fn texts(&self, field: u64) -> Vec<String> {
        let bytes = self.bytes(field).into_iter();
        bytes
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect()
    }

    pub fn messages(&self, field: u64) -> Vec<Self> {
        let bytes = self.bytes(field);
        bytes.iter().map(|bytes| Self::read(bytes)).collect()
    }

    /// The one text of a field.
    #[track_caller]
    pub fn text(&self, field: u64) -> String {
        let [text] = <[String; 1]>::try_from(self.texts(field)).unwrap();
        text
    }

    /// The one message of a field.
    #[track_caller]
    pub fn message(&self, field: u64) -> Self {
        let mut messages = self.messages(field);
        assert_eq!(messages.len(), 1, "field {field}");
        messages.remove(0)
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for place in 0.. {
        let [byte] = take(bytes);
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (first, rest) = bytes.split_first_chunk().expect("a message that is whole");
    *bytes = rest;
    *first
}

//! A graph of ONNX's operators, as its files hold it.
//!
//! A file is a `ModelProto` of Protocol Buffers
//! (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>): nodes in their order, each an operator with the names of
//! what it reads and writes; the weights; what comes in and goes out.

use crate::Result;
use crate::protobuf::Message;
use candle_core::Tensor;

/// The version of the format, and the first one of the operators that comes with it.
const FORMAT: i64 = 8;
const OPERATORS: i64 = 17;

/// The numbers of types of values.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// The numbers of types of attributes.
const OF_FLOAT: i64 = 1;
const OF_INTEGER: i64 = 2;
const OF_INTEGERS: i64 = 7;

/// What the first dimension of all that comes in and goes out is called.
const BATCH: &str = "batch";

/// A value that comes in or goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// Its name.
    pub name: &'static str,
    /// Whether it is a list of whole numbers; else its numbers are float32.
    pub whole: bool,
    /// Its shape, after a first dimension of any size.
    pub shape: Vec<usize>,
    /// What it is, for people.
    pub meaning: String,
}

/// A graph, node by node.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Message>,
    weights: Vec<Message>,
}

impl Graph {
    /// Adds an operator; it is named after what it writes.
    pub fn node<const N: usize>(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: [Message; N],
    ) {
        let node = inputs
            .iter()
            .fold(Message::new(), |node, input| node.text(1, input));
        let node = node.text(2, output).text(3, output).text(4, operator);
        self.nodes.push(node.messages(5, &attributes));
    }

    /// Adds weights under a name.
    pub fn floats(&mut self, name: &str, values: &Tensor) -> Result<()> {
        let numbers = values.flatten_all()?.to_vec1::<f32>()?;
        let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
        self.weights
            .push(tensor(name, FLOAT, values.dims(), &bytes));
        Ok(())
    }

    /// Adds a list of whole numbers under a name.
    pub fn integers(&mut self, name: &str, values: &[i64]) {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.weights
            .push(tensor(name, INT64, &[values.len()], &bytes));
    }

    /// The content of a file with the graph; and with what `about` says of it, keys and values.
    pub fn into_file(
        self,
        name: &str,
        [inputs, outputs]: [&[Value]; 2],
        about: &[(&str, String)],
    ) -> Vec<u8> {
        let [inputs, outputs] =
            [inputs, outputs].map(|values| values.iter().map(described).collect::<Vec<_>>());
        let graph = Message::new()
            .messages(1, &self.nodes)
            .text(2, name)
            .messages(5, &self.weights)
            .messages(11, &inputs)
            .messages(12, &outputs);
        let entry = |(key, value): &(&str, String)| Message::new().text(1, key).text(2, value);
        let about: Vec<Message> = about.iter().map(entry).collect();
        Message::new()
            .integer(1, FORMAT)
            .text(2, env!("CARGO_PKG_NAME"))
            .text(3, env!("CARGO_PKG_VERSION"))
            .message(7, &graph)
            .message(8, &Message::new().integer(2, OPERATORS))
            .messages(14, &about)
            .into_bytes()
    }
}

/// An attribute that is a number.
pub(super) fn float(name: &str, value: f32) -> Message {
    let attribute = Message::new().text(1, name).float(2, value);
    attribute.integer(20, OF_FLOAT)
}

/// An attribute that is a whole number.
pub(super) fn integer(name: &str, value: i64) -> Message {
    let attribute = Message::new().text(1, name).integer(3, value);
    attribute.integer(20, OF_INTEGER)
}

/// An attribute that is a list of whole numbers.
pub(super) fn integers(name: &str, values: &[usize]) -> Message {
    let named = Message::new().text(1, name);
    let numbers = values.iter();
    let attribute = numbers.fold(named, |list, &value| list.integer(8, value as i64));
    attribute.integer(20, OF_INTEGERS)
}

/// A `TensorProto`.
fn tensor(name: &str, kind: i64, shape: &[usize], bytes: &[u8]) -> Message {
    let sizes = shape.iter();
    let tensor = sizes.fold(Message::new(), |tensor, &size| {
        tensor.integer(1, size as i64)
    });
    tensor.integer(2, kind).text(8, name).bytes(9, bytes)
}

/// A `ValueInfoProto`.
fn described(value: &Value) -> Message {
    let batch = Message::new().text(2, BATCH);
    let sizes = value.shape.iter();
    let sizes = sizes.map(|&size| Message::new().integer(1, size as i64));
    let shape: Vec<Message> = std::iter::once(batch).chain(sizes).collect();
    let kind = if value.whole { INT64 } else { FLOAT };
    let tensor = Message::new()
        .integer(1, kind)
        .message(2, &Message::new().messages(1, &shape));
    Message::new()
        .text(1, value.name)
        .message(2, &Message::new().message(1, &tensor))
        .text(3, &value.meaning)
}

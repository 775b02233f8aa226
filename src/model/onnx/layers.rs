//! Layers as ONNX's operators. Grids have their channels first here, as ONNX wants them.

use super::graph::{Graph, float, integer, integers};
use crate::kernels::activation::Activation;
use crate::kernels::geometry::Geometry;
use crate::nn::layer::{LayerPlan, LinearMap};
use crate::nn::stage::Stage;
use crate::protobuf::Message;

/// Adds a stage that reads the value `input`; the name of what it writes. Heads write a value each; of the last.
///
/// The weights of its layers are there, under their names.
pub(super) fn stage(graph: &mut Graph, stage: &Stage<LayerPlan>, input: &str) -> String {
    match stage {
        Stage::Layer(plan) => layer(graph, plan, input),
        Stage::Heads(plans) => {
            let heads = plans.iter().map(|plan| layer(graph, plan, input));
            heads.last().unwrap_or_default()
        }
        Stage::Flatten(_) => {
            let output = format!("{input}.flat");
            graph.node("Flatten", &[input], &output, []);
            output
        }
        Stage::Unflatten([rows, columns, channels]) => {
            let output = format!("{input}.grid");
            reshape(graph, input, [*channels, *rows, *columns], &output);
            output
        }
    }
}

/// Adds a reshape of a batch of values; `shape` is that of one of them.
pub(super) fn reshape(graph: &mut Graph, input: &str, shape: [usize; 3], output: &str) {
    let sizes = format!("{output}.shape");
    let [a, b, c] = shape.map(|size| size as i64);
    // -1: as many as there are.
    graph.integers(&sizes, &[-1, a, b, c]);
    graph.node("Reshape", &[input, &sizes], output, []);
}

/// Adds a layer, without its dropout; the name of what it writes, which is its own.
fn layer(graph: &mut Graph, plan: &LayerPlan, input: &str) -> String {
    let name = &plan.name;
    let linear = match plan.activation {
        Activation::None => name.clone(),
        _ => format!("{name}.linear"),
    };
    let [weight, bias] = ["weight", "bias"].map(|kind| format!("{name}.{kind}"));
    let inputs = [input, &weight, &bias];
    match plan.map {
        LinearMap::Conv(g) => graph.node("Conv", &inputs, &linear, convolution(g)),
        LinearMap::ConvTranspose(g) => {
            let [kernel, strides, pads] = convolution(g);
            // Rows and columns after those that a place of the small grid reaches.
            let beyond =
                |axis: usize| (g.pad[axis] + g.large[axis]).saturating_sub(g.reach()[axis]);
            let beyond = integers("output_padding", &[0, 1].map(beyond));
            let attributes = [kernel, strides, pads, beyond];
            graph.node("ConvTranspose", &inputs, &linear, attributes);
        }
        LinearMap::Dense { .. } => graph.node("Gemm", &inputs, &linear, [integer("transB", 1)]),
    }
    activate(graph, plan.activation, &linear, name);
    name.clone()
}

/// The kernel, the strides, and the padding before and after, of a convolution or a transposed one.
fn convolution(g: Geometry) -> [Message; 3] {
    let after = |axis: usize| g.reach()[axis].saturating_sub(g.pad[axis] + g.large[axis]);
    [
        integers("kernel_shape", &[g.kernel; 2]),
        integers("strides", &[g.stride; 2]),
        integers("pads", &[g.pad[0], g.pad[1], after(0), after(1)]),
    ]
}

fn activate(graph: &mut Graph, activation: Activation, input: &str, output: &str) {
    let inputs = [input];
    match activation {
        Activation::None => {}
        Activation::Relu => graph.node("Relu", &inputs, output, []),
        Activation::LeakyRelu(slope) => {
            graph.node("LeakyRelu", &inputs, output, [float("alpha", slope)]);
        }
        Activation::Sigmoid => graph.node("Sigmoid", &inputs, output, []),
        Activation::Tanh => graph.node("Tanh", &inputs, output, []),
        Activation::Elu => graph.node("Elu", &inputs, output, [float("alpha", 1.0)]),
        Activation::Silu => {
            let share = format!("{output}.sigmoid");
            graph.node("Sigmoid", &inputs, &share, []);
            graph.node("Mul", &[input, &share], output, []);
        }
        Activation::Gelu => gelu(graph, input, output),
    }
}

/// The value times the normal distribution below it, 1/2 + erf(value / sqrt(2)) / 2. An operator of its own it is only in
/// later versions.
fn gelu(graph: &mut Graph, input: &str, output: &str) {
    let [scale, half, scaled, erf, halved, below] =
        ["scale", "half", "scaled", "erf", "halved", "below"]
            .map(|part| format!("{output}.{part}"));
    let constant = |value| [float("value_float", value)];
    graph.node(
        "Constant",
        &[],
        &scale,
        constant(std::f32::consts::FRAC_1_SQRT_2),
    );
    graph.node("Constant", &[], &half, constant(0.5));
    graph.node("Mul", &[input, &scale], &scaled, []);
    graph.node("Erf", &[&scaled], &erf, []);
    graph.node("Mul", &[&erf, &half], &halved, []);
    graph.node("Add", &[&halved, &half], &below, []);
    graph.node("Mul", &[input, &below], output, []);
}

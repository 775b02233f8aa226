//! Each layer of the default model, forward and backward, beside candle's own operations.
//!
//!     cargo bench --bench kernels

use candle_core::{Device, Tensor, Var};
use divan::Bencher;
use vae::config::Config;
use vae::data::ImageShape;
use vae::model::architecture::Architecture;
use vae::model::{Mode, Posterior};
use vae::nn::adam::{Adam, AdamConfig};
use vae::nn::backend::Backend;
use vae::nn::criterion::Criterion;
use vae::nn::gradient::Gradients;
use vae::nn::layer::{Layer, Parameter};
use vae::nn::sequential::Sequential;
use vae::nn::stage::Stage;
use vae::rng::{Purpose, normal};

const BATCH: usize = 64;
const LAYERS: [&str; 7] = [
    "encoder.conv1",
    "encoder.conv2",
    "encoder.dense1",
    "decoder.dense1",
    "decoder.dense2",
    "decoder.conv_transpose1",
    "decoder.conv_transpose2",
];

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

fn noise(shape: &[usize]) -> Tensor {
    let values = normal(1, Purpose::Prior, 0, shape.iter().product());
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// A layer of the default model with a batch of what it reads.
fn layer(name: &str) -> (Sequential, Var) {
    let plan = Architecture::plan(&Config::default()).unwrap();
    let Some(plan) = plan.layers().find(|layer| layer.name == name) else {
        panic!("the default model has no layer {name}");
    };
    let plan = plan.clone();
    let parameter = |shape: &[usize]| Parameter::new(&(noise(shape) * 0.05).unwrap()).unwrap();
    let input = Var::from_tensor(&noise(&[BATCH, plan.map.inputs()])).unwrap();
    let layer = Layer {
        weight: parameter(&plan.map.weight_shape()),
        bias: parameter(&[plan.map.bias_len()]),
        plan,
    };
    (Sequential::new(vec![Stage::Layer(layer)], 0), input)
}

fn forward(bencher: Bencher, name: &str, backend: Backend) {
    let (sequential, input) = layer(name);
    bencher.bench_local(|| {
        sequential
            .forward(&input, Mode::Inference, backend)
            .unwrap()
    });
}

fn backward(bencher: Bencher, name: &str, backend: Backend) {
    let (sequential, input) = layer(name);
    // The first layer of a model reads images, which need no gradient.
    let input = match name {
        "encoder.conv1" => input.as_detached_tensor(),
        _ => input.as_tensor().clone(),
    };
    let mode = Mode::Training { seed: 1, step: 1 };
    bencher
        .with_inputs(|| {
            let output = sequential.forward(&input, mode, backend).unwrap();
            output.sum_all().unwrap()
        })
        .bench_local_values(|sum| sum.backward().unwrap());
}

#[divan::bench(args = LAYERS)]
fn layer_forward(bencher: Bencher, name: &str) {
    forward(bencher, name, Backend::Fused);
}

#[divan::bench(args = LAYERS, sample_count = 10)]
fn layer_forward_with_candle(bencher: Bencher, name: &str) {
    forward(bencher, name, Backend::Candle);
}

#[divan::bench(args = LAYERS)]
fn layer_backward(bencher: Bencher, name: &str) {
    backward(bencher, name, Backend::Fused);
}

#[divan::bench(args = LAYERS, sample_count = 10)]
fn layer_backward_with_candle(bencher: Bencher, name: &str) {
    backward(bencher, name, Backend::Candle);
}

const BACKENDS: [Backend; 2] = [Backend::Fused, Backend::Candle];

/// The decoder's last layer with both terms of the loss, forward and backward.
#[divan::bench(args = BACKENDS)]
fn losses(bencher: Bencher, backend: &Backend) {
    let (sequential, input) = layer("decoder.conv_transpose2");
    let images = noise(&[BATCH, ImageShape::MNIST.values()]);
    let parameters = Var::from_tensor(&noise(&[BATCH, 2 * 16])).unwrap();
    let mode = Mode::Training { seed: 1, step: 1 };
    bencher.bench_local(|| {
        let posterior = Posterior::new(parameters.as_tensor().clone()).unwrap();
        let errors = sequential.errors(&input, &images, Criterion::SquaredError, mode, *backend);
        let kl = posterior.kl(*backend).unwrap();
        let loss = (errors.unwrap() + kl).unwrap().mean_all().unwrap();
        loss.backward().unwrap()
    });
}

/// A step of Adam on a million weights.
#[divan::bench(args = BACKENDS)]
fn adam(bencher: Bencher, backend: &Backend) {
    let config = AdamConfig {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        max_gradient_norm: None,
    };
    let weight = Var::from_tensor(&noise(&[1000, 1000])).unwrap();
    let gradients = Gradients::new(weight.sum_all().unwrap().backward().unwrap());
    let adam = Adam::new(config, vec![weight], *backend).unwrap();
    bencher.bench_local(|| adam.step(&gradients, 1e-3, 1).unwrap());
}

//! Each layer of the default model, forward and backward, beside candle's own operations.
//!
//!     cargo bench --bench kernels

use candle_core::{Device, Tensor, Var};
use divan::Bencher;
use vae::architecture::{Architecture, LayerPlan};
use vae::config::Config;
use vae::data::PIXELS;
use vae::model::{Mode, Posterior};
use vae::nn::Kernels;
use vae::nn::adam::{Adam, Constants};
use vae::nn::chain::{Chain, Stage};
use vae::nn::gradient::Gradients;
use vae::nn::layer::{Layer, Parameter};
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
fn layer(name: &str) -> (Chain, Var) {
    let plan = Architecture::plan(&Config::default()).unwrap();
    let Some(plan) = plan.layers().find(|layer| layer.name == name) else {
        panic!("the default model has no layer {name}");
    };
    let LayerPlan {
        map, activation, ..
    } = *plan;
    let parameter = |shape: &[usize]| Parameter::new(&(noise(shape) * 0.05).unwrap()).unwrap();
    let layer = Layer {
        map,
        activation,
        dropout: 0.0,
        weight: parameter(&map.weight_shape()),
        bias: parameter(&[map.bias_len()]),
    };
    let input = Var::from_tensor(&noise(&[BATCH, map.inputs()])).unwrap();
    (Chain::new(vec![Stage::Layer(layer)], 0), input)
}

fn forward(bencher: Bencher, name: &str, kernels: Kernels) {
    let (chain, input) = layer(name);
    bencher.bench_local(|| chain.forward(&input, Mode::Inference, kernels).unwrap());
}

fn backward(bencher: Bencher, name: &str, kernels: Kernels) {
    let (chain, input) = layer(name);
    // The first layer of a model reads images, which need no gradient.
    let input = match name {
        "encoder.conv1" => input.as_detached_tensor(),
        _ => input.as_tensor().clone(),
    };
    let mode = Mode::Training { seed: 1, step: 1 };
    bencher
        .with_inputs(|| {
            let output = chain.forward(&input, mode, kernels).unwrap();
            output.sum_all().unwrap()
        })
        .bench_local_values(|sum| sum.backward().unwrap());
}

#[divan::bench(args = LAYERS)]
fn layer_forward(bencher: Bencher, name: &str) {
    forward(bencher, name, Kernels::Fused);
}

#[divan::bench(args = LAYERS, sample_count = 10)]
fn layer_forward_with_candle(bencher: Bencher, name: &str) {
    forward(bencher, name, Kernels::Candle);
}

#[divan::bench(args = LAYERS)]
fn layer_backward(bencher: Bencher, name: &str) {
    backward(bencher, name, Kernels::Fused);
}

#[divan::bench(args = LAYERS, sample_count = 10)]
fn layer_backward_with_candle(bencher: Bencher, name: &str) {
    backward(bencher, name, Kernels::Candle);
}

const KERNELS: [Kernels; 2] = [Kernels::Fused, Kernels::Candle];

/// The decoder's last layer with both terms of the loss, forward and backward.
#[divan::bench(args = KERNELS)]
fn losses(bencher: Bencher, kernels: &Kernels) {
    let (chain, input) = layer("decoder.conv_transpose2");
    let images = noise(&[BATCH, PIXELS]);
    let parameters = Var::from_tensor(&noise(&[BATCH, 2 * 16])).unwrap();
    let mode = Mode::Training { seed: 1, step: 1 };
    bencher.bench_local(|| {
        let posterior = Posterior::new(parameters.as_tensor().clone()).unwrap();
        let errors = chain.squared_error(&input, &images, mode, *kernels);
        let kl = posterior.kl(*kernels).unwrap();
        let loss = (errors.unwrap() + kl).unwrap().mean_all().unwrap();
        loss.backward().unwrap()
    });
}

/// A step of Adam on a million weights.
#[divan::bench(args = KERNELS)]
fn adam(bencher: Bencher, kernels: &Kernels) {
    let constants = Constants {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
    };
    let weight = Var::from_tensor(&noise(&[1000, 1000])).unwrap();
    let gradients = Gradients::new(weight.sum_all().unwrap().backward().unwrap());
    let adam = Adam::new(constants, vec![weight], *kernels).unwrap();
    bencher.bench_local(|| adam.step(&gradients, 1e-3, 1).unwrap());
}

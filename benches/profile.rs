//! Where the time of a training step goes: each layer by itself, forward and backward, beside the speed of products that
//! stay in cache; and Adam, beside that of memory. A Markdown table for each configuration.
//!
//!     cargo bench --bench profile
//!
//! Operations are those of the products as a layer defines them, a multiplication and an addition each; those that are
//! done are less where a convolution is tiled. Times are medians. A layer by itself also waits for candle, which makes and
//! fills its gradients, so that all of them take longer than a step does.

mod common;

use candle_core::{Device, Tensor, Var};
use common::{config, dataset_of, pool};
use rayon::prelude::*;
use std::time::Instant;
use vae::config::Config;
use vae::kernels::adam::CorrectedRates;
use vae::kernels::matmul::{Destination, Matrix, MatrixMut, matmul};
use vae::kernels::winograd::tiling::Tiling;
use vae::model::architecture::Architecture;
use vae::model::{Mode, Vae};
use vae::nn::backend::Backend;
use vae::nn::layer::{Layer, LayerPlan, LinearMap, Parameter};
use vae::nn::sequential::Sequential;
use vae::nn::stage::Stage;
use vae::rng::{Purpose, normal};
use vae::train::Trainer;

const CONFIGS: [&str; 4] = ["mnist", "article", "labels", "pictures-64"];
const BATCH: usize = 64;
const STEPS: usize = 40;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let pool = pool(0);
    let threads = pool.current_num_threads();
    let peaks = Peaks {
        products: threads as f64 * products(),
        memory: pool.install(memory),
    };
    println!(
        "{threads} threads: {:.0} GFLOP/s in products that stay in cache, one a thread; {:.1} GB/s read and written \
         where memory is copied\n",
        peaks.products, peaks.memory
    );
    for name in CONFIGS {
        pool.install(|| profile(name, &peaks));
    }
}

/// What the machine can do.
struct Peaks {
    /// Billions of operations a second.
    products: f64,
    /// Billions of bytes a second.
    memory: f64,
}

/// Billions of operations a second of a product whose matrices stay in cache, on one thread.
fn products() -> f64 {
    const SIDE: usize = 192;
    let (a, b, mut out) = ([0.5; SIDE * SIDE], [0.25; SIDE * SIDE], [0.0; SIDE * SIDE]);
    let product = || {
        let (a, b) = (Matrix::new(&a, SIDE, SIDE), Matrix::new(&b, SIDE, SIDE));
        matmul(a, b, MatrixMut::new(&mut out, SIDE), Destination::Overwrite);
    };
    2.0 * SIDE.pow(3) as f64 / median(2000, product) / 1e6
}

/// Billions of bytes a second that are read and written where much is copied, on all threads.
fn memory() -> f64 {
    const VALUES: usize = 1 << 25;
    let (from, mut to) = (vec![1.0f32; VALUES], vec![0.0f32; VALUES]);
    let copy = || {
        let blocks = to.par_chunks_mut(1 << 18).zip(from.par_chunks(1 << 18));
        blocks.for_each(|(to, from)| to.copy_from_slice(from));
    };
    (2 * size_of::<f32>() * VALUES) as f64 / median(10, copy) / 1e6
}

/// Milliseconds of Adam on so many weights.
fn adam(weights: usize) -> f64 {
    let rates = CorrectedRates {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        step_size: 1e-3,
        second_correction: 1.0,
        keep: 1.0,
        gradient_scale: 1.0,
    };
    let [mut w, mut m, mut v, gradient] = [0.1f32; 4].map(|value| vec![value; weights]);
    median(STEPS, || rates.update(&mut w, &mut m, &mut v, &gradient))
}

/// The median of how many milliseconds `work` takes, of so many times after a few more.
fn median(times: usize, mut work: impl FnMut()) -> f64 {
    let mut taken = Vec::with_capacity(times);
    for time in 0..times + 5 {
        let begun = Instant::now();
        work();
        if time >= 5 {
            taken.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    taken.sort_by(f64::total_cmp);
    taken[times / 2]
}

fn profile(name: &str, peaks: &Peaks) {
    let config = config(name, BATCH);
    let step = step(&config);
    println!("{name}: a step of {BATCH} images takes {step:.1} ms\n");
    println!(
        "| layer | how | operations | forward | backward | operations a second, of the peak |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let plan = Architecture::plan(&config).unwrap();
    let (mut operations, mut weights) = (0.0, 0);
    for (number, layer) in plan.layers().enumerate() {
        let (forward, backward) = layer_times(layer, number > 0);
        let products = if number > 0 { 3.0 } else { 2.0 };
        let billions = products * billions_of(layer);
        let share = billions / (forward + backward) * 1e5 / peaks.products;
        println!(
            "| {} | {} | {billions:.2} G | {forward:.2} ms | {backward:.2} ms | {share:.0} % |",
            layer.name,
            how(layer),
        );
        operations += billions;
        weights += layer.map.weight_shape().iter().product::<usize>();
    }
    let adam = adam(weights);
    // Weights and two moments are read and written, gradients read.
    let share = (7 * size_of::<f32>() * weights) as f64 / adam / 1e4 / peaks.memory;
    println!("| Adam | {weights} weights | | | {adam:.2} ms | {share:.0} % of memory's |");
    let share = operations / step * 1e5 / peaks.products;
    println!("| **step** | | {operations:.2} G | | **{step:.1} ms** | {share:.0} % |\n");
}

/// Milliseconds of a step.
fn step(config: &Config) -> f64 {
    let dataset = dataset_of(config.image_shape());
    let vae = Vae::new(config, &Device::Cpu).unwrap();
    let mut trainer = Trainer::new(config, &dataset, vae).unwrap();
    median(STEPS, || {
        trainer.step().unwrap();
    })
}

/// Billions of operations of a layer's product for a batch.
fn billions_of(layer: &LayerPlan) -> f64 {
    let weights: usize = layer.map.weight_shape().iter().product();
    let places = match layer.map {
        LinearMap::Conv(g) | LinearMap::ConvTranspose(g) => g.small[0] * g.small[1],
        LinearMap::Dense { .. } => 1,
    };
    (2 * weights * places * BATCH) as f64 / 1e9
}

/// How a layer is computed.
fn how(layer: &LayerPlan) -> &'static str {
    match layer.map {
        LinearMap::Conv(g) | LinearMap::ConvTranspose(g) => match Tiling::of(g) {
            Some(tiling) if tiling.has_large_weights() => "tiled, by batches",
            Some(_) => "tiled, by shards",
            None => "from pixels",
        },
        LinearMap::Dense { .. } => "dense",
    }
}

/// Milliseconds forward and backward; `inputs` tells whether the gradient of the input is wanted.
fn layer_times(plan: &LayerPlan, inputs: bool) -> (f64, f64) {
    let noise = |shape: &[usize]| {
        let values = normal(1, Purpose::Prior, 0, shape.iter().product());
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    let parameter = |shape: &[usize]| Parameter::new(&(noise(shape) * 0.05).unwrap()).unwrap();
    let layer = Layer {
        weight: parameter(&plan.map.weight_shape()),
        bias: parameter(&[plan.map.bias_len()]),
        plan: plan.clone(),
    };
    let sequential = Sequential::new(vec![Stage::Layer(layer)], 0);
    let input = Var::from_tensor(&noise(&[BATCH, plan.map.inputs()])).unwrap();
    let input = match inputs {
        true => input.as_tensor().clone(),
        false => input.as_detached_tensor(),
    };
    let mode = Mode::Training { seed: 1, step: 1 };
    let forward = || sequential.forward(&input, mode, Backend::Fused).unwrap();
    let times: Vec<(f64, f64)> = (0..STEPS + 5)
        .map(|_| {
            let begun = Instant::now();
            let output = forward();
            let forward = begun.elapsed().as_secs_f64() * 1e3;
            let sum = output.sum_all().unwrap();
            let begun = Instant::now();
            sum.backward().unwrap();
            (forward, begun.elapsed().as_secs_f64() * 1e3)
        })
        .collect();
    let median = |of: fn(&(f64, f64)) -> f64| {
        let mut times: Vec<f64> = times[5..].iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    (median(|times| times.0), median(|times| times.1))
}

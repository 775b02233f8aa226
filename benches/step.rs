//! A training step of both configurations, on the fused operations and on candle's own, beside the speed of
//! one large matrix product.
//!
//!     cargo bench --bench step
//!
//! Items are floating-point operations: of a step, those of its products as they are defined, a
//! multiplication and an addition each. (The tiled convolutions get by with fewer.)

mod common;

use candle_core::Device;
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use common::{config, dataset, pool};
use divan::Bencher;
use divan::counter::ItemsCount;
use rayon::prelude::*;
use vae::config::Config;
use vae::data::batches::Batches;
use vae::kernels::matmul::{Destination, Matrix, MatrixMut, matmul};
use vae::model::architecture::Architecture;
use vae::model::{Mode, Vae};
use vae::nn::backend::Backend;
use vae::nn::layer::LinearMap;
use vae::rng::{Purpose, normal};
use vae::train::Trainer;

const CONFIGS: [&str; 2] = ["mnist", "article"];

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// Floating-point operations of the matrix products of a step: each layer's product, and those of its
/// gradients by its weights and, but for the first layer, by its inputs.
fn operations(config: &Config) -> usize {
    let plan = Architecture::plan(config).unwrap();
    let products = plan.layers().map(|layer| {
        let weights: usize = layer.map.weight_shape().iter().product();
        let places = match layer.map {
            LinearMap::Conv(g) | LinearMap::ConvTranspose(g) => g.small[0] * g.small[1],
            LinearMap::Dense { .. } => 1,
        };
        2 * weights * places
    });
    let products: Vec<usize> = products.collect();
    config.batch_size * (3 * products.iter().sum::<usize>() - products[0])
}

fn fused(bencher: Bencher, name: &str, batch_size: usize) {
    let (config, dataset, pool) = (config(name, batch_size), dataset(), pool(0));
    let vae = Vae::new(&config, &Device::Cpu).unwrap();
    let mut trainer = Trainer::new(&config, &dataset, vae).unwrap();
    bencher
        .counter(ItemsCount::new(operations(&config)))
        .bench_local(|| pool.install(|| trainer.step().unwrap()));
}

#[divan::bench(args = CONFIGS, sample_count = 50, sample_size = 1)]
fn step(bencher: Bencher, name: &str) {
    fused(bencher, name, 64);
}

#[divan::bench(args = [16, 64, 256, 1024], sample_count = 20, sample_size = 1)]
fn step_by_batch_size(bencher: Bencher, batch_size: usize) {
    fused(bencher, "mnist", batch_size);
}

/// The same model and loss from candle's own operations, and candle's own optimiser.
#[divan::bench(args = CONFIGS, sample_count = 10, sample_size = 1)]
fn step_with_candle(bencher: Bencher, name: &str) {
    let (config, dataset, device) = (config(name, 64), dataset(), Device::Cpu);
    let vae = Vae::new(&config, &device).unwrap();
    let vae = vae.with_backend(Backend::Candle);
    let parameters = vae.parameters().iter().map(|(_, var)| var.clone());
    let mut adam = AdamW::new(parameters.collect(), ParamsAdamW::default()).unwrap();
    let mut batches = Batches::new(&dataset.train, config.batch_size, config.seed);
    let mut step = 0;
    bencher
        .counter(ItemsCount::new(operations(&config)))
        .bench_local(|| {
            step += 1;
            let examples = batches.examples(step, config.corruption()).unwrap();
            let shape = (config.batch_size, config.latent_dim);
            let epsilon = normal(config.seed, Purpose::Posterior, step, shape.0 * shape.1);
            let epsilon = candle_core::Tensor::from_vec(epsilon, shape, &device).unwrap();
            let mode = Mode::Training {
                seed: config.seed,
                step,
            };
            let terms = vae.terms(&examples, &epsilon, mode).unwrap();
            let loss = (terms.squared_error + terms.kl)
                .unwrap()
                .mean_all()
                .unwrap();
            adam.backward_step(&loss).unwrap();
        });
}

/// What the machine can do: the product of two square matrices.
#[divan::bench(args = [1, 0], sample_count = 30, sample_size = 1)]
fn gemm_peak(bencher: Bencher, threads: usize) {
    const SIDE: usize = 1024;
    const ROWS: usize = 256;
    let (a, b) = (vec![0.5; SIDE * SIDE], vec![0.25; SIDE * SIDE]);
    let mut out = vec![0.0; SIDE * SIDE];
    let pool = pool(threads);
    bencher
        .counter(ItemsCount::new(2 * SIDE * SIDE * SIDE))
        .bench_local(|| {
            pool.install(|| {
                let (a, b) = (Matrix::new(&a, SIDE, SIDE), Matrix::new(&b, SIDE, SIDE));
                let blocks = out.par_chunks_mut(ROWS * SIDE).enumerate();
                blocks.for_each(|(block, out)| {
                    let a = a.some_rows(block * ROWS..(block + 1) * ROWS);
                    matmul(a, b, MatrixMut::new(out, SIDE), Destination::Overwrite);
                });
            });
        });
}

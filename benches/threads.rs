//! How much faster a training step is on all cores than on one, of the default model, the article's, and that of colour
//! pictures; and how much faster it could be: as many trainings at once, each on a thread of its own, never wait for
//! each other.
//!
//!     cargo bench --bench threads
//!
//! One thread, all threads, and the trainings at once run in turn, some steps each time, so that a machine whose speed
//! drifts treats them alike.

mod common;

use candle_core::Device;
use common::{config, dataset_of, pool};
use rayon::ThreadPool;
use std::sync::Barrier;
use std::time::Instant;
use vae::config::Config;
use vae::data::Dataset;
use vae::model::Vae;
use vae::train::Trainer;

/// Each with its rounds: so many that a model takes about twenty seconds.
const CONFIGS: [(&str, usize); 3] = [("mnist", 60), ("article", 20), ("pictures-64", 20)];
const STEPS: usize = 8;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A training, and the threads that it runs on.
struct Training<'a> {
    trainer: Trainer<'a>,
    pool: ThreadPool,
}

impl<'a> Training<'a> {
    fn new(config: &'a Config, dataset: &'a Dataset, threads: usize) -> Self {
        let vae = Vae::new(config, &Device::Cpu).unwrap();
        Self {
            trainer: Trainer::new(config, dataset, vae).unwrap(),
            pool: pool(threads),
        }
    }

    /// Milliseconds that each of some steps took. The first finds its data in another's cache and does not count.
    fn steps(&mut self) -> Vec<f64> {
        let trainer = &mut self.trainer;
        let mut step = || {
            let begun = Instant::now();
            trainer.step().unwrap();
            begun.elapsed().as_secs_f64() * 1e3
        };
        self.pool.install(|| {
            step();
            (1..STEPS).map(|_| step()).collect()
        })
    }
}

/// The same of trainings that run at once.
fn steps_at_once(trainings: &mut [Training]) -> Vec<f64> {
    let start = Barrier::new(trainings.len());
    let steps = |training: &mut Training| {
        start.wait();
        training.steps()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = trainings
            .iter_mut()
            .map(|training| scope.spawn(|| steps(training)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    for (name, rounds) in CONFIGS {
        compare(name, rounds);
    }
}

fn compare(name: &str, rounds: usize) {
    let config = config(name, 64);
    let dataset = dataset_of(config.image_shape());
    let training = |threads| Training::new(&config, &dataset, threads);
    let (mut one, mut all) = (training(1), training(0));
    let threads = all.pool.current_num_threads();
    let mut apart: Vec<_> = (0..threads).map(|_| training(1)).collect();
    let [mut on_one, mut on_all, mut at_once] = [(); 3].map(|()| Vec::new());
    for _ in 0..rounds {
        on_one.extend(one.steps());
        on_all.extend(all.steps());
        at_once.extend(steps_at_once(&mut apart));
    }
    let [one, all, at_once] = [on_one, on_all, at_once].map(median);
    println!("{name}: a step on one thread {one:.1} ms");
    println!(
        "  on {threads} threads {all:.1} ms, {:.2} times as fast",
        one / all
    );
    println!(
        "  {threads} trainings, a thread each: {at_once:.1} ms, {:.2} times as many steps",
        one / at_once * threads as f64
    );
}

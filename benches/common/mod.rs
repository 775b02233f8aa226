//! What benchmarks of a training step have in common.

use rayon::{ThreadPool, ThreadPoolBuilder};
use vae::config::Config;
use vae::data::{Dataset, ImageShape, Split};

/// A configuration of `configs/`.
pub fn config(name: &str, batch_size: usize) -> Config {
    let path = format!("{}/configs/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    Config {
        batch_size,
        ..Config::parse(&text, name).unwrap()
    }
}

/// Noise: what the pixels are makes no difference to the time of a step.
pub fn dataset() -> Dataset {
    let split = |images: usize| Split {
        pixels: (0..images * ImageShape::MNIST.values())
            .map(|i| (i * 7919 % 251) as u8)
            .collect(),
        labels: vec![0; images],
        shape: ImageShape::MNIST,
    };
    Dataset {
        name: "noise".into(),
        train: split(4096),
        test: split(1),
    }
}

/// Threads to compute with; 0 for one a core.
pub fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
}

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

/// Noise in MNIST's shape.
#[allow(dead_code, reason = "not every benchmark has it")]
pub fn dataset() -> Dataset {
    dataset_of(ImageShape::MNIST)
}

/// Noise: what the pixels are makes no difference to the time of a step.
pub fn dataset_of(shape: ImageShape) -> Dataset {
    let split = |images: usize| {
        let pixels = (0..images * shape.values()).map(|i| (i * 7919 % 251) as u8);
        Split {
            pixels: pixels.collect::<Vec<u8>>().into(),
            labels: vec![0; images],
            shape,
        }
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

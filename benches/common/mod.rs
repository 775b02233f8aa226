//! What benchmarks of a training step have in common.

use rayon::{ThreadPool, ThreadPoolBuilder};
use vae::config::Config;
use vae::data::{Dataset, ImageShape, Split};

/// A configuration of `configs/`, with a learning rate at which nothing diverges, however long it is timed.
pub fn config(name: &str, batch_size: usize) -> Config {
    let path = format!("{}/configs/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    Config {
        batch_size,
        learning_rate: Some(1e-5),
        ..Config::parse(&text, name).unwrap()
    }
}

/// Images of MNIST's shape.
#[allow(dead_code, reason = "not every benchmark has it")]
pub fn dataset() -> Dataset {
    dataset_of(ImageShape::MNIST)
}

/// Images of four by four patches of a colour each. What they show makes no difference to the time of a step, but noise
/// has nothing to be learnt, and training on it may diverge.
pub fn dataset_of(shape: ImageShape) -> Dataset {
    let patch = |place: usize, size: usize| place * 4 / size;
    let pixel = move |i: usize| {
        let (image, place) = (i / shape.values(), i % shape.values());
        let (pixel, channel) = (place / shape.channels, place % shape.channels);
        let (row, column) = (pixel / shape.width, pixel % shape.width);
        let patch = patch(row, shape.height) * 4 + patch(column, shape.width);
        (((image * 16 + patch) * shape.channels + channel) * 7919 % 251) as u8
    };
    let split = |images: usize| Split {
        pixels: (0..images * shape.values())
            .map(pixel)
            .collect::<Vec<u8>>()
            .into(),
        labels: vec![0; images],
        shape,
    };
    Dataset {
        name: "patches".into(),
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

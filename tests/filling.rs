//! Parts of images that are hidden, and what a model believes of them.

mod common;

use candle_core::Device;
use common::{Place, given, grid};
use image::{GrayImage, Luma};
use vae::data::tensor::slice_to_tensor;
use vae::data::{Examples, idx};
use vae::model::filling::fill_in;
use vae::run::{ModelName, load_model};

#[test]
fn what_is_seen_stays_and_what_is_hidden_is_drawn_several_times() {
    let place = Place::with_model();
    place.ok("reconstruct --model run --n 5 --mask left --out left.png");
    assert_eq!(place.size_of("left.png"), (grid(5), grid(6)));
    place.ok("reconstruct --model run --n 5 --mask left --threads 3 --out again.png");
    assert!(place.read("left.png") == place.read("again.png"));
    place.ok("reconstruct --model run --n 5 --mask box --drawings 2 --out box.png");
    assert_eq!(place.size_of("box.png"), (grid(5), grid(4)));

    let (_, vae) = load_model(&ModelName::Path(place.path("run")), &Device::Cpu).unwrap();
    let test = idx::read_folder(&place.path("data")).unwrap().test;
    let images = slice_to_tensor(&test, 0, 5).unwrap();
    let examples = Examples::new(images, test.labels[..5].to_vec());
    let originals: Vec<f32> = examples.images.flatten_all().unwrap().to_vec1().unwrap();
    let hidden: Vec<bool> = (0..784).map(|place| place % 28 < 14).collect();
    let [first, second] = [0, 1].map(|n| fill_in(&vae, &examples, &hidden, 1, n).unwrap());
    assert!(first != second);
    assert!(first == fill_in(&vae, &examples, &hidden, 1, 0).unwrap());
    for (place, (value, original)) in first.iter().zip(&originals).enumerate() {
        if !hidden[place % 784] {
            assert_eq!(value, original);
        }
    }
}

#[test]
fn a_mask_can_be_a_picture_and_what_is_none_is_refused() {
    let place = Place::with_model();
    // Larger than the images, and white at the right.
    let half = GrayImage::from_fn(56, 56, |x, _| Luma([if x >= 28 { 255 } else { 0 }]));
    half.save(place.path("half.png")).unwrap();
    for mask in ["half.png", "right"] {
        place.ok(&format!(
            "reconstruct --model run --n 3 --mask {mask} --out {mask}-filled.png"
        ));
    }
    assert!(place.read("half.png-filled.png") == place.read("right-filled.png"));
    GrayImage::new(9, 9).save(place.path("black.png")).unwrap();
    place.refused(
        "reconstruct --model run --mask black.png",
        2,
        "--mask: hides nothing",
    );
    place.refused("reconstruct --model run --mask up", 2, "up");
    place.refused(
        "reconstruct --model run --mask tiny.json",
        2,
        "is not a usable picture",
    );
    place.refused(
        "reconstruct --model run --mask left --noise 0.1",
        2,
        "cannot be used with",
    );
    place.refused("reconstruct --model run --drawings 2", 2, "--mask");
    place.refused(
        "reconstruct --model run --mask left --drawings 0",
        2,
        "--drawings",
    );
}

#[test]
fn what_is_drawn_is_nearer_to_the_truth_than_nothing() {
    let Some(folder) = given("VAE_TEST_MNIST", "MNIST's four files") else {
        return;
    };
    let place = Place::new();
    place.ok(&format!(
        "train --data {} --steps 400 --out run",
        folder.display()
    ));
    let outcome = place.ok("reconstruct --model run --n 100 --mask bottom --drawings 1");
    let lines = outcome.stderr.lines();
    let errors = lines.filter_map(|line| line.split_once(": squared errors "));
    let errors: Vec<f64> = errors.map(|(_, error)| error.parse().unwrap()).collect();
    assert_eq!(errors.len(), 100);
    // What is left where the lower half stays background.
    let test = idx::read_folder(&folder).unwrap().test;
    let pixels = test.into_bytes().unwrap();
    let ink = pixels[..100 * 784].chunks(784).map(|image| -> f64 {
        let values = image[392..].iter().map(|&pixel| f64::from(pixel) / 255.0);
        values.map(|value| value * value).sum()
    });
    let (drawn, nothing) = (errors.iter().sum::<f64>(), ink.sum::<f64>());
    assert!(drawn < 0.6 * nothing, "{drawn} {nothing}");
}

//! Sampling and reconstructing: the pictures that come out.

mod common;

use candle_core::{DType, Device, Tensor};
use common::{Place, grid};
use image::{DynamicImage, GrayImage, Luma, Rgba, RgbaImage};
use vae::data::ImageShape;
use vae::model::Mode;
use vae::run::{ModelName, load_model};

const PIXELS: usize = ImageShape::MNIST.values();

#[test]
fn sampling_draws_a_grid_an_array_or_a_folder_of_pictures() {
    let place = Place::with_model();
    let outcome = place.ok("sample --model run");
    assert_eq!(outcome.stdout, "samples.png\n");
    assert_eq!(place.size_of("samples.png"), (grid(8), grid(8)));

    place.ok("sample --model run --n 7 --columns 3 new/folder/seven.PNG");
    assert_eq!(place.size_of("new/folder/seven.PNG"), (grid(3), grid(3)));

    place.ok("sample --model run --n 5 five.npy");
    let values = place.array("five.npy", 5);
    assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
    assert!(values.iter().any(|&value| value != values[0]));

    let outcome = place.ok("sample --model run --n 3 drawn/");
    assert_eq!(outcome.stdout, "drawn/\n");
    let names: Vec<_> = place.files("drawn").into_keys().collect();
    assert_eq!(names, ["000000.png", "000001.png", "000002.png"]);
    assert_eq!(place.size_of("drawn/000002.png"), (28, 28));
}

#[test]
fn many_pictures_are_those_of_fewer_and_more() {
    let place = Place::with_model();
    // More than are drawn before they are written, and no whole number of batches.
    place.ok("sample --model run --seed 5 --n 4170 many.npy");
    let many = place.array("many.npy", 4170);
    place.ok("sample --model run --seed 5 --n 5 few.npy");
    assert_eq!(many[..5 * PIXELS], place.array("few.npy", 5));
    place.ok("sample --model run --seed 5 --n 4200 more.npy --threads 3");
    assert_eq!(place.array("more.npy", 4200)[..many.len()], many);
    place.ok("sample --model run --seed 5 --n 4170 drawn/");
    assert_eq!(place.files("drawn").len(), 4170);
    let drawn = image::open(place.path("drawn/004169.png")).unwrap();
    let last = many[4169 * PIXELS..].iter();
    let last: Vec<u8> = last.map(|value| (value * 255.0).round() as u8).collect();
    assert_eq!(drawn.into_luma8().into_raw(), last);
}

#[test]
fn a_seed_draws_the_same_pictures_and_another_seed_others() {
    let place = Place::with_model();
    let draw = |out: &str, line: &str| {
        place.ok(&format!("sample --model run {line} {out}"));
        place.read(out)
    };
    let first = draw("a.png", "--seed 5");
    assert!(first == draw("b.png", "--seed 5 --threads 3"));
    assert!(first != draw("c.png", "--seed 6"));
    assert!(
        draw("d.png", "") != draw("e.png", ""),
        "no seed: other pictures each time"
    );
}

#[test]
fn a_lower_temperature_draws_what_is_nearer_to_the_middle() {
    let place = Place::with_model();
    let draw = |temperature: &str| {
        place.ok(&format!(
            "sample --model run --seed 5 --temperature {temperature} t.npy"
        ));
        place.array("t.npy", 64)
    };
    let middle = draw("0");
    assert!(
        middle[..PIXELS] == middle[63 * PIXELS..],
        "no spread: all pictures are one"
    );
    let distances = ["0.7", "1", "1.5"].map(|temperature| {
        let pairs = draw(temperature).into_iter().zip(&middle);
        pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
    });
    assert!(0.0 < distances[0], "{distances:?}");
    assert!(distances.is_sorted_by(|a, b| a < b), "{distances:?}");
}

#[test]
fn temperature_0_draws_the_latent_vector_0() {
    let place = Place::new();
    place.config("normal.json", &[("/prior", "normal".into())]);
    place.ok("train --config normal.json --out run");
    place.ok("sample --model run --n 1 --temperature 0 zero.npy");
    let (config, vae) = load_model(&ModelName::Path(place.path("run")), &Device::Cpu).unwrap();
    let zero = Tensor::zeros((1, config.latent_dim), DType::F32, &Device::Cpu).unwrap();
    let expected = vae.decode(&zero, &[], Mode::Inference).unwrap();
    let expected = expected.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (found, expected) in place.array("zero.npy", 1).iter().zip(expected) {
        // The last bits depend on how many are decoded at a time.
        assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
    }
}

#[test]
fn fewer_pictures_are_the_first_of_more() {
    let place = Place::with_model();
    for count in [1, 5, 300] {
        place.ok(&format!(
            "sample --model run --seed 5 --n {count} {count}.npy"
        ));
    }
    let many = place.array("300.npy", 300);
    assert!(place.array("1.npy", 1) == many[..PIXELS]);
    assert!(place.array("5.npy", 5) == many[..5 * PIXELS]);
}

#[test]
fn pictures_are_drawn_from_where_images_are_encoded_to_unless_a_normal_prior_is_asked_for() {
    let place = Place::with_model();
    place.config("normal.json", &[("/prior", "normal".into())]);
    place.ok("train --config normal.json --out normal");
    let tensors = |run: &str| {
        let file = place.path(run).join("model.safetensors");
        vae::run::weights::read::<vae::config::Config>(&file)
            .unwrap()
            .0
    };
    let (mut fitted, normal) = (tensors("run"), tensors("normal"));
    let prior: Vec<_> = fitted
        .extract_if(|name, _| name.starts_with("prior."))
        .collect();
    assert_eq!(prior.len(), 4);
    // It is fitted to a model that has learnt the same.
    assert_eq!(fitted.len(), normal.len());
    for (name, tensor) in &fitted {
        let values = |tensor: &candle_core::Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>();
        assert_eq!(
            values(tensor).unwrap(),
            values(&normal[name]).unwrap(),
            "{name}"
        );
    }
    for run in ["run", "normal"] {
        place.ok(&format!("sample --model {run} --seed 1 --n 9 {run}.npy"));
    }
    assert!(place.read("run.npy") != place.read("normal.npy"));
    // A training's last pictures are those that its file draws.
    place.ok("sample --model run --seed 42 --n 64 --columns 8 drawn.png");
    assert!(place.read("drawn.png") == place.read("run/samples/step-000030.png"));
}

#[test]
fn sampling_takes_the_newest_run_unless_told_otherwise() {
    let place = Place::new();
    let train = |seed| {
        let line = format!("train --config tiny.json --steps 2 --seed {seed}");
        let outcome = place.ok(&line);
        assert!(
            outcome.stderr.ends_with("vae sample out.png\n"),
            "{}",
            outcome.stderr
        );
        outcome.stdout.trim_end().to_string()
    };
    let (older, newer) = (train(1), train(2));
    for run in [&older, &newer] {
        assert!(run.starts_with("runs/") && run.contains("-folder"), "{run}");
    }
    assert_ne!(older, newer);
    let draw = |model: &str| {
        place.ok(&format!("sample --seed 9 out.npy {model}"));
        place.read("out.npy")
    };
    let newest = draw("");
    assert!(newest == draw(&format!("--model {newer}")));
    assert!(newest == draw(&format!("--model {newer}/model.safetensors")));
    assert!(newest != draw(&format!("--model {older}")));
    let shown = |model: &str| place.ok(&format!("reconstruct --n 3 {model}")).stderr;
    assert_eq!(shown(""), shown(&format!("--model {newer}")));
    assert_ne!(shown(""), shown(&format!("--model {older}")));
}

#[test]
fn reconstructing_shows_test_images_of_the_run_s_own_data() {
    let place = Place::with_model();
    let outcome = place.ok("reconstruct --model run");
    assert_eq!(outcome.stdout, "reconstructions.png\n");
    assert_eq!(place.size_of("reconstructions.png"), (grid(16), grid(2)));
    let lines = outcome.stderr.lines();
    assert_eq!(
        lines.filter(|line| line.starts_with("test image ")).count(),
        16
    );

    // No more than there are.
    let all = place.ok("reconstruct --model run --n 10000").stderr;
    assert_eq!(all.lines().count(), 50, "{all}");

    // From elsewhere too, into a folder that is yet to be made, in more rows than one.
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    let line = "reconstruct --model ../run --n 17 --out new/strip.png";
    let output = place
        .command(line)
        .current_dir(place.path("elsewhere"))
        .output();
    assert!(output.unwrap().status.success());
    let strip = place.size_of("elsewhere/new/strip.png");
    assert_eq!(strip, (grid(16), grid(4)));
}

#[test]
fn all_pictures_of_a_run_show_the_same_images_and_latent_vectors() {
    let place = Place::new();
    place.config("constant.json", &[("/schedule", "constant".into())]);
    let line = "train --quiet --config constant.json --seed 3";
    place.ok(&format!("{line} --out run"));
    for step in [10, 20, 30] {
        // The run as it was then.
        place.ok(&format!("{line} --steps {step} --out run-{step}"));
        place.ok(&format!(
            "sample --model run-{step} --seed 3 --columns 8 drawn.png"
        ));
        place.ok(&format!("reconstruct --model run-{step} --out kept.png"));
        for (file, folder) in [("drawn.png", "samples"), ("kept.png", "reconstructions")] {
            let of_run = place.read(&format!("run/{folder}/step-{step:06}.png"));
            assert!(place.read(file) == of_run, "{folder} of step {step}");
        }
    }
}

#[test]
fn anyone_s_pictures_are_made_what_the_model_takes() {
    let place = Place::with_model();
    let ink = |x, y| (8..20).contains(&x) && (6..15).contains(&y);
    let grey = |ink_grey: u8, paper: u8| {
        GrayImage::from_fn(28, 28, |x, y| {
            Luma([if ink(x, y) { ink_grey } else { paper }])
        })
    };
    let dark = DynamicImage::from(grey(255, 0));
    let transparent = RgbaImage::from_fn(28, 28, |x, y| {
        Rgba([0, 0, 0, if ink(x, y) { 255 } else { 0 }])
    });
    let photograph = GrayImage::from_fn(1200, 800, |x, y| Luma([(x / 8 + y / 16) as u8]));
    let photograph = DynamicImage::from(photograph).to_rgb8();
    dark.save(place.path("dark.png")).unwrap();
    dark.to_rgb8().save(place.path("rgb.png")).unwrap();
    grey(0, 255).save(place.path("light.png")).unwrap();
    transparent.save(place.path("transparent.png")).unwrap();
    photograph.save(place.path("photograph.jpg")).unwrap();
    photograph.save(place.path("photograph.png")).unwrap();
    GrayImage::new(3, 200)
        .save(place.path("narrow.png"))
        .unwrap();
    GrayImage::new(1, 1).save(place.path("dot.png")).unwrap();

    let pictures = "dark.png rgb.png light.png transparent.png photograph.jpg photograph.png \
                    narrow.png dot.png";
    let outcome = place.ok(&format!("reconstruct --model run {pictures} --out own.png"));
    assert_eq!(outcome.stdout, "own.png\n");
    assert_eq!(place.size_of("own.png"), (grid(8), grid(2)));
    let lines: Vec<_> = outcome
        .stderr
        .lines()
        .map(|line| line.split_once(": ").unwrap())
        .collect();
    let names: Vec<_> = lines.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, pictures.split_whitespace().collect::<Vec<_>>());
    for (name, numbers) in &lines {
        let (error, kl) = numbers.split_once(", KL ").unwrap();
        let error: f64 = error
            .strip_prefix("squared error ")
            .unwrap()
            .parse()
            .unwrap();
        let kl: f64 = kl.parse().unwrap();
        assert!(error.is_finite() && kl.is_finite(), "{name}: {numbers}");
    }
    // Light ink on dark paper, the same in colours, dark ink on light paper or on none: all one.
    assert!(
        lines[1..4]
            .iter()
            .all(|(_, numbers)| *numbers == lines[0].1),
        "{lines:?}"
    );
}

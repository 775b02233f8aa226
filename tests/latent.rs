//! Pictures of a latent space.

mod common;

use common::{Place, grid};
use image::AnimationDecoder;
use image::codecs::gif::GifDecoder;
use serde_json::json;
use std::io::Cursor;

#[test]
fn between_two_points_lie_pictures() {
    let place = Place::with_model();
    let outcome = place.ok("latent interpolate --model run");
    assert_eq!(outcome.stdout, "interpolation.png\n");
    assert_eq!(place.size_of("interpolation.png"), (grid(16), grid(1)));
    place.ok("latent interpolate 0 1 --model run --threads 3 --out again.png");
    assert!(place.read("again.png") == place.read("interpolation.png"));
    place.ok("latent interpolate 0 1 --model run --spherical --out arc.png");
    assert!(place.read("arc.png") != place.read("interpolation.png"));

    // The ends are what the model keeps of the two, and what it draws.
    let cells = |file: &str, across: u32| {
        let picture = image::open(place.path(file)).unwrap().to_luma8();
        image::imageops::crop_imm(&picture, across * 58, 0, 60, 60)
            .to_image()
            .into_raw()
    };
    place.ok("reconstruct --model run --n 2");
    let kept = image::open(place.path("reconstructions.png"))
        .unwrap()
        .to_luma8();
    let kept = image::imageops::crop_imm(&kept, 0, 58, 60, 60)
        .to_image()
        .into_raw();
    assert!(cells("interpolation.png", 0) == kept);
    place.ok("latent interpolate seed:7 seed:8 --steps 3 --model run --out drawn.png");
    for (seed, across) in [(7, 0), (8, 2)] {
        place.ok(&format!("sample --seed {seed} --n 1 --model run one.png"));
        assert!(cells("drawn.png", across) == cells("one.png", 0), "{seed}");
    }
    // Any picture will do, and a mixture of all three.
    place.ok("sample --n 1 --model run own/");
    place.ok("latent interpolate own/000000.png seed:1 --steps 2 --model run --out mixed.png");
    assert_eq!(place.size_of("mixed.png"), (grid(2), grid(1)));
}

#[test]
fn an_animation_runs_there_and_back() {
    let place = Place::with_model();
    place.ok("latent interpolate --steps 6 --model run --out way.gif");
    let decoder = GifDecoder::new(Cursor::new(place.read("way.gif"))).unwrap();
    let frames = decoder.into_frames().collect_frames().unwrap();
    assert_eq!(frames.len(), 10);
    assert_eq!(frames[0].buffer().dimensions(), (grid(1), grid(1)));
    let pixels = |frame: usize| frames[frame].buffer().as_raw();
    assert!(pixels(1) == pixels(9) && pixels(4) == pixels(6) && pixels(0) != pixels(5));
    assert!(frames.iter().all(|frame| {
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        numerator / denominator == 80
    }));
    // For ever.
    let looping = place
        .read("way.gif")
        .windows(11)
        .any(|bytes| bytes == b"NETSCAPE2.0");
    assert!(looping);
    place.ok("latent traverse --steps 4 --dimensions 3 --model run --out way.gif");
    let decoder = GifDecoder::new(Cursor::new(place.read("way.gif"))).unwrap();
    let frames = decoder.into_frames().collect_frames().unwrap();
    assert_eq!(frames.len(), 6);
    assert_eq!(frames[0].buffer().dimensions(), (grid(1), grid(3)));
}

#[test]
fn each_dimension_has_a_row_that_is_named() {
    let place = Place::with_model();
    let outcome = place.ok("latent traverse --dimensions 3 --model run");
    assert_eq!(place.size_of("traversal.png"), (grid(11), grid(3)));
    assert!(
        outcome.stderr.starts_with("row 1: dimension "),
        "{}",
        outcome.stderr
    );
    place.ok("latent traverse --dimensions 2 --steps 5 --image 3 --model run --out t.svg");
    let svg = place.text("t.svg");
    assert_eq!(svg.matches("<text").count(), 7);
    for words in [
        "dimension ",
        ", KL ",
        ">0.00<",
        ">1.28<",
        ">-1.28<",
        "data:image/png;base64,",
    ] {
        assert!(svg.contains(words), "{words}");
    }
}

#[test]
fn two_dimensions_are_shown_whole() {
    let place = Place::with_model();
    place.refused(
        "latent manifold --model run",
        2,
        "the model has 3 latent dimensions, not two",
    );
    place.config("flat.json", &[("/latent_dim", json!(2))]);
    place.ok("train --config flat.json --out flat");
    place.ok("latent manifold --steps 7 --model flat");
    assert_eq!(place.size_of("manifold.png"), (grid(7), grid(7)));
    place.ok("latent manifold --steps 3 --model flat --out m.svg");
    assert_eq!(place.text("m.svg").matches("<text").count(), 6);
}

#[test]
fn images_lie_where_their_posteriors_are() {
    let place = Place::with_model();
    place.ok("latent scatter --model run");
    let svg = place.text("scatter.svg");
    // A point an image, and one a label in the legend.
    assert_eq!(svg.matches("<circle").count(), 50 + 10);
    assert!(svg.contains("principal component 1 (") && svg.contains("principal component 2 ("));
    place.config("flat.json", &[("/latent_dim", json!(2))]);
    place.ok("train --config flat.json --out flat");
    place.ok("latent scatter --n 20 --model flat --out flat.svg");
    let svg = place.text("flat.svg");
    assert!(svg.contains("latent dimension 0") && svg.contains("latent dimension 1"));
    assert_eq!(svg.matches("<circle").count(), 20 + 10);
    place.refused(
        "latent scatter --model run --out s.png",
        2,
        "must end in .svg",
    );
}

#[test]
fn what_cannot_be_shown_is_said() {
    let place = Place::with_model();
    for (line, why) in [
        (
            "interpolate --out a.bmp",
            "is of no kind that can be written",
        ),
        ("interpolate --steps 1", "--steps"),
        (
            "interpolate 50 0",
            "test image 50: there are only 50 test images",
        ),
        ("interpolate nothing.png 0", "nothing.png"),
        ("interpolate seed:x 0", "seed:x"),
        ("interpolate --label 1", "the model was not told labels"),
        ("traverse --out a", "is of no kind that can be written"),
        ("traverse --image tiny.json", "is not a usable picture"),
        ("manifold --steps 101", "--steps"),
    ] {
        place.refused(&format!("latent {line} --model run"), 2, why);
    }
    place.config("labels.json", &[("/conditional", json!(true))]);
    place.ok("train --config labels.json --out labels");
    for label in [3, 4] {
        place.ok(&format!(
            "latent traverse --model labels --label {label} --out {label}.png"
        ));
    }
    assert!(place.read("3.png") != place.read("4.png"));
    place.refused(
        "latent traverse --model labels --label 10",
        2,
        "none of the model's labels",
    );
}

//! Anyone's data: folders of pictures, arrays, IDX files of every layout.

mod common;
#[cfg(feature = "download")]
mod parquet_files;

use common::{Outcome, Place};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use std::io::Cursor;
use vae::data::{npy, npz};

/// A picture with a bright square on a ground of a colour; where it is, and how large, depends on its number.
fn picture(number: u32, [width, height]: [u32; 2], ground: [u8; 3]) -> RgbImage {
    let (left, top) = (2 + number % 13, 2 + number * 5 % 11);
    RgbImage::from_fn(width, height, |x, y| {
        let is_square = (left..left + 9).contains(&x) && (top..top + 9).contains(&y);
        Rgb(if is_square { [250, 240, 30] } else { ground })
    })
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// A place with a folder of `count` pictures in two folders, all of one size, some of each format.
fn with_pictures(count: u32, size: [u32; 2]) -> Place {
    let place = Place::new();
    for number in 0..count {
        let (label, ground) =
            [("cats", [20, 30, 160]), ("dogs", [150, 20, 40])][number as usize % 2];
        let (format, ending) = [
            (ImageFormat::Png, "png"),
            (ImageFormat::Jpeg, "JPG"),
            (ImageFormat::WebP, "webp"),
            (ImageFormat::Bmp, "bmp"),
            (ImageFormat::Tiff, "tif"),
            (ImageFormat::Gif, "gif"),
        ][number as usize % 6];
        let picture = DynamicImage::from(picture(number, size, ground));
        let name = format!("pets/{label}/{number:03}.{ending}");
        place.write(&name, encoded(&picture, format));
    }
    place
}

/// Trains for a few steps; what it said.
fn train(place: &Place, flags: &str) -> Outcome {
    let line = "train --steps 6 --batch-size 8 --image-every 3 --eval-every 6 --save-every 6";
    place.ok(&format!("{line} {flags}"))
}

#[test]
fn a_folder_of_pictures_is_learnt_from_at_once() {
    let place = with_pictures(120, [32, 32]);
    place.write("pets/cats/broken.png", b"\x89PNG\r\n\x1a\n and no more");
    place.write("pets/cats/notes.txt", "not a picture");
    place.write("pets/.thumbs/0.png", "hidden");
    let said = train(&place, "--data pets --out run").stderr;
    assert!(
        said.contains("1 of 121 pictures cannot be read: cats/broken.png: "),
        "{said}"
    );
    assert!(
        said.contains(" test images of 32x32x3, which were held out"),
        "{said}"
    );
    assert!(said.contains("labels: 0 cats, 1 dogs"), "{said}");
    let config = place.json("run/config.json");
    assert_eq!(config["image"], json!({"size": 32, "channels": 3}));
    assert_eq!(
        (&config["fit"], &config["test_share"]),
        (&json!("crop"), &json!(0.1))
    );
    assert_eq!(config["provenance"]["dataset"], "pictures");

    // Pictures are in colour.
    place.ok("sample --n 6 --columns 3 --seed 1 --model run out.png");
    let grid = image::open(place.path("out.png")).unwrap();
    assert_eq!((grid.width(), grid.height()), (3 * 66 + 2, 2 * 66 + 2));
    assert!(
        grid.to_rgb8()
            .pixels()
            .any(|pixel| pixel.0 != [pixel.0[0]; 3])
    );
    place.ok("sample --n 6 --seed 1 --model run out.npy");
    assert_eq!(
        npy::read(&place.read("out.npy")).unwrap().shape,
        [6, 32, 32, 3]
    );

    // Every command has the same data and shape.
    for line in [
        "reconstruct --n 5",
        "reconstruct pets/dogs/001.JPG --mask left",
        "evaluate --importance-samples 5 --samples 20 --split train",
        "latent interpolate 0 pets/cats/000.png",
        "latent traverse --steps 3 --out t.svg",
        "latent scatter",
        "encode --split train",
        "decode",
        "sample --from posterior --n 2",
    ] {
        place.ok(&format!("{line} --model run"));
    }
    let kept = |place: &Place| -> usize {
        let files = place.files("").into_keys();
        files.filter(|file| file.contains("vae/pictures/")).count()
    };
    // The pictures, and their shape.
    assert_eq!(kept(&place), 2);

    // The same again, from what was decoded: on one thread, and after a pause.
    let again = train(&place, "--data pets --out again --threads 1").stderr;
    assert!(again.contains("cats/broken.png"), "{again}");
    place.assert_same("run", "again");
    place.write("constant.json", r#"{"schedule": "constant"}"#);
    train(&place, "--config constant.json --data pets --out paused");
    place.ok("train --resume paused --steps 9");
    train(
        &place,
        "--config constant.json --data pets --out whole --steps 9",
    );
    assert!(place.read("paused/model.safetensors") == place.read("whole/model.safetensors"));
    assert_eq!(kept(&place), 2);
}

#[test]
fn a_shape_can_be_asked_for() {
    let place = with_pictures(24, [60, 40]);
    train(&place, "--data pets --out run");
    assert_eq!(
        place.json("run/config.json")["image"],
        json!({"size": [40, 64], "channels": 3})
    );
    train(
        &place,
        "--data pets --image-size 16x24 --channels 1 --out small",
    );
    let config = place.json("small/config.json");
    assert_eq!(config["image"], json!({"size": [16, 24], "channels": 1}));
    place.ok("sample --n 2 --columns 1 --model small out.png");
    assert_eq!(place.size_of("out.png"), (24 * 2 + 4, 2 * 34 + 2));
    for fit in ["pad", "stretch"] {
        place.write(&format!("{fit}.json"), json!({ "fit": fit }).to_string());
        train(
            &place,
            &format!("--config {fit}.json --data pets --image-size 16 --out {fit}"),
        );
        assert_eq!(place.json(&format!("{fit}/config.json"))["fit"], fit);
    }
    assert!(place.read("pad/model.safetensors") != place.read("stretch/model.safetensors"));
    // An odd size has convolutions of its own.
    train(&place, "--data pets --image-size 9 --out odd");
    for (line, why) in [
        (
            "--image-size 0",
            "image.size: must be a whole number from 1 to 1024",
        ),
        ("--image-size 12x", "--image-size"),
        ("--channels 2", "image.channels: must be 1 or 3"),
        (
            "--image-size 32 --data data",
            "its images are 28x28; what is asked for are images of 32x32 pixels",
        ),
    ] {
        place.refused(&format!("train {line} --out none"), 2, why);
    }
}

#[test]
fn large_images_are_learnt_from_more_slowly_unless_a_rate_is_asked_for() {
    let place = with_pictures(24, [64, 64]);
    for (flags, rate, told) in [
        ("", 0.001, false),
        ("--learning-rate 0.003", 0.003, true),
        ("--image-size 56", 0.003, false),
        ("--image-size 56 --learning-rate 0.001", 0.001, true),
    ] {
        train(&place, &format!("--data pets --out run {flags}"));
        assert_eq!(place.json("run/config.json")["learning_rate"], rate);
        // The command that makes the run again, where the rest of the page is of what is like the default.
        let page = place.text("run/report.html");
        let (_, command) = page.split_once("vae train --config - ").unwrap();
        let (command, _) = command.split_once("END\"").unwrap();
        assert_eq!(command.contains("learning_rate"), told, "{command}");
        std::fs::remove_dir_all(place.path("run")).unwrap();
    }
}

#[test]
fn too_many_bad_files_are_refused_by_name() {
    let place = with_pictures(20, [20, 20]);
    for name in ["a.png", "b.jpg", "c.webp"] {
        place.write(&format!("pets/cats/{name}"), "no picture");
    }
    let why = "3 of 23 pictures cannot be read: cats/a.png: ";
    place.refused("train --data pets --out run", 2, why);
    train(&place, "--data pets --bad-images 3 --out run");
    // What is kept of them changes nothing.
    place.refused("train --data pets --out again", 2, why);
    // What was accepted once is so in every command.
    place.ok("reconstruct --model run");
    place.write("empty/readme.txt", "nothing here");
    place.refused("train --data empty --out none", 2, "holds no pictures");
    place.write("one/1.png", place.read("pets/cats/000.png"));
    place.refused(
        "train --data one --out none",
        2,
        "there is no picture to learn from",
    );
}

#[test]
fn another_share_can_be_held_out_and_halves_that_are_there_stay() {
    let place = with_pictures(80, [12, 12]);
    let tested = |place: &Place, model: &str| -> Vec<String> {
        place.ok(&format!("encode test.csv --model {model}"));
        let text = place.text("test.csv");
        text.lines()
            .skip(1)
            .map(|line| line[..1].to_string())
            .collect()
    };
    train(&place, "--data pets --out before");
    let before = tested(&place, "before");
    let added = picture(77, [12, 12], [1, 2, 3]);
    place.write(
        "pets/dogs/zzz.png",
        encoded(&added.into(), ImageFormat::Png),
    );
    place.write("more.json", json!({ "test_share": 0.5 }).to_string());
    train(&place, "--data pets --config more.json --out after");
    let after = tested(&place, "after");
    assert!(
        after.len() > before.len() + 10 && after.len() < 70,
        "{}",
        after.len()
    );
    // A folder that has its halves keeps them.
    for (half, number) in [("train", 1), ("train", 2), ("train", 3), ("test", 4)] {
        let picture = DynamicImage::from(picture(number, [12, 12], [9, 9, 9]));
        place.write(
            &format!("halves/{half}/{number}.png"),
            encoded(&picture, ImageFormat::Png),
        );
    }
    let said = train(&place, "--data halves --out halves-run").stderr;
    assert!(
        said.contains("3 training and 1 test images of 12x12x3, without labels\n"),
        "{said}"
    );
    assert!(
        said.contains("a batch of 8 has some of the 3 images several times"),
        "{said}"
    );
}

#[test]
fn a_shape_that_is_asked_for_stays() {
    let place = with_pictures(24, [16, 16]);
    train(&place, "--data pets --image-size 28 --channels 1 --out run");
    place.ok("train --resume run --steps 7");
    place.ok("train --config run/config.json --steps 2 --out again");
    assert_eq!(
        place.json("again/config.json")["image"],
        json!({"size": 28, "channels": 1})
    );
}

#[test]
fn labels_are_known_by_their_names() {
    let place = Place::new();
    for (number, label) in (0..).zip(["ants", "bees", "cows"].repeat(8)) {
        let picture = DynamicImage::from(picture(number, [12, 12], [9, 9, 9]));
        let file = encoded(&picture, ImageFormat::Png);
        place.write(&format!("all/{label}/{number}.png"), &file);
        if label != "ants" {
            place.write(&format!("some/{label}/{number}.png"), &file);
        }
    }
    place.write(
        "labels.json",
        json!({"conditional": true, "classes": 3}).to_string(),
    );
    train(&place, "--config labels.json --data all --out run");
    assert_eq!(
        place.json("run/config.json")["labels"],
        json!(["ants", "bees", "cows"])
    );
    place.ok("encode some.csv --data some --split train --model run");
    let text = place.text("some.csv");
    let labels: Vec<&str> = text.lines().skip(1).map(|line| &line[..1]).collect();
    assert!(
        labels.contains(&"1") && labels.contains(&"2") && !labels.contains(&"0"),
        "{labels:?}"
    );
    place.ok("sample --model run --seed 1 --n 2 --label bees named.npy");
    place.ok("sample --model run --seed 1 --n 2 --label 1 numbered.npy");
    assert!(place.read("named.npy") == place.read("numbered.npy"));
    let why = "--label: `cats` is none of the model's labels: ants, bees, cows";
    let outcome = place.vae("reconstruct all/ants/0.png --label cats --model run");
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
    place.write("strange/cats/1.png", place.read("all/ants/0.png"));
    place.write("strange/cows/2.png", place.read("all/cows/2.png"));
    let why = "has the label cats; the model's are ants, bees, cows";
    let outcome = place.vae("reconstruct --data strange --model run");
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
}

/// A JPEG file whose EXIF data say how the camera was held.
fn held(picture: &RgbImage, orientation: u8) -> Vec<u8> {
    let jpeg = encoded(&picture.clone().into(), ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn a_photo_is_held_as_its_camera_was() {
    let place = Place::with_model();
    // Dark ink on paper, in blocks that survive JPEG.
    let upright = RgbImage::from_fn(64, 48, |x, y| {
        let is_ink = x < 16 && y < 40 || x < 48 && y < 8;
        Rgb([if is_ink { 10 } else { 245 }; 3])
    });
    // How the pixels lie in the file, for each value that says how to right them.
    use image::imageops::{flip_horizontal, flip_vertical, rotate90, rotate180, rotate270};
    let files = [
        upright.clone(),
        flip_horizontal(&upright),
        rotate180(&upright),
        flip_vertical(&upright),
        flip_horizontal(&rotate90(&upright)),
        rotate270(&upright),
        flip_horizontal(&rotate270(&upright)),
        rotate90(&upright),
    ];
    let kept = |name: &str| {
        place.ok(&format!("reconstruct {name} --out kept.png --model run"));
        image::open(place.path("kept.png")).unwrap().to_luma8()
    };
    place.write("upright.jpg", held(&upright, 1));
    let expected = kept("upright.jpg");
    for (orientation, pixels) in (1..).zip(files) {
        place.write("held.jpg", held(&pixels, orientation));
        let found = kept("held.jpg");
        let pairs = found.pixels().zip(expected.pixels());
        let most = pairs.map(|(a, b)| a.0[0].abs_diff(b.0[0])).max();
        // The blocks of a JPEG lie elsewhere.
        assert!(most < Some(12), "{orientation}: {most:?}");
    }
}

#[test]
fn arrays_are_learnt_from() {
    let place = Place::new();
    let pixels: Vec<u8> = (0..40 * 16 * 16u32).map(|i| (i * i % 251) as u8).collect();
    let labels: Vec<u8> = (0..40).map(|i| i % 3).collect();
    let part =
        |from: usize, to: usize| npy::bytes(&pixels[from * 256..to * 256], &[to - from, 16, 16]);
    let arrays = [
        ("x_train", part(0, 30)),
        ("y_train", npy::bytes(&labels[..30], &[30])),
        ("x_test", part(30, 40)),
        ("y_test", npy::bytes(&labels[30..], &[10])),
    ];
    place.write("keras.npz", npz::write(arrays.into_iter()).unwrap());
    let said = train(&place, "--data keras.npz --out keras").stderr;
    assert!(
        said.contains("30 training and 10 test images of 16x16\n"),
        "{said}"
    );
    place.ok("encode --model keras codes.csv");
    assert!(
        place
            .text("codes.csv")
            .lines()
            .nth(1)
            .unwrap()
            .starts_with("0,")
    );
    // Fractions of one array, of which some are held out.
    let fractions: Vec<f32> = pixels
        .iter()
        .map(|&pixel| f32::from(pixel) / 255.0)
        .collect();
    place.write("one.npy", npy::floats(&fractions, &[40, 16, 16]));
    let said = train(&place, "--data one.npy --out one").stderr;
    assert!(
        said.contains(" test images of 16x16, which were held out"),
        "{said}"
    );
    place.write("bytes.npy", part(0, 40));
    train(&place, "--data bytes.npy --out bytes");
    let weights = |run: &str| {
        place.json(&format!("{run}/config.json"))["provenance"]["dataset_sha256"].clone()
    };
    assert_eq!(weights("one"), weights("bytes"));
    // One's own photo, for a model that learnt colours from arrays.
    place.write(
        "colours.npy",
        npy::bytes(&pixels[..30 * 192], &[30, 8, 8, 3]),
    );
    train(&place, "--data colours.npy --out colours");
    let photo = DynamicImage::from(picture(3, [20, 30], [200, 0, 0]));
    place.write("photo.png", encoded(&photo, ImageFormat::Png));
    place.ok("reconstruct photo.png --mask top --model colours");
    place.ok("latent traverse --image photo.png --dimensions 1 --model colours");
    place.write("wrong.npy", npy::floats(&[0.5, f32::NAN], &[1, 1, 2]));
    place.refused("train --data wrong.npy --out none", 2, "a pixel is NaN");
    place.write("black.npy", npy::bytes(&[0, 1, 1, 0], &[2, 1, 2]));
    let said = train(&place, "--data black.npy --out black").stderr;
    assert!(
        said.contains("warning: all pixels are 0 or 1 of 255"),
        "{said}"
    );
    place.write("same.npy", npy::bytes(&[9; 12], &[6, 1, 2]));
    let said = train(&place, "--data same.npy --out same").stderr;
    assert!(
        said.contains("warning: all training images are the same"),
        "{said}"
    );
}

#[test]
fn idx_files_lie_where_people_have_them() {
    let place = Place::new();
    let digest = |run: &str| -> Value {
        place.json(&format!("{run}/config.json"))["provenance"]["dataset_sha256"].clone()
    };
    train(&place, "--data data --out run");
    for file in vae::data::idx::FILES {
        let content = place.read(&format!("data/{file}"));
        place.write(&format!("torch/MNIST/raw/{file}"), &content);
        if file.contains("images") {
            place.write(&format!("unlabelled/{file}"), &content);
        }
        if file.starts_with("train") {
            place.write(&format!("alone/{file}"), &content);
        }
    }
    train(&place, "--data torch --out torch-run");
    assert_eq!(digest("torch-run"), digest("run"));
    train(&place, "--data unlabelled --out unlabelled-run");
    assert!(digest("unlabelled-run") != digest("run"));
    place.ok("evaluate --importance-samples 0 --samples 20 --model unlabelled-run");
    place.config(
        "labels.json",
        &[
            ("/conditional", json!(true)),
            ("/data", json!("unlabelled")),
        ],
    );
    place.refused(
        "train --config labels.json --out none",
        2,
        "has no labels that tell images apart",
    );
    let said = train(&place, "--data alone --out alone-run").stderr;
    assert!(said.contains("which were held out"), "{said}");
    place.write(
        "page/train-images-idx3-ubyte.gz",
        "<!DOCTYPE html><html>not found</html>",
    );
    place.refused("train --data page --out none", 2, "it is a web page");
    // One image cannot be on both sides.
    let one = [
        &[0x803u32, 1, 28, 28].map(u32::to_be_bytes).concat()[..],
        &[7; 784],
    ]
    .concat();
    place.write("one/train-images-idx3-ubyte", one);
    place.refused(
        "train --data one --out none",
        2,
        "there is no image to learn from",
    );
    // Other sizes.
    let mut header = [0x803u32, 6, 12, 16].map(u32::to_be_bytes).concat();
    header.extend((0..6 * 12 * 16).map(|i| (i % 255) as u8));
    place.write("other/train-images-idx3-ubyte", header);
    train(&place, "--data other --out other-run");
    assert_eq!(
        place.json("other-run/config.json")["image"],
        json!({"size": [12, 16], "channels": 1})
    );
}

#[test]
fn transposed_images_are_put_upright() {
    let place = Place::new();
    let digest = |run: &str| -> Value {
        place.json(&format!("{run}/config.json"))["provenance"]["dataset_sha256"].clone()
    };
    // EMNIST's names, and rows where columns should be.
    for file in vae::data::idx::FILES {
        let mut content = place.read(&format!("data/{file}"));
        if file.contains("images") {
            for image in content[16..].chunks_exact_mut(784) {
                let upright = image.to_vec();
                for (at, pixel) in image.iter_mut().enumerate() {
                    *pixel = upright[at % 28 * 28 + at / 28];
                }
            }
        }
        let name = file.replace("t10k", "test");
        place.write(&format!("letters/emnist-letters-{name}"), &content);
        place.write(&format!("letters/emnist-digits-{name}"), content);
    }
    place.refused(
        "train --data letters --out none",
        2,
        "holds several data sets",
    );
    let letters = "letters/emnist-letters-train-images-idx3-ubyte";
    train(&place, "--data data --out upright");
    train(&place, &format!("--data {letters} --out lying"));
    assert!(digest("lying") != digest("upright"));
    place.write("transpose.json", json!({ "transpose": true }).to_string());
    train(
        &place,
        &format!("--config transpose.json --data {letters} --out run"),
    );
    assert_eq!(digest("run"), digest("upright"));
    let weights = |run: &str| place.ok(&format!("sample --n 2 --seed 1 --model {run} {run}.npy"));
    weights("run");
    weights("upright");
    assert!(place.read("run.npy") == place.read("upright.npy"));
    // Wherever the data are read for that model.
    assert_eq!(place.json("run/config.json")["transpose"], true);
    assert_eq!(place.json("upright/config.json").get("transpose"), None);
    for run in ["run", "upright"] {
        place.ok(&format!("reconstruct --n 3 --model {run} --out {run}.png"));
    }
    assert!(place.read("run.png") == place.read("upright.png"));
    place.ok("train --resume run --steps 8");
    place.write("one.npy", npy::bytes(&[0, 200, 9, 90], &[2, 1, 2]));
    place.refused(
        "train --config transpose.json --data one.npy --out none",
        2,
        "transpose: is for IDX files",
    );
}

#[cfg(feature = "download")]
#[test]
fn parquet_files_of_pictures_are_learnt_from() {
    let place = Place::new();
    let rows = |numbers: std::ops::Range<u32>| -> Vec<(parquet_files::Picture, i64)> {
        let row = |number| {
            let ground = [[20, 30, 160], [150, 20, 40]][number as usize % 2];
            let picture = DynamicImage::from(picture(number, [30, 20], ground));
            let format = [ImageFormat::Png, ImageFormat::Jpeg][number as usize / 2 % 2];
            (encoded(&picture, format).into(), i64::from(number % 2))
        };
        numbers.map(row).collect()
    };
    let names = Some(r#"["cats", "dogs"]"#);
    let file = |rows: &[_]| parquet_files::of_pictures(rows, names, false);
    let mut all = rows(0..120);
    all[7].0 = b"\x89PNG\r\n\x1a\n and no more".to_vec().into();
    place.write("pets.parquet", file(&all));
    let said = train(&place, "--data pets.parquet --out run").stderr;
    assert!(
        said.contains("1 of 120 pictures cannot be read: pets.parquet row 8: "),
        "{said}"
    );
    assert!(
        said.contains(" test images of 20x32x3, which were held out"),
        "{said}"
    );
    assert!(said.contains("labels: 0 cats, 1 dogs"), "{said}");
    place.ok("reconstruct --n 3 --model run");
    let again = train(&place, "--data pets.parquet --out again --threads 1").stderr;
    assert!(again.contains("pets.parquet row 8"), "{again}");
    place.assert_same("run", "again");

    // Several parts, and the halves that they are called.
    place.write("parts/train-00000-of-00002.parquet", file(&rows(0..20)));
    place.write("parts/train-00001-of-00002.parquet", file(&rows(20..40)));
    place.write("parts/test-00000-of-00001.parquet", file(&rows(40..50)));
    place.write("parts/README.md", "what it is");
    let said = train(&place, "--data parts --out parts-run").stderr;
    assert!(
        said.contains("40 training and 10 test images of 20x32x3\n"),
        "{said}"
    );

    // The hub's mark of no label; no names; and what is none.
    let mut unlabelled = rows(0..20);
    unlabelled.iter_mut().for_each(|row| row.1 = -1);
    let unlabelled = parquet_files::of_pictures(&unlabelled, None, true);
    place.write("unlabelled.parquet", unlabelled);
    let said = train(&place, "--data unlabelled.parquet --out unlabelled").stderr;
    assert!(said.contains("without labels"), "{said}");
    let mut strange = rows(0..20);
    strange[4].1 = 2;
    place.write("strange.parquet", file(&strange));
    let said = train(&place, "--data strange.parquet --out strange").stderr;
    let why = "there are no labels: strange.parquet row 5 has the label 2, and there are 2";
    assert!(said.contains(why), "{said}");
    let whole = place.read("pets.parquet");
    place.write("cut.parquet", &whole[..whole.len() / 2]);
    place.write("page.parquet", "<html>not found</html>");
    for (name, why) in [("cut", "cut.parquet: "), ("page", "page.parquet: ")] {
        place.refused(&format!("train --data {name}.parquet --out none"), 2, why);
    }
}

/// As they are in a folder of the two halves, written by another program.
#[cfg(feature = "download")]
#[test]
fn the_files_of_the_hub_are_read_where_they_lie() {
    let Some(folder) = common::given("VAE_TEST_HUB", "mnist/{train,test}/0000.parquet") else {
        return;
    };
    let place = Place::new();
    let folder = folder.join("mnist");
    let said = train(&place, &format!("--data {} --out run", folder.display())).stderr;
    assert!(
        said.contains("60000 training and 10000 test images\n"),
        "{said}"
    );
    // Its labels are there, without names.
    assert!(!said.contains("labels"), "{said}");
    place.ok("encode --model run codes.csv");
    let codes = place.text("codes.csv");
    assert!(
        codes.lines().nth(1).unwrap().starts_with("7,"),
        "{codes:.40}"
    );
}

#[test]
fn a_configuration_may_begin_with_a_mark_of_its_encoding() {
    let place = Place::new();
    let config = format!("\u{feff}{}", place.text("tiny.json"));
    place.write("marked.json", config);
    place.ok("train --config marked.json --out run");
}

#[test]
fn a_flag_that_is_given_twice_is_what_it_was_given_last() {
    let place = Place::with_model();
    place.ok("sample --n 3 --seed 1 --seed 2 --n 2 --model run twice.npy");
    place.ok("sample --n 2 --seed 2 --model run once.npy");
    assert!(place.read("twice.npy") == place.read("once.npy"));
}

#[test]
fn augmented_images_depend_on_the_seed_alone() {
    let place = Place::new();
    let with = |name: &str, augment: Value| {
        place.config(&format!("{name}.json"), &[("/augment", augment)]);
    };
    with("flip", json!({"flip": true}));
    with("both", json!({"flip": true, "shift": 2}));
    let trained = |config: &str, flags: &str, out: &str| {
        place.ok(&format!("train --config {config}.json {flags} --out {out}"));
        place.read(&format!("{out}/model.safetensors"))
    };
    let both = trained("both", "--threads 1", "a");
    assert!(trained("both", "--threads 3", "b") == both);
    assert!(trained("flip", "", "c") != both);
    assert!(trained("tiny", "", "d") != both);
    place.config("far.json", &[("/augment", json!({"shift": 2000}))]);
    place.refused(
        "train --config far.json --out none",
        2,
        "augment.shift: must be",
    );
    place.config("odd.json", &[("/augment", json!({"turn": true}))]);
    place.refused(
        "train --config odd.json --out none",
        2,
        "unknown field `turn`",
    );
}

#[test]
fn a_hint_can_be_pasted() {
    let place = Place::new();
    let train = |out: &str| {
        let mut command = place.command("train --config tiny.json --out");
        command.arg(out).output().unwrap()
    };
    let said = String::from_utf8(train("my runs/it's").stderr).unwrap();
    let hint = said.lines().last().unwrap();
    assert!(hint.ends_with(r"--model 'my runs/it'\''s'"), "{hint}");
    let again = String::from_utf8(train("my runs/it's").stderr).unwrap();
    assert!(again.contains(r"--resume 'my runs/it'\''s'"), "{again}");
}

/// Also where it has a byte that is no UTF-8, and a letter that stands for others where such a byte is written down.
#[cfg(target_os = "linux")]
#[test]
fn a_path_may_be_any_bytes() {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;

    let place = with_pictures(24, [12, 12]);
    let strange = |bytes: &'static [u8]| OsStr::from_bytes(bytes);
    place.write("plain.json", r#"{"schedule": "constant"}"#);
    let (data, config) = (strange(b"caf\xe9 100%"), strange(b"config\xff.json"));
    let (run, drawn) = (strange(b"r\xfcn"), strange(b"drawn-\xe9.png"));
    fs::copy(place.path("plain.json"), place.path(config)).unwrap();
    let vae = |line: &str, flags: &[(&str, &OsStr)]| {
        let mut command = place.command(line);
        for (flag, value) in flags {
            command.args(
                [OsStr::new(flag), value]
                    .iter()
                    .filter(|word| !word.is_empty()),
            );
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{line} {flags:?}: {said}");
        (output.stdout, said)
    };
    let steps = "train --batch-size 8 --steps 6 --save-every 3";
    train(
        &place,
        "--config plain.json --data pets --out plain --steps 9 --save-every 3",
    );
    fs::rename(place.path("pets"), place.path(data)).unwrap();
    let flags = [("--data", data), ("--config", config), ("--out", run)];
    let (stdout, said) = vae(steps, &flags);
    assert_eq!(stdout, b"r\xfcn\n");
    assert!(said.contains(r"--model $'r\374n'"), "{said}");
    let content = fs::read(place.path(run).join("config.json")).unwrap();
    let kept: Value = serde_json::from_slice(&content).unwrap();
    let kept = kept["data"]["percent_encoded"].as_str().unwrap();
    assert!(kept.ends_with("/caf%E9 100%25"), "{kept}");

    // It is the same run, wherever its data lie, and goes on where it is.
    vae("train --steps 9", &[("--resume", run)]);
    let weights = |run: &OsStr| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(weights(run) == weights("plain".as_ref()));
    for line in [
        "evaluate --importance-samples 0 --samples 20",
        "reconstruct --n 3",
        "encode codes.csv",
    ] {
        vae(line, &[("--model", run)]);
    }
    let (stdout, _) = vae("sample --n 2", &[("--model", run), ("", drawn)]);
    assert_eq!(stdout, b"drawn-\xe9.png\n");
    vae("latent interpolate 0", &[("", drawn), ("--model", run)]);
    vae("report", &[("", run), ("", "page.html".as_ref())]);
    let page = place.text("page.html");
    assert!(page.contains("caf%E9 100%25"), "the page names no data");
    // A configuration takes it as it was written.
    let again = place.path(run).join("config.json");
    vae("train --out again", &[("--config", again.as_os_str())]);
    assert!(weights("again".as_ref()) == weights(run));
    let place = Place::new();
    for wrong in ["caf%e", "caf%", ""] {
        let written = json!({"data": {"percent_encoded": wrong}}).to_string();
        place.write("wrong.json", written);
        let why = format!("`{wrong}` is no path that is percent-encoded");
        place.refused("train --config wrong.json --out none", 2, &why);
    }
    place.write("wrong.json", r#"{"data": 5}"#);
    let why = "`data` must be a string, or, for a path that is no UTF-8";
    place.refused("train --config wrong.json --out none", 2, why);
}

/// Runs the program where the system says that so many KiB of memory are available; `None` where that cannot be had.
#[cfg(target_os = "linux")]
fn with_memory(place: &Place, kib: u64, line: &str) -> Option<Outcome> {
    place.write("meminfo", format!("MemAvailable: {kib} kB\n"));
    let unshare = |script: &str| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]);
        let plain = place.command("");
        let variables = plain.get_envs();
        command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
        command
            .current_dir(place.path(""))
            .env("VAE", env!("CARGO_BIN_EXE_vae"));
        command.output().ok()
    };
    let mount = "mount --bind meminfo /proc/meminfo";
    if !unshare(mount)?.status.success() {
        return None;
    }
    let output = unshare(&format!("{mount}\nexec \"$VAE\" {line}"))?;
    Some(Outcome::new(output, Default::default()))
}

#[cfg(target_os = "linux")]
#[test]
fn pictures_that_memory_has_no_room_for_are_read_as_they_are_needed() {
    use std::fs;

    // 101 KiB of pixels, where half of 100 KiB is free.
    let place = with_pictures(60, [24, 24]);
    let small = |line: &str| with_memory(&place, 100, line);
    if small("--version").is_none() {
        return common::skip("nothing can be mounted here");
    }
    let ok = |line: &str| {
        let outcome = small(line).unwrap();
        assert_eq!(outcome.code, Some(0), "vae {line}: {}", outcome.stderr);
        outcome
    };
    let drawn = json!({
        "schedule": "constant", "binarize": "dynamic", "likelihood": "bernoulli",
        "augment": {"flip": true, "shift": 1}
    });
    place.write("drawn.json", drawn.to_string());
    place.write("plain.json", r#"{"schedule": "constant"}"#);
    let steps = "--steps 6 --batch-size 8 --image-every 3 --eval-every 6 --save-every 6";
    let line = |config: &str, out: &str| {
        format!("train {steps} --data pets --config {config}.json --out {out}")
    };
    let cache = || place.files("home/vae/pictures");
    place.ok(&line("drawn", "here"));
    let kept = cache();
    assert_eq!(kept.len(), 2, "the pictures, and their shape");
    fs::remove_dir_all(place.path("home")).unwrap();
    // Decoded into the cache, then read from it: the same run, and the same file.
    for out in ["there", "again"] {
        ok(&line("drawn", out));
        place.assert_same("here", out);
        assert!(cache() == kept);
    }
    ok(&line("plain", "paused"));
    ok("train --resume paused --steps 9");
    place.ok(&line("plain", "whole").replace("--steps 6", "--steps 9"));
    assert!(place.read("paused/model.safetensors") == place.read("whole/model.safetensors"));
    for command in [
        "evaluate --importance-samples 5 --samples 20 --split train --json",
        "encode --split train -",
        "encode -",
    ] {
        let line = format!("{command} --model paused");
        assert_eq!(ok(&line).stdout, place.ok(&line).stdout, "{line}");
    }
    for command in [
        "reconstruct --n 5",
        "latent scatter",
        "explore",
        "sample --from posterior",
    ] {
        ok(&format!("{command} --model paused"));
    }

    // What is damaged is decoded again.
    let largest = kept.iter().max_by_key(|(_, content)| content.len());
    let largest = format!("home/vae/pictures/{}", largest.unwrap().0);
    let mut damaged = place.read(&largest);
    damaged[1000] ^= 1;
    place.write(&largest, damaged);
    ok(&line("drawn", "mended"));
    place.assert_same("here", "mended");
    assert!(cache() == kept);

    // What is refused leaves nothing there, nor is there a way where nothing can be kept.
    for name in ["a.png", "b.png"] {
        place.write(&format!("pets/cats/{name}"), "no picture");
    }
    let refused = small(&line("plain", "none")).unwrap();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("2 of 62 pictures cannot be read"),
        "{}",
        refused.stderr
    );
    assert!(cache() == kept);
    fs::remove_dir_all(place.path("home")).unwrap();
    place.write("home", "no folder");
    let failed = small(&line("plain", "none")).unwrap();
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("more than half of the free memory"),
        "{}",
        failed.stderr
    );
    assert!(!place.path("none").exists());
}

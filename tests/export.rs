//! Models as ONNX files: what is in them, and that onnxruntime finds the program's own numbers.
//!
//! `VAE_TEST_PYTHON` names a Python with `onnxruntime` and `numpy`; without one, what needs it is skipped.

mod common;

use common::wire::Wire;
use common::{Place, python};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use vae::data::{npy, npz};

/// The operators of a graph with what they read and write, as in `Conv image encoder.conv1.weight ... > encoder.conv1`.
fn nodes(graph: &Wire) -> Vec<String> {
    let nodes = graph.messages(1).into_iter().map(|node| {
        let [inputs, outputs] = [1, 2].map(|field| node.texts(field).join(" "));
        assert_eq!(node.text(3), outputs);
        format!("{} {inputs} > {outputs}", node.text(4))
    });
    nodes.collect()
}

/// The names, types and sizes of what comes in (11) or goes out (12).
fn values(graph: &Wire, field: u64) -> Vec<String> {
    let values = graph.messages(field).into_iter().map(|value| {
        let tensor = value.message(2).message(1);
        let sizes = tensor.message(2).messages(1).into_iter();
        let sizes = sizes.map(|size| match size.numbers(1)[..] {
            [size] => size.to_string(),
            _ => size.text(2),
        });
        let kind = ["", "float", "", "", "", "", "", "int64"][tensor.numbers(1)[0] as usize];
        let sizes = sizes.collect::<Vec<_>>().join(" x ");
        format!("{}: {kind} {sizes}", value.text(1))
    });
    values.collect()
}

/// The weights of a graph by name, with their types and sizes.
fn weights(graph: &Wire) -> BTreeMap<String, (u64, Vec<u64>, Vec<u8>)> {
    let tensors = graph.messages(5).into_iter().map(|tensor| {
        let content = (
            tensor.numbers(2)[0],
            tensor.numbers(1),
            tensor.bytes(9).remove(0),
        );
        (tensor.text(8), content)
    });
    tensors.collect()
}

#[test]
fn each_part_is_a_file_with_its_layers_and_weights() {
    let place = Place::with_model();
    let outcome = place.ok("export out/model.onnx --model run");
    assert_eq!(
        outcome.stdout,
        "out/model-encoder.onnx\nout/model-decoder.onnx\n"
    );
    let files = ["encoder", "decoder"].map(|part| place.read(&format!("out/model-{part}.onnx")));
    let [encoder, decoder] = files.each_ref().map(|file| Wire::read(file).message(7));
    assert_eq!(
        nodes(&encoder),
        [
            "Conv image encoder.conv1.weight encoder.conv1.bias > encoder.conv1.linear",
            "Relu encoder.conv1.linear > encoder.conv1",
            "Flatten encoder.conv1 > encoder.conv1.flat",
            "Gemm encoder.conv1.flat encoder.dense1.weight encoder.dense1.bias > encoder.dense1.linear",
            "LeakyRelu encoder.dense1.linear > encoder.dense1",
            "Gemm encoder.dense1 mean.weight mean.bias > mean",
            "Gemm encoder.dense1 log_variance.weight log_variance.bias > log_variance",
        ]
    );
    assert_eq!(values(&encoder, 11), ["image: float batch x 1 x 28 x 28"]);
    let outputs = ["mean: float batch x 3", "log_variance: float batch x 3"];
    assert_eq!(values(&encoder, 12), outputs);
    assert_eq!(values(&decoder, 11), ["latent: float batch x 3"]);
    assert_eq!(values(&decoder, 12), ["image: float batch x 1 x 28 x 28"]);

    // All weights are there, once, to the bit.
    let all = [weights(&encoder), weights(&decoder)].into_iter().flatten();
    let mut found: BTreeMap<_, _> = all.filter(|(_, of)| of.0 == 1).collect();
    let model = place.read("run/model.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&model).unwrap();
    for (name, tensor) in tensors
        .iter()
        .filter(|(name, _)| !name.starts_with("prior."))
    {
        let shape = tensor.shape().iter().map(|&size| size as u64).collect();
        let expected = (1, shape, tensor.data().to_vec());
        assert!(found.remove(name) == Some(expected), "{name}");
    }
    assert!(found.is_empty(), "{:?}", found.keys());

    // The configuration is that of the weights' file, and the units are said.
    let about = Wire::read(&files[0]).messages(14);
    let about: BTreeMap<_, _> = about
        .iter()
        .map(|entry| (entry.text(1), entry.text(2)))
        .collect();
    let config: Value = serde_json::from_str(&about["config"]).unwrap();
    let expected = vae::run::weights::read::<Value>(&place.path("run/model.safetensors")).unwrap();
    assert_eq!(config, expected.1);
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
    for (key, said) in [
        ("loss", "squared_error + beta * kl"),
        ("image", "from 0 (black) to 1 (white)"),
        ("mean", "posterior"),
        ("log_variance", "natural logarithm"),
    ] {
        assert!(about[key].contains(said), "{key}: {}", about[key]);
    }

    // The same model makes the same files, from wherever it is.
    place.write("copy.safetensors", model);
    place.ok("export again.onnx --model copy.safetensors --threads 3");
    assert!(place.read("again-encoder.onnx") == files[0]);
    assert!(place.read("again-decoder.onnx") == files[1]);
}

#[test]
fn without_names_it_is_the_newest_run_or_the_built_in_model() {
    let place = Place::new();
    let outcome = place.ok("export");
    assert!(
        outcome.stderr.contains("the built-in model"),
        "{}",
        outcome.stderr
    );
    let built_in = place.read("model-decoder.onnx");
    place.ok("train --config tiny.json --steps 1 --out runs/one");
    let outcome = place.ok("export");
    assert_eq!(outcome.stdout, "model-encoder.onnx\nmodel-decoder.onnx\n");
    assert!(place.read("model-decoder.onnx") != built_in);
}

#[test]
fn what_cannot_be_exported_is_said() {
    let place = Place::with_model();
    for out in ["model", "model.png", "onnx/", ".onnx", "-"] {
        let why = format!("error: {out}: is not where ONNX files could go");
        place.refused(&format!("export {out} --model run"), 2, &why);
    }
    for (line, why) in [
        ("export a.onnx --model nowhere", "nowhere: does not exist"),
        (
            "export a.onnx --model tiny.json",
            "is not a whole weights file",
        ),
        ("export a.onnx b.onnx --model run", "unexpected argument"),
    ] {
        place.refused(line, 2, why);
    }
    place.write("file", "");
    place.refused(
        "export file/a.onnx --model run",
        1,
        "file: cannot be created",
    );
}

/// Ways that a layer can be cut and padded, and all activations.
fn odd() -> Value {
    json!({
        "latent_dim": 3,
        "encoder": [
            {"conv": {"channels": 5, "kernel": 4, "stride": 2, "padding": "same", "activation": "tanh"}},
            {"conv": {"channels": 4, "kernel": 2, "stride": 3, "padding": "same", "activation": "elu"}},
            {"conv": {"channels": 3, "kernel": 3, "stride": 2, "padding": 1, "activation": "sigmoid"}},
            {"reshape": [3, 3, 3]},
            {"conv_transpose": {"channels": 2, "kernel": 3, "padding": 0, "activation": {"leaky_relu": 0.2}}},
        ],
        "decoder": [
            {"dense": {"features": 72, "activation": "gelu"}},
            {"reshape": [8, 3, 3]},
            {"conv_transpose": {"channels": 4, "kernel": 2, "stride": 3, "padding": "same", "activation": "elu"}},
            {"conv_transpose": {"channels": 3, "kernel": 4, "stride": 1, "padding": "same", "activation": "silu"}},
            {"conv": {"channels": 4, "kernel": 4, "padding": "same"}},
            {"conv_transpose": {"channels": 2, "kernel": 5, "stride": 2, "padding": 1, "activation": "relu"}},
            {"conv_transpose": {"channels": 1, "kernel": 4, "stride": 1, "padding": 0, "activation": "sigmoid"}},
            {"dense": {"features": 784}},
        ],
    })
}

/// Runs an ONNX file on arrays, by name.
const RUN: &str = "
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
types = {value.name: value.type for value in session.get_inputs()}
arrays = {name: array.astype('int64') if types[name] == 'tensor(int64)' else array
          for name, array in numpy.load(sys.argv[2]).items()}
names = [value.name for value in session.get_outputs()]
numpy.savez(sys.argv[3], **dict(zip(names, session.run(names, arrays))))
";

type Arrays = Vec<(&'static str, Vec<u8>)>;

/// What onnxruntime makes of arrays: the arrays of these names.
fn run<const N: usize>(
    place: &Place,
    python: &Path,
    onnx: &str,
    arrays: Arrays,
    names: [&str; N],
) -> Result<[Vec<f32>; N], String> {
    place.write("in.npz", npz::write(arrays.into_iter()).unwrap());
    let mut command = Command::new(python);
    command.args(["-c", RUN, onnx, "in.npz", "out.npz"]);
    let output = command.current_dir(place.path("")).output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(arrays_of(place, "out.npz", names))
}

fn arrays_of<const N: usize>(place: &Place, npz: &str, names: [&str; N]) -> [Vec<f32>; N] {
    let file = place.read(npz);
    let mut archive = npz::Archive::open(&file).unwrap();
    names.map(|name| archive.array(name, usize::MAX).unwrap().values)
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let largest = differences.fold(0.0, f32::max);
    println!("{what}: {largest:e}");
    assert!(largest <= 1e-5, "{what}: {largest:e}");
}

/// Images of a shape, black and white where they have one channel, with labels, as arrays that can be trained on; and the
/// test images as the encoder reads them, channels first.
fn images([rows, columns, channels]: [usize; 3]) -> (Vec<u8>, Vec<f32>) {
    const IMAGES: usize = 70;
    let mut state = 1_u32;
    let pixels: Vec<u8> = (0..IMAGES * rows * columns * channels)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = (state >> 24) as u8;
            if channels == 1 {
                value / 128 * 255
            } else {
                value
            }
        })
        .collect();
    let labels: Vec<u8> = (0..IMAGES).map(|image| (image % 10) as u8).collect();
    let mut shape = vec![IMAGES, rows, columns];
    shape.extend((channels > 1).then_some(channels));
    let arrays = ["x_train", "x_test"].map(|name| (name, npy::bytes(&pixels, &shape)));
    let labels = ["y_train", "y_test"].map(|name| (name, npy::bytes(&labels, &[IMAGES])));
    let seen = pixels
        .chunks_exact(rows * columns * channels)
        .flat_map(|image| {
            let plane = move |channel| image.iter().skip(channel).step_by(channels);
            (0..channels)
                .flat_map(plane)
                .map(|&pixel| f32::from(pixel) / 255.0)
        });
    let seen = seen.collect();
    (npz::write(arrays.into_iter().chain(labels)).unwrap(), seen)
}

#[test]
fn onnxruntime_finds_the_numbers_of_encode_and_decode() {
    let Some(python) = python("VAE_TEST_PYTHON", "onnxruntime, numpy") else {
        return;
    };
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    for (name, shape) in [
        ("mnist", [28, 28, 1]),
        ("article", [28, 28, 1]),
        ("labels", [28, 28, 1]),
        ("binarized", [28, 28, 1]),
        ("pictures-32", [32, 32, 3]),
        ("odd", [28, 28, 1]),
        ("mnist", [20, 26, 3]),
    ] {
        let place = Place::new();
        let (data, seen) = images(shape);
        place.write("images.npz", data);
        place.write("odd.json", odd().to_string());
        let config = if name == "odd" {
            place.path("odd.json")
        } else {
            configs.join(format!("{name}.json"))
        };
        let flags = "--data images.npz --steps 2 --batch-size 8 --threads 1";
        place.ok(&format!(
            "train --config {} {flags} --out run",
            config.display()
        ));
        place.ok("export --model run");
        place.ok("encode codes.npz --model run");
        place.ok("decode codes.npz images.npy --model run");
        let [means, log_variances, labels] =
            arrays_of(&place, "codes.npz", ["mean", "log_variance", "label"]);
        let decoded = npy::read(&place.read("images.npy")).unwrap().values;

        let count = labels.len();
        let label = || {
            let labels: Vec<u8> = labels.iter().map(|&label| label as u8).collect();
            (name == "labels").then(|| ("label", npy::bytes(&labels, &[count])))
        };
        let [rows, columns, channels] = shape;
        let image = npy::floats(&seen, &[count, channels, rows, columns]);
        let inputs = [("image", image)].into_iter().chain(label()).collect();
        let what = format!("{name}, {rows}x{columns}x{channels}");
        let names = ["mean", "log_variance"];
        let [mean, log_variance] =
            run(&place, &python, "model-encoder.onnx", inputs, names).unwrap();
        assert_near(&mean, &means, &format!("{what}: means"));
        assert_near(
            &log_variance,
            &log_variances,
            &format!("{what}: log variances"),
        );

        let latent = npy::floats(&means, &[count, means.len() / count]);
        let inputs = [("latent", latent)].into_iter().chain(label()).collect();
        let [image] = run(&place, &python, "model-decoder.onnx", inputs, ["image"]).unwrap();
        let planes = image
            .chunks_exact(rows * columns * channels)
            .flat_map(|image| {
                let pixel = move |pixel| image.iter().skip(pixel).step_by(rows * columns);
                (0..rows * columns).flat_map(pixel).copied()
            });
        assert_near(
            &planes.collect::<Vec<_>>(),
            &decoded,
            &format!("{what}: images"),
        );
    }
}

#[test]
fn onnxruntime_takes_one_image_and_refuses_an_unknown_label() {
    let Some(python) = python("VAE_TEST_PYTHON", "onnxruntime, numpy") else {
        return;
    };
    let place = Place::new();
    place.config("labels.json", &[("/conditional", json!(true))]);
    place.ok("train --config labels.json --steps 1 --out run");
    place.ok("export --model run");
    let decode = |label: u8| {
        let latent = npy::floats(&[0.5, -1.0, 2.0], &[1, 3]);
        let inputs = vec![("latent", latent), ("label", npy::bytes(&[label], &[1]))];
        run(&place, &python, "model-decoder.onnx", inputs, ["image"])
    };
    let [nine] = decode(9).unwrap();
    assert_eq!(nine.len(), 784);
    assert!(decode(8).unwrap() != [nine]);
    let error = decode(10).unwrap_err();
    assert!(error.contains("label.row"), "{error}");
}

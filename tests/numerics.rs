//! The numbers: layers, losses, Adam and whole models against PyTorch's values, and the fused
//! operations against candle's own.
//!
//! The reference values were computed in double precision by `tests/fixtures/make.py`, which also checks
//! each of their gradients against finite differences.

mod common;

use candle_core::{DType, Device, Tensor, Var};
use serde_json::Value;
use std::collections::HashMap;
use vae::config::{Config, ConvConfig, LayerConfig};
use vae::data::{Dataset, Examples, ImageShape, Split, idx};
use vae::evaluate::likelihood::log_weights;
use vae::kernels::activation::Activation;
use vae::model::architecture::Architecture;
use vae::model::geometry::{convolution, transposed_convolution};
use vae::model::{Mode, Posterior, Vae};
use vae::nn::adam::{Adam, AdamConfig};
use vae::nn::average::{decay_at, move_averages};
use vae::nn::backend::Backend;
use vae::nn::criterion::Criterion;
use vae::nn::gradient::Gradients;
use vae::nn::layer::{Layer, LayerPlan, LinearMap, Parameter};
use vae::nn::sequential::Sequential;
use vae::nn::stage::Stage;
use vae::rng::{Purpose, normal};
use vae::run::ModelName;
use vae::train::{Objective, Trainer};

const FIXTURES: &[u8] = include_bytes!("fixtures/reference.safetensors");

/// For values, and for gradients: relative to the largest value of the tensor.
const VALUES: f32 = 1e-5;
const GRADIENTS: f32 = 1e-4;

struct Fixtures {
    tensors: HashMap<String, Tensor>,
    cases: serde_json::Map<String, Value>,
}

impl Fixtures {
    fn load(device: &Device) -> Self {
        let tensors = candle_core::safetensors::load_buffer(FIXTURES, device).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(FIXTURES).unwrap();
        let cases = &header.metadata().as_ref().unwrap()["cases"];
        Self {
            tensors,
            cases: serde_json::from_str(cases).unwrap(),
        }
    }

    fn get(&self, case: &str, name: &str) -> Tensor {
        self.tensors[&format!("{case}.{name}")].clone()
    }

    fn var(&self, case: &str, name: &str) -> Var {
        Var::from_tensor(&self.get(case, name)).unwrap()
    }

    fn of_kind(&self, kinds: &[&str]) -> Vec<(&String, &Value)> {
        let of_kind = |case: &Value| kinds.contains(&case["kind"].as_str().unwrap());
        self.cases
            .iter()
            .filter(|(_, case)| of_kind(case))
            .collect()
    }
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[track_caller]
fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f32, what: &str) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected) = (flat(found), flat(expected));
    let scale = expected
        .iter()
        .fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let worst = found.iter().zip(&expected).map(|(f, e)| (f - e).abs());
    let worst = worst.fold(0.0, f32::max) / scale;
    assert!(
        worst <= tolerance,
        "{what}: off by {worst} of its largest value"
    );
    assert!(found.iter().all(|v| v.is_finite()), "{what} is not finite");
}

/// (images, channels, rows, columns) to (images, rows, columns, channels), and what has no rows as it is.
fn channels_last(tensor: &Tensor) -> Tensor {
    match tensor.rank() {
        4 => tensor.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap(),
        _ => tensor.clone(),
    }
}

fn layer_of(case: &Value, fixtures: &Fixtures, name: &str, input: &Tensor) -> Layer {
    let (weight, bias) = (fixtures.get(name, "weight"), fixtures.get(name, "bias"));
    let activation: Activation = serde_json::from_value(case["activation"].clone()).unwrap();
    let conv = || ConvConfig {
        channels: bias.elem_count(),
        kernel: case["kernel"].as_u64().unwrap() as usize,
        stride: case["stride"].as_u64().unwrap() as usize,
        padding: serde_json::from_value(case["padding"].clone()).unwrap(),
        activation,
        dropout: 0.0,
    };
    let grid = || <[usize; 3]>::try_from(&input.dims()[1..]).unwrap();
    let map = match case["kind"].as_str().unwrap() {
        "conv" => LinearMap::Conv(convolution(grid(), &conv()).unwrap()),
        "conv_transpose" => {
            LinearMap::ConvTranspose(transposed_convolution(grid(), &conv()).unwrap())
        }
        _ => LinearMap::Dense {
            inputs: input.dims()[1],
            outputs: bias.elem_count(),
        },
    };
    Layer {
        plan: LayerPlan {
            name: name.into(),
            map,
            activation,
            dropout: 0.0,
        },
        weight: Parameter::new(&weight).unwrap(),
        bias: Parameter::new(&bias).unwrap(),
    }
}

/// Runs every layer case forward and backward and compares with the reference values.
fn check_layers(backend: Backend, device: &Device) {
    let fixtures = Fixtures::load(device);
    let cases = fixtures.of_kind(&["conv", "conv_transpose", "dense"]);
    assert_eq!(cases.len(), 39);
    for (name, case) in cases {
        let input = channels_last(&fixtures.get(name, "input"));
        let input = Var::from_tensor(&input).unwrap();
        let layer = layer_of(case, &fixtures, name, &input);
        let (weight, bias) = (layer.weight.value.clone(), layer.bias.value.clone());
        assert_eq!(weight.dims(), layer.plan.map.weight_shape(), "{name}");
        let sequence = Sequential::new(vec![Stage::Layer(layer)], 0);

        let mode = Mode::Training { seed: 1, step: 1 };
        let output = sequence.forward(&input, mode, backend).unwrap();
        let expected = channels_last(&fixtures.get(name, "output"));
        assert_close(&output, &expected, VALUES, name);

        let cotangent = channels_last(&fixtures.get(name, "grad_output"));
        let scalar = (output * cotangent).unwrap().sum_all().unwrap();
        let mut gradients = Gradients::new(scalar.backward().unwrap());
        if backend == Backend::Fused {
            sequence.collect_gradients(&mut gradients);
        }
        for (of, var) in [
            ("grad_input", &input),
            ("grad_weight", &weight),
            ("grad_bias", &bias),
        ] {
            let found = &gradients.get(var).unwrap().expect(of);
            let expected = channels_last_if(of == "grad_input", &fixtures.get(name, of));
            assert_close(found, &expected, GRADIENTS, &format!("{name}: {of}"));
        }
    }
}

fn channels_last_if(condition: bool, tensor: &Tensor) -> Tensor {
    if condition {
        channels_last(tensor)
    } else {
        tensor.clone()
    }
}

#[test]
fn fused_layers_match_pytorch() {
    check_layers(Backend::Fused, &Device::Cpu);
}

#[test]
fn candle_layers_match_pytorch() {
    check_layers(Backend::Candle, &Device::Cpu);
}

/// A sequence whose output is its input.
fn identity(values: usize, device: &Device) -> Sequential {
    let weight = Tensor::eye(values, DType::F32, device).unwrap();
    let bias = Tensor::zeros(values, DType::F32, device).unwrap();
    let layer = Layer {
        plan: LayerPlan {
            name: "identity".into(),
            map: LinearMap::Dense {
                inputs: values,
                outputs: values,
            },
            activation: Activation::None,
            dropout: 0.0,
        },
        weight: Parameter::new(&weight).unwrap(),
        bias: Parameter::new(&bias).unwrap(),
    };
    Sequential::new(vec![Stage::Layer(layer)], 0)
}

/// Means and log variances as the encoder gives them.
fn posterior(mean: &Tensor, log_variance: &Tensor) -> Posterior {
    Posterior::new(Tensor::cat(&[mean, log_variance], 1).unwrap()).unwrap()
}

#[test]
fn fused_losses_match_pytorch() {
    check_losses(Backend::Fused, &Device::Cpu);
}

#[test]
fn candle_losses_match_pytorch() {
    check_losses(Backend::Candle, &Device::Cpu);
}

fn check_losses(backend: Backend, device: &Device) {
    let fixtures = Fixtures::load(device);
    let get = |name: &str| fixtures.get("loss", name);
    let (x, y) = (get("x"), fixtures.var("loss", "y"));
    let (mean, log_variance) = (
        fixtures.var("loss", "mean"),
        fixtures.var("loss", "log_variance"),
    );
    let mode = Mode::Training { seed: 1, step: 1 };
    let sequence = identity(x.dim(1).unwrap(), device);
    let errors = sequence
        .errors(&y, &x, Criterion::SquaredError, mode, backend)
        .unwrap();
    let kl = posterior(&mean, &log_variance).kl(backend).unwrap();
    assert_close(&errors, &get("squared_error"), VALUES, "squared error");
    assert_close(&kl, &get("kl"), VALUES, "kl");

    let total = (errors + (kl * 1.7).unwrap()).unwrap();
    let gradients = total.mean_all().unwrap().backward().unwrap();
    for (name, var) in [
        ("grad_y", &y),
        ("grad_mean", &mean),
        ("grad_log_variance", &log_variance),
    ] {
        let found = gradients.get(var).expect(name);
        assert_close(found, &get(name), GRADIENTS, name);
    }
}

#[test]
fn cross_entropies_match_pytorch() {
    for backend in [Backend::Fused, Backend::Candle] {
        let fixtures = Fixtures::load(&Device::Cpu);
        let get = |name: &str| fixtures.get("cross_entropy", name);
        let (x, logits) = (get("x"), fixtures.var("cross_entropy", "logits"));
        let mode = Mode::Training { seed: 1, step: 1 };
        let sequence = identity(x.dim(1).unwrap(), &Device::Cpu);
        let errors = sequence.errors(&logits, &x, Criterion::CrossEntropy, mode, backend);
        let errors = errors.unwrap();
        let column = |column| errors.narrow(1, column, 1).unwrap().squeeze(1).unwrap();
        let (entropy, square) = (column(0), column(1));
        assert_close(&entropy, &get("cross_entropy"), VALUES, "cross entropy");
        assert_close(&square, &get("squared_error"), VALUES, "squared error");
        let total = (entropy + (square * 0.3).unwrap()).unwrap();
        let gradients = total.mean_all().unwrap().backward().unwrap();
        let found = gradients.get(&logits).unwrap();
        assert_close(found, &get("grad_logits"), GRADIENTS, "logits");
    }
}

/// All test images, one posterior sample each, without dropout, by the formulas of README.
#[test]
fn a_test_line_is_what_the_formulas_give() {
    let place = common::Place::new();
    let dropout = [("/encoder/1/dense/dropout", serde_json::json!(0.3))];
    place.config("dropout.json", &dropout);
    place.ok("train --quiet --config dropout.json --beta 0.25 --out run");
    let (config, vae) =
        vae::run::load_model(&ModelName::Path(place.path("run")), &Device::Cpu).unwrap();
    let test = idx::read_folder(&place.path("data")).unwrap().test;
    let values = |tensor: &Tensor| -> Vec<f64> {
        let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.into_iter().map(f64::from).collect()
    };
    let pixels = test.clone().into_bytes().unwrap();
    let images = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0);
    let shape = (test.len(), test.shape.values());
    let images = Tensor::from_vec(images.collect(), shape, &Device::Cpu).unwrap();
    let posterior = vae.encode(&images, &[], Mode::Inference).unwrap();
    let (mean, log_variance) = (posterior.mean().unwrap(), posterior.log_variance().unwrap());
    let parameters = values(&mean).into_iter().zip(values(&log_variance));
    let kl = parameters
        .clone()
        .map(|(m, lv)| 0.5 * (m * m + lv.exp() - 1.0 - lv));
    let epsilon = normal(config.seed, Purpose::Evaluation, 0, mean.elem_count());
    let latent = parameters.zip(epsilon);
    let latent = latent.map(|((m, lv), e)| (m + (0.5 * lv).exp() * f64::from(e)) as f32);
    let latent = Tensor::from_vec(latent.collect(), mean.shape(), &Device::Cpu).unwrap();
    let drawn = vae.decode(&latent, &[], Mode::Inference).unwrap();
    let pairs = values(&images).into_iter().zip(values(&drawn));
    let count = test.len() as f64;
    let kl = kl.sum::<f64>() / count;
    let squared_error = pairs.map(|(x, y)| (x - y).powi(2)).sum::<f64>() / count;
    let line = place.metrics("run").pop().unwrap();
    assert_eq!(line["split"], "test");
    for (key, expected) in [
        ("squared_error", squared_error),
        ("kl", kl),
        ("loss", squared_error + 0.25 * kl),
    ] {
        let off = (line[key].as_f64().unwrap() / expected - 1.0).abs();
        assert!(off < 1e-5, "{key}: {line}, expected {expected}");
    }
}

#[test]
fn a_target_of_another_size_is_refused() {
    let [input, target] =
        [(2, 3), (2, 4)].map(|shape| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap());
    for backend in [Backend::Fused, Backend::Candle] {
        for criterion in [Criterion::SquaredError, Criterion::CrossEntropy] {
            let sequence = identity(3, &Device::Cpu);
            let errors = sequence.errors(&input, &target, criterion, Mode::Inference, backend);
            assert!(errors.is_err(), "{backend:?}");
        }
    }
}

#[test]
fn epsilon_of_another_size_is_refused() {
    let [parameters, epsilon] =
        [(2, 6), (1, 3)].map(|shape| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap());
    for backend in [Backend::Fused, Backend::Candle] {
        let posterior = Posterior::new(parameters.clone()).unwrap();
        assert!(posterior.sample(&epsilon, backend).is_err(), "{backend:?}");
    }
}

#[test]
fn posterior_samples_pass_gradients_to_mean_and_log_variance() {
    check_posterior_samples(Backend::Fused, &Device::Cpu);
    check_posterior_samples(Backend::Candle, &Device::Cpu);
}

fn check_posterior_samples(backend: Backend, device: &Device) {
    let fixtures = Fixtures::load(device);
    let get = |name: &str| fixtures.get("loss", name);
    let (mean, log_variance) = (
        fixtures.var("loss", "mean"),
        fixtures.var("loss", "log_variance"),
    );
    let z = posterior(&mean, &log_variance)
        .sample(&get("epsilon"), backend)
        .unwrap();
    assert_close(&z, &get("z"), VALUES, "z");
    let scalar = (z * get("grad_z")).unwrap().sum_all().unwrap();
    let gradients = scalar.backward().unwrap();
    let found = gradients.get(&mean).unwrap();
    assert_close(found, &get("z_grad_mean"), GRADIENTS, "mean");
    let found = gradients.get(&log_variance).unwrap();
    let expected = get("z_grad_log_variance");
    assert_close(found, &expected, GRADIENTS, "log variance");
}

#[test]
fn adam_moves_as_pytorchs_does() {
    check_adam(Backend::Fused, &Device::Cpu);
    check_adam(Backend::Candle, &Device::Cpu);
}

fn check_adam(backend: Backend, device: &Device) {
    let config = AdamConfig {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        max_gradient_norm: None,
    };
    check_optimiser("adam", config, backend, device);
    let with_decay = AdamConfig {
        weight_decay: 0.1,
        max_gradient_norm: Some(2.0),
        ..config
    };
    check_optimiser("adamw", with_decay, backend, device);
}

fn check_optimiser(name: &str, config: AdamConfig, backend: Backend, device: &Device) {
    let fixtures = Fixtures::load(device);
    let weight = fixtures.var(name, "weight0");
    let adam = Adam::new(config, vec![weight.clone()], backend).unwrap();
    for step in 1..=4 {
        let gradient = fixtures.get(name, &format!("grad{step}"));
        let scalar = (weight.as_tensor() * gradient).unwrap().sum_all().unwrap();
        let gradients = Gradients::new(scalar.backward().unwrap());
        adam.step(&gradients, 3e-3, step).unwrap();
        let expected = fixtures.get(name, &format!("weight{step}"));
        let what = format!("{name}, step {step}");
        assert_close(weight.as_tensor(), &expected, VALUES, &what);
    }
}

#[test]
fn an_average_is_the_sum_of_what_it_saw() {
    let values = |factor: f32| -> Vec<f32> { (0..20_000).map(|i| factor * i as f32).collect() };
    for backend in [Backend::Fused, Backend::Candle] {
        let var = |factor| Var::from_vec(values(factor), (200, 100), &Device::Cpu).unwrap();
        let (average, parameter) = (var(1.0), var(3.0));
        let pairs = vec![(average.clone(), parameter.clone())];
        move_averages(&pairs, decay_at(0.9, 1), backend).unwrap();
        move_averages(&pairs, 0.9, backend).unwrap();
        let first = 3.0 - 2.0 * decay_at(0.9, 1);
        let expected =
            Tensor::from_vec(values((0.9 * first + 0.3) as f32), (200, 100), &Device::Cpu);
        assert_close(average.as_tensor(), &expected.unwrap(), VALUES, "average");
        assert_eq!(flat(parameter.as_tensor()), values(3.0));
    }
}

/// The weights of the tiny models: a formula, so that they need not be kept.
fn formula_weights(case: &Value) -> HashMap<String, Tensor> {
    let names = case["names"].as_array().unwrap().iter().enumerate();
    let weights = names.map(|(p, entry)| {
        let shape: Vec<usize> = serde_json::from_value(entry[1].clone()).unwrap();
        let value = |i: usize| {
            let remainder = ((i * 7919 + (p + 1) * 104_729) % 1009) as f64;
            (remainder / 1009.0 - 0.5) as f32
        };
        let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        (entry[0].as_str().unwrap().to_string(), tensor)
    });
    weights.collect()
}

/// What the reference values were computed without.
fn without_dropout(mut config: Config) -> Config {
    for layer in config.encoder.iter_mut().chain(&mut config.decoder) {
        match layer {
            LayerConfig::Conv(conv) | LayerConfig::ConvTranspose(conv) => conv.dropout = 0.0,
            LayerConfig::Dense(dense) => dense.dropout = 0.0,
            LayerConfig::Reshape(_) => {}
        }
    }
    config
}

#[test]
fn fused_models_match_pytorch() {
    check_models(Backend::Fused, &Device::Cpu);
}

#[test]
fn candle_models_match_pytorch() {
    check_models(Backend::Candle, &Device::Cpu);
}

/// An importance weight of each image, from PyTorch's squared errors, means and log variances.
fn check_log_weights(fixtures: &Fixtures, name: &str, vae: &Vae) {
    let values = |of: &str| fixtures.get(name, of).to_vec2::<f32>().unwrap();
    let (epsilon, mean, log_variance) = (values("epsilon"), values("mean"), values("log_variance"));
    let errors = flat(&fixtures.get(name, "squared_error"));
    let images = fixtures.get(name, "x");
    let posterior = vae.encode(&images, &[], Mode::Inference).unwrap();
    let found = log_weights(
        vae,
        &Examples::new(images, Vec::new()),
        &posterior,
        &epsilon.concat(),
        1,
    )
    .unwrap();
    for (image, found) in found.iter().enumerate() {
        let mut expected = -f64::from(errors[image]);
        for (dimension, &epsilon) in epsilon[image].iter().enumerate() {
            let [epsilon, mean, log_variance] = [
                epsilon,
                mean[image][dimension],
                log_variance[image][dimension],
            ]
            .map(f64::from);
            let z = mean + (0.5 * log_variance).exp() * epsilon;
            // log p(z) - log q(z | x)
            expected += 0.5 * (epsilon * epsilon - z * z + log_variance);
        }
        assert!(
            (found - expected).abs() < 1e-3,
            "{name}: {found} {expected}"
        );
    }
}

fn check_models(backend: Backend, device: &Device) {
    let fixtures = Fixtures::load(device);
    let cases = fixtures.of_kind(&["model"]);
    assert_eq!(cases.len(), 2);
    for (name, case) in cases {
        let config = Config::parse(&case["config"].to_string(), name).unwrap();
        let config = without_dropout(config);
        let vae = Vae::with_weights(&config, device, formula_weights(case)).unwrap();
        let vae = vae.with_backend(backend);
        let (x, epsilon) = (fixtures.get(name, "x"), fixtures.get(name, "epsilon"));

        let posterior = vae.encode(&x, &[], Mode::Inference).unwrap();
        let close = |found: &Tensor, of: &str| {
            assert_close(
                found,
                &fixtures.get(name, of),
                VALUES,
                &format!("{name}: {of}"),
            );
        };
        close(&posterior.mean().unwrap(), "mean");
        close(&posterior.log_variance().unwrap(), "log_variance");
        let latent = posterior.sample(&epsilon, backend).unwrap();
        close(
            &vae.decode(&latent, &[], Mode::Inference).unwrap(),
            "output",
        );
        // The means are a view of what the encoder says, with the log variances between them.
        let [of_view, of_copy] = [posterior.mean(), posterior.mean().unwrap().contiguous()]
            .map(|mean| vae.decode(&mean.unwrap(), &[], Mode::Inference).unwrap());
        assert_close(&of_view, &of_copy, VALUES, name);
        let training = Mode::Training { seed: 1, step: 1 };
        let examples = Examples::new(x.clone(), Vec::new());
        let terms = vae.terms(&examples, &epsilon, training).unwrap();
        close(&terms.squared_error, "squared_error");
        close(&terms.kl, "kl");

        check_log_weights(&fixtures, name, &vae);

        let total = (terms.squared_error + terms.kl).unwrap();
        let gradients = vae.gradients(&total.mean_all().unwrap()).unwrap();
        check_gradients(&fixtures, name, &vae, &gradients);
    }
}

/// The gradients of a model's parameters, or their length where they are many.
fn check_gradients(fixtures: &Fixtures, name: &str, vae: &Vae, gradients: &Gradients) {
    for (parameter, var) in vae.parameters() {
        let gradient = &gradients.get(var).unwrap().expect(parameter);
        let what = format!("{name}: {parameter}");
        match fixtures.tensors.get(&format!("{name}.grad.{parameter}")) {
            Some(expected) => assert_close(gradient, expected, GRADIENTS, &what),
            None => {
                let stats = flat(&fixtures.get(name, &format!("grad_stats.{parameter}")));
                let values = flat(gradient).into_iter().map(f64::from);
                let norm = values.map(|g| g * g).sum::<f64>().sqrt() as f32;
                assert!((norm / stats[1] - 1.0).abs() < GRADIENTS, "{what}");
            }
        }
    }
}

#[test]
fn fused_objectives_match_pytorch() {
    check_objectives(Backend::Fused, &Device::Cpu);
}

#[test]
fn candle_objectives_match_pytorch() {
    check_objectives(Backend::Candle, &Device::Cpu);
}

/// The importance-weighted bound as an evaluation has it, made negative: the mean over images.
fn bound(vae: &Vae, examples: &Examples, epsilon: &[f32], samples: usize) -> f64 {
    let encoded = vae.encode(&examples.seen, &examples.labels, Mode::Inference);
    let posterior = encoded.unwrap();
    let logs = log_weights(vae, examples, &posterior, epsilon, samples).unwrap();
    let bounds = logs.chunks_exact(samples).map(|logs| {
        let weights = logs.iter().map(|log| (log - logs[0]).exp());
        logs[0] + (weights.sum::<f64>() / samples as f64).ln()
    });
    -bounds.sum::<f64>() / (logs.len() / samples) as f64
}

/// Likelihoods, importance weights and free bits.
fn check_objectives(backend: Backend, device: &Device) {
    let fixtures = Fixtures::load(device);
    let cases = fixtures.of_kind(&["objective"]);
    assert_eq!(cases.len(), 8);
    for (name, case) in cases {
        let config = Config::parse(&case["config"].to_string(), name).unwrap();
        let vae = Vae::with_weights(&config, device, formula_weights(case)).unwrap();
        let vae = vae.with_backend(backend);
        let (x, epsilon) = (fixtures.get(name, "x"), fixtures.get(name, "epsilon"));
        let training = Mode::Training { seed: 1, step: 1 };
        let labels: &[u8] = if config.conditional { &[2, 0, 3] } else { &[] };
        let examples = Examples::new(x.clone(), labels.to_vec());
        let terms = vae.terms(&examples, &epsilon, training).unwrap();
        let found = Objective::of(&terms, &epsilon, &config, config.beta).unwrap();
        let expected = f64::from(fixtures.get(name, "loss").to_scalar::<f32>().unwrap());
        let loss = f64::from(found.loss.to_scalar::<f32>().unwrap());
        for found in [found.losses.loss, loss] {
            let off = (found / expected - 1.0).abs();
            assert!(off < f64::from(VALUES), "{name}: {found}, not {expected}");
        }
        check_gradients(&fixtures, name, &vae, &vae.gradients(&found.loss).unwrap());
        if config.train_importance_samples > 1 && config.beta == 1.0 {
            let bound = bound(
                &vae,
                &examples,
                &flat(&epsilon),
                config.train_importance_samples,
            );
            assert!(
                (bound - expected).abs() < 1e-3,
                "{name}: {bound}, not {expected}"
            );
        }
    }
}

/// Every kind of stage, with dropout after each layer but the heads.
const STAGES: &str = r#"[
    {"conv": {"channels": 3, "kernel": 4, "stride": 2, "padding": 1, "activation": {"leaky_relu": 0.3},
              "dropout": 0.2}},
    {"conv": {"channels": 16, "kernel": 3, "padding": 1, "activation": "gelu", "dropout": 0.2}},
    {"conv": {"channels": 16, "kernel": 3, "padding": 1, "activation": "gelu", "dropout": 0.2}},
    {"dense": {"features": 40, "activation": "sigmoid", "dropout": 0.5}},
    {"dense": {"features": 40, "activation": "tanh", "dropout": 0.2}},
    {"dense": {"features": 40, "activation": "silu", "dropout": 0.2}},
    {"dense": {"features": 36, "activation": "elu", "dropout": 0.2}},
    {"reshape": [4, 3, 3]},
    {"conv_transpose": {"channels": 2, "kernel": 3, "stride": 2, "padding": "same",
                        "activation": "relu", "dropout": 0.3}}]"#;

/// Convolutions with so many weights that they work on all images at once.
const LARGE_STAGES: &str = r#"[
    {"conv": {"channels": 48, "kernel": 4, "stride": 2, "padding": 1, "activation": "elu"}},
    {"conv": {"channels": 64, "kernel": 4, "stride": 2, "padding": 1, "activation": "gelu", "dropout": 0.2}},
    {"dense": {"features": 576, "activation": "elu"}},
    {"reshape": [64, 3, 3]},
    {"conv_transpose": {"channels": 48, "kernel": 4, "stride": 2, "padding": 1,
                        "activation": {"leaky_relu": 0.3}, "dropout": 0.3}}]"#;

/// Dense layers that read and write grids, are the first and the last, and one of which has too many weights to be prepared.
const DENSE_STAGES: &str = r#"[
    {"dense": {"features": 45, "activation": "tanh"}},
    {"dense": {"features": 128, "activation": "relu", "dropout": 0.5}},
    {"reshape": [8, 4, 4]},
    {"conv_transpose": {"channels": 24, "kernel": 4, "stride": 2, "padding": 1, "activation": "silu"}},
    {"dense": {"features": 1600, "activation": "sigmoid"}},
    {"reshape": [16, 10, 10]},
    {"dense": {"features": 90}},
    {"reshape": [10, 3, 3]}]"#;

fn sequence(stages: &str) -> Sequential {
    let config = format!(r#"{{"encoder": {stages}}}"#);
    let config = Config::parse(&config, "test").unwrap();
    let plan = Architecture::plan(&config).unwrap();
    let mut number = 0;
    let mut parameter = |shape: &[usize]| {
        number += 1;
        let len = shape.iter().product();
        let values = vae::rng::normal(number, vae::rng::Purpose::Weights, 0, len);
        let values: Vec<f32> = values.into_iter().map(|v| v * 0.2).collect();
        Parameter::new(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
    };
    let mut layer = |plan: &LayerPlan| {
        Ok::<_, ()>(Layer {
            weight: parameter(&plan.map.weight_shape()),
            bias: parameter(&[plan.map.bias_len()]),
            plan: plan.clone(),
        })
    };
    let stages = plan.encoder.iter();
    let stages = stages.map(|stage| stage.try_map(&mut layer).unwrap());
    Sequential::new(stages.collect(), 1)
}

#[test]
fn a_sequence_with_dropout_matches_candles_own_operations() {
    check_sequence(&sequence(STAGES));
}

#[test]
fn convolutions_with_large_weights_match_candles_own_operations() {
    check_sequence(&sequence(LARGE_STAGES));
}

#[test]
fn dense_layers_between_grids_match_candles_own_operations() {
    check_sequence(&sequence(DENSE_STAGES));
}

#[test]
fn what_stays_prepared_infers_the_same_until_it_is_dropped() {
    let images = normal(9, Purpose::Prior, 0, 5 * 784);
    let images = Tensor::from_vec(images, (5, 784), &Device::Cpu).unwrap();
    for stages in [STAGES, LARGE_STAGES, DENSE_STAGES] {
        let sequence = sequence(stages);
        let infer = || {
            flat(
                &sequence
                    .forward(&images, Mode::Inference, Backend::Fused)
                    .unwrap(),
            )
        };
        let before = infer();
        let kept = sequence.keep_prepared().unwrap();
        assert_eq!(infer(), before);
        for layer in sequence.layers() {
            let weight = &layer.weight.value;
            weight.set(&(weight.as_tensor() * 0.5).unwrap()).unwrap();
        }
        let training = Mode::Training { seed: 3, step: 7 };
        let trained = |backend| flat(&sequence.forward(&images, training, backend).unwrap());
        let [fused, candle] = [Backend::Fused, Backend::Candle].map(trained);
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-3 * (1.0 + b.abs());
        assert!(
            fused.iter().zip(&candle).all(near),
            "training takes the weights as they are"
        );
        let with_old_convolutions = infer();
        drop(kept);
        assert_ne!(infer(), with_old_convolutions);
    }
}

fn check_sequence(sequence: &Sequential) {
    let images = vae::rng::normal(9, vae::rng::Purpose::Prior, 0, 5 * 784);
    let images = Var::from_vec(images, (5, 784), &Device::Cpu).unwrap();
    let mode = Mode::Training { seed: 3, step: 7 };
    let run = |output: Tensor, fused: bool| {
        let flat = output.flatten_all().unwrap();
        let ramp = Tensor::arange(0u32, flat.elem_count() as u32, &Device::Cpu).unwrap();
        let cotangent = (ramp.to_dtype(candle_core::DType::F32).unwrap() * 0.3).unwrap();
        let scalar = (&flat * cotangent.sin().unwrap())
            .unwrap()
            .sum_all()
            .unwrap();
        let mut gradients = Gradients::new(scalar.backward().unwrap());
        if fused {
            sequence.collect_gradients(&mut gradients);
        }
        (flat, gradients)
    };
    let (fused, fused_gradients) = run(
        sequence.forward(&images, mode, Backend::Fused).unwrap(),
        true,
    );
    let output = sequence.forward(&images, mode, Backend::Candle).unwrap();
    let (candle, candle_gradients) = run(output, false);
    let whole = sequence.forward(&images, Mode::Inference, Backend::Fused);
    let whole = flat(&whole.unwrap().flatten_all().unwrap());
    let dropped = flat(&fused)
        .iter()
        .zip(&whole)
        .any(|(a, b)| (a - b).abs() > 0.1);
    assert!(dropped, "dropout changes nothing");
    let expected = sequence.forward(&images, Mode::Inference, Backend::Candle);
    let expected = expected.unwrap().flatten_all().unwrap();
    let whole = Tensor::new(whole, &Device::Cpu).unwrap();
    assert_close(&whole, &expected, VALUES, "output without dropout");
    assert_close(&fused, &candle, VALUES, "output");
    let layers = sequence
        .layers()
        .flat_map(|l| [&l.weight.value, &l.bias.value]);
    for (number, var) in layers.chain([&images]).enumerate() {
        let found = &fused_gradients.get(var).unwrap().unwrap();
        let expected = &candle_gradients.get(var).unwrap().unwrap();
        assert_close(found, expected, GRADIENTS, &format!("gradient {number}"));
    }
}

/// A few images of strokes, so that losses are those of digits and not of noise.
fn few_images(count: usize) -> Dataset {
    let shape = ImageShape::MNIST;
    let stroke = |i: usize| {
        let ImageShape { height, width, .. } = shape;
        let (image, row, column) = (i / shape.values(), i / width % height, i % width);
        let center = 8 + (image * 5 + row) % 12;
        if (6..22).contains(&row) && column.abs_diff(center) < 2 {
            230
        } else {
            0
        }
    };
    let split = Split {
        pixels: (0..count * shape.values()).map(stroke).collect(),
        labels: vec![0; count],
        shape,
    };
    Dataset {
        train: split.clone(),
        test: split,
        name: "strokes".into(),
    }
}

/// What trains on a GPU trains here too, from the same weights and the same random numbers.
#[test]
fn candle_training_finds_the_losses_of_fused_training() {
    check_training(Backend::Candle, &Device::Cpu);
}

#[test]
fn a_gpu_has_all_the_same_numbers() {
    let Ok(gpu) = Device::new_cuda(0).or_else(|_| Device::new_metal(0)) else {
        return common::skip("there is no GPU that this build supports");
    };
    for check in [
        check_layers,
        check_losses,
        check_posterior_samples,
        check_adam,
        check_models,
        check_objectives,
        check_training,
    ] {
        check(Backend::of(&gpu), &gpu);
    }
}

/// Compares the losses of a training with those of the fused operations on the CPU.
fn check_training(backend: Backend, device: &Device) {
    let dataset = few_images(32);
    let read = |name| {
        let path = format!("{}/configs/{name}.json", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let dense = r#"{"encoder": [{"dense": {"features": 30, "activation": "relu"}}],
                    "decoder": [{"dense": {"features": 784, "activation": "sigmoid"}}]}"#;
    let kinked = r#"{"leaky_relu": 0.1}"#;
    for (name, text) in [
        // With its own seed a value comes so near to a kink that rounding decides on which side it is, and gradients are
        // others: 3e-4 of the KL. Without kinks all is closer, with that seed, too.
        ("mnist", read("mnist").replace("\"seed\": 42", "\"seed\": 43")),
        ("mnist without kinks", read("mnist").replace(kinked, "\"elu\"")),
        ("article", read("article")),
        ("dense", dense.into()),
        (
            "importance-weighted",
            r#"{"likelihood": "bernoulli", "binarize": "dynamic", "train_importance_samples": 3, "conditional": true,
                "weight_decay": 0.1, "max_gradient_norm": 10.0, "ema_decay": 0.9,
                "beta_schedule": {"linear": 3}}"#
                .into(),
        ),
        (
            "gaussian",
            r#"{"likelihood": "gaussian", "free_bits": 0.5, "beta_schedule": {"cyclic": 2}}"#
                .into(),
        ),
    ] {
        let config = Config {
            batch_size: 8,
            ..Config::parse(&text, name).unwrap()
        };
        let losses = |backend: Backend, device: &Device| {
            let vae = Vae::new(&config, device).unwrap();
            let mut trainer = Trainer::new(&config, &dataset, vae.with_backend(backend)).unwrap();
            let mut losses: Vec<_> = (0..4).map(|_| trainer.step().unwrap().losses).collect();
            losses.push(trainer.evaluate().unwrap());
            losses
        };
        let expected = losses(Backend::Fused, &Device::Cpu);
        for (found, expected) in losses(backend, device).iter().zip(expected) {
            for (found, expected) in [
                (found.loss, expected.loss),
                (found.reconstruction, expected.reconstruction),
                (found.squared_error, expected.squared_error),
                (found.kl, expected.kl),
            ] {
                let off = (found - expected).abs() / expected.abs();
                assert!(off < 1e-4, "{name}: {found} and {expected} differ by {off}");
            }
        }
    }
}

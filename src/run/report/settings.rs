//! A configuration for a reader: in words, beside the default, and as the command that repeats the run.

use crate::config::{Config, LayerConfig};
use crate::data::published::MNIST;
use crate::data::{Reading, Source};
use crate::kernels::activation::Activation;
use crate::{Error, Result, files};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::Path;

/// The keys that a flag of `vae train` sets to just their value.
const FLAGS: [&str; 10] = [
    "data",
    "steps",
    "batch_size",
    "learning_rate",
    "latent_dim",
    "beta",
    "seed",
    "image_every",
    "save_every",
    "eval_every",
];

/// A key of a configuration, in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Setting {
    pub key: String,
    pub value: String,
    /// The default, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// All keys, those first that differ from the default. What the data decide by themselves is no difference.
pub(super) fn settings(config: &Config) -> Result<Vec<Setting>> {
    let default = scaled(Config {
        image: config.image,
        labels: config.labels.clone(),
        fit: config.fit.filter(|fit| *fit == Reading::default().fit),
        test_share: config
            .test_share
            .filter(|share| *share == Reading::default().test_share),
        ..default_for(config)
    });
    let [mut own, mut usual] = [words(config)?, words(&default)?];
    own.retain(|(key, _)| key != "provenance");
    let settings = own.into_iter().map(|(key, value)| {
        let place = usual.iter().position(|(other, _)| *other == key);
        let usual = place.map(|place| usual.swap_remove(place).1);
        let default = usual.unwrap_or_else(|| "none".into());
        Setting {
            default: (default != value).then_some(default),
            key,
            value,
        }
    });
    let mut settings: Vec<_> = settings.collect();
    settings.sort_by_key(|setting| setting.default.is_none());
    Ok(settings)
}

/// What a run is called that has no other name: its data, and what differs from the default in few words.
pub(super) fn title(config: &Config, settings: &[Setting]) -> String {
    let differ = settings.iter().filter(|setting| setting.default.is_some());
    let shown = differ.filter(|Setting { key, value, .. }| {
        !key.ends_with("_every") && key != "data" && value.len() < 24
    });
    let shown = shown.map(|Setting { key, value, .. }| format!(", {key} {value}"));
    format!("{}{}", dataset(config), shown.collect::<String>())
}

/// What the data of a run are called, in few words.
pub(super) fn dataset(config: &Config) -> &str {
    let provenance = config.provenance.as_ref();
    let name = provenance.and_then(|provenance| provenance.dataset.split(", ").next());
    name.unwrap_or("unknown data")
}

/// The command that makes a run again, to be pasted into a shell.
///
/// # Errors
///
/// If the configuration cannot be written as JSON.
pub(super) fn command(config: &Config) -> Result<String> {
    let default = scaled(default_for(&Config {
        data: Source::Auto,
        ..config.clone()
    }));
    // What no rate means is decided by the images, which are told besides.
    let unasked = Config {
        learning_rate: None,
        ..config.clone()
    };
    let default = keys(&Config {
        learning_rate: Some(unasked.highest_learning_rate()),
        ..default
    })?;
    let mut own = keys(config)?;
    own.remove("provenance");
    own.retain(|key, value| default.get(key) != Some(value));
    // A path that is no text cannot be pasted as a flag, but as it is written in a configuration.
    let is_flag =
        |(key, value): (&String, &Value)| FLAGS.contains(&key.as_str()) && !value.is_object();
    if own.iter().all(is_flag) {
        let flags = own.iter().map(|(key, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            let flag = key.replace('_', "-");
            format!(" --{flag} {}", files::quoted(Path::new(&value)))
        });
        return Ok(format!("vae train{}", flags.collect::<String>()));
    }
    // On one line of JSON no value can end what the shell hands over.
    let file = serde_json::to_string(&own).map_err(|error| Error::failed("config", error))?;
    Ok(format!("vae train --config - <<'END'\n{file}\nEND"))
}

/// The default, for the data of a configuration: MNIST is what it takes by itself.
fn default_for(config: &Config) -> Config {
    let default = Config::default();
    Config {
        data: match config.data {
            Source::Published(set) if *set == MNIST => config.data.clone(),
            _ => default.data,
        },
        ..default
    }
}

/// With what is made for its images.
fn scaled(mut config: Config) -> Config {
    config.scale_to_images();
    config
}

/// A configuration as JSON, with numbers as they are written.
fn keys(config: &Config) -> Result<Map<String, Value>> {
    let text = serde_json::to_string(config).and_then(|text| serde_json::from_str(&text));
    text.map_err(|error| Error::failed("config", error))
}

/// The keys of a configuration, each with its value in words.
fn words(config: &Config) -> Result<Vec<(String, String)>> {
    let keys = keys(config)?.into_iter();
    let words = keys.map(|(key, value)| {
        let words = match key.as_str() {
            "encoder" => layers(&config.encoder),
            "decoder" => layers(&config.decoder),
            _ => value_in_words(&value),
        };
        (key, words)
    });
    Ok(words.collect())
}

fn value_in_words(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (None, Some(value)) if value != 0.0 && value.abs() < 1e-4 => format!("{value:e}"),
            // As a person writes it: 9, not 9.0.
            (None, Some(value)) => value.to_string(),
            _ => number.to_string(),
        },
        Value::Array(values) if values.is_empty() => "none".into(),
        Value::Array(values) => joined(values.iter().map(value_in_words)),
        Value::Object(keys) => joined(
            keys.iter()
                .map(|(key, value)| format!("{key} {}", value_in_words(value))),
        ),
    }
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// Layers, a line each.
fn layers(layers: &[LayerConfig]) -> String {
    let lines = layers.iter().map(|layer| match layer {
        LayerConfig::Conv(conv) | LayerConfig::ConvTranspose(conv) => {
            let name = match layer {
                LayerConfig::Conv(_) => "conv",
                _ => "conv_transpose",
            };
            let padding = serde_json::to_value(conv.padding).unwrap_or_default();
            format!(
                "{name} {}, kernel {}, stride {}, padding {}{}{}",
                conv.channels,
                conv.kernel,
                conv.stride,
                value_in_words(&padding),
                activation(conv.activation),
                dropout(conv.dropout)
            )
        }
        LayerConfig::Dense(dense) => format!(
            "dense {}{}{}",
            dense.features,
            activation(dense.activation),
            dropout(dense.dropout)
        ),
        LayerConfig::Reshape([channels, rows, columns]) => {
            format!("reshape {channels} x {rows} x {columns}")
        }
    });
    match layers.is_empty() {
        true => "none".into(),
        false => lines.collect::<Vec<_>>().join("\n"),
    }
}

fn activation(activation: Activation) -> String {
    match activation {
        Activation::None => String::new(),
        Activation::LeakyRelu(slope) => format!(", leaky_relu {slope}"),
        other => {
            let name = serde_json::to_value(other).unwrap_or_default();
            format!(", {}", value_in_words(&name))
        }
    }
}

fn dropout(probability: f32) -> String {
    match probability {
        0.0 => String::new(),
        probability => format!(", dropout {probability}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Likelihood;

    #[test]
    fn what_differs_from_the_default_comes_first_with_it() {
        let config = Config {
            data: Source::Published(&MNIST),
            beta: 4.0,
            likelihood: Likelihood::Bernoulli,
            adam_epsilon: 1e-7,
            ..scaled(Config::default())
        };
        let settings = settings(&config).expect("settings");
        let differ = settings.iter().take_while(|one| one.default.is_some());
        let differ: Vec<_> = differ
            .map(|one| (&*one.key, &*one.value, one.default.as_deref()))
            .collect();
        assert_eq!(
            differ,
            [
                ("adam_epsilon", "1e-7", Some("1e-8")),
                ("beta", "4", Some("1")),
                ("likelihood", "bernoulli", Some("squared_error")),
            ]
        );
        let rest = &settings[differ.len()..];
        assert!(rest.iter().all(|one| one.default.is_none()));
        assert_eq!(
            title(&config, &settings),
            "unknown data, adam_epsilon 1e-7, beta 4, likelihood bernoulli"
        );
    }

    #[test]
    fn a_run_is_repeated_by_flags_where_these_suffice() {
        let mut config = Config {
            data: Source::Folder("my data".into()),
            beta: 4.0,
            ..scaled(Config::default())
        };
        let flags = "vae train --beta 4.0 --data 'my data'";
        assert_eq!(command(&config).expect("a command"), flags);
        config.free_bits = 0.5;
        assert_eq!(
            command(&config).expect("a command"),
            "vae train --config - <<'END'\n{\"beta\":4.0,\"data\":\"my data\",\"free_bits\":0.5}\nEND"
        );
    }
}

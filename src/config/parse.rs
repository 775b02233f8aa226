//! Config files: JSON that holds only what it changes.

use super::hyperparameters::Config;
use crate::{Error, Result, files};
use std::path::Path;

impl Config {
    /// Reads a config file. What it does not mention has its default.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no JSON, or has an unknown key (which is named, with the nearest
    /// known one).
    pub fn read(path: &Path) -> Result<Self> {
        // No config is larger; this keeps a wrong file, or a device, from filling the memory.
        let text = files::read_text(path, 1 << 20)?;
        // What some editors begin a file with.
        let text = text.trim_start_matches('\u{feff}');
        Self::parse(text, &path.display().to_string())
    }

    /// Parses the text of a config; `name` says in errors where it came from.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        const HINT: &str = "compare it with `configs/mnist.json`";
        // Else serde would take a list for the values without their names.
        if text.trim_start().starts_with('[') {
            let why = "invalid: it is a list, not names with values";
            return Err(Error::input(name, why).hint(HINT));
        }
        serde_json::from_str(text).map_err(|error| {
            let text = error.to_string();
            let error = Error::input(name, &text);
            match nearest_name(&text) {
                Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
                None => error.hint(HINT),
            }
        })
    }
}

/// The known name that is nearest to the unknown one, from an error of serde's: it quotes the
/// unknown name first and then the known ones, at any depth of the file.
fn nearest_name(message: &str) -> Option<&str> {
    if !message.starts_with("unknown") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let distance = |name: &&str| strsim::damerau_levenshtein(unknown, name);
    // Farther away it is another word, not a mistyped one.
    let mistyped = unknown.chars().count().div_ceil(3);
    names
        .min_by_key(distance)
        .filter(|name| distance(name) <= mistyped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::hyperparameters::DEFAULT_JSON;

    #[test]
    fn the_default_equals_the_file() {
        let file = Config::parse(DEFAULT_JSON, "configs/mnist.json").expect("a config");
        assert_eq!(file, Config::default());
        let text = serde_json::to_string(&file).expect("json");
        assert_eq!(Config::parse(&text, "again").expect("a config"), file);
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_known_one() {
        let cases = [
            (r#"{"learning_rat": 1}"#, "learning_rat", "learning_rate"),
            (r#"{"encoder": [{"cnov": {}}]}"#, "cnov", "conv"),
            (
                r#"{"encoder": [{"dense": {"fetures": 3}}]}"#,
                "fetures",
                "features",
            ),
        ];
        for (text, unknown, nearest) in cases {
            let error = Config::parse(text, "my.json").expect_err("a typo");
            assert!(error.why.contains(unknown), "{error}");
            assert!(error.hint.expect("a hint").contains(nearest));
        }
    }
    #[test]
    fn an_unknown_name_that_is_no_typo_is_answered_with_what_there_is() {
        let text = r#"{"encoder": [{"dense": {"features": 3, "activation": "swish"}}]}"#;
        let error = Config::parse(text, "my.json").expect_err("no such activation");
        for name in [
            "`none`",
            "`relu`",
            "`leaky_relu`",
            "`sigmoid`",
            "`tanh`",
            "`elu`",
            "`silu`",
            "`gelu`",
        ] {
            assert!(error.why.contains(name), "{error}");
        }
        let hint = error.hint.expect("a hint");
        assert!(!hint.contains("did you mean"), "{hint}");
    }
}

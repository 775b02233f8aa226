//! Latent vectors in lines of text with named columns.

use super::encoded::{LABEL, LATENT, Latents, MEAN, Wanted};
use std::collections::HashMap;

/// No line has more columns.
const MOST_COLUMNS: usize = 100_000;
/// What is quoted of a file in an error, at most.
const MOST_QUOTED: usize = 40;

/// Takes latent vectors out of rows, of whose columns it knows the names.
pub(super) struct Rows {
    /// The names of the columns of latent vectors, and which those are.
    columns: Vec<(String, usize)>,
    label: Option<usize>,
    most: usize,
    values: Vec<f32>,
    labels: Vec<u8>,
}

impl Rows {
    /// Looks for `latent0`, `latent1` and so on among names; else for `mean0` and so on; else for `0` and so on. Without
    /// them a table has other columns, or they are not set apart by commas.
    pub fn with_columns<'a>(
        names: impl Iterator<Item = &'a str>,
        wanted: Wanted,
    ) -> Result<Self, String> {
        let mut label = None;
        let mut found: [HashMap<usize, usize>; 3] = Default::default();
        for (place, name) in names.enumerate() {
            if place == MOST_COLUMNS {
                return Err(format!("it has more than {MOST_COLUMNS} columns"));
            }
            if name == LABEL && wanted.labels {
                label = Some(place);
            }
            let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
            let dimension = name[stem.len()..].parse();
            let known = [LATENT, MEAN, ""].iter().position(|&known| known == stem);
            if let (Some(known), Ok(dimension)) = (known, dimension)
                && found[known].insert(dimension, place).is_some()
            {
                return Err(format!("there are two columns {name}"));
            }
        }
        let stems = [LATENT, MEAN, ""].into_iter().zip(found);
        let found = stems.into_iter().find(|(_, places)| !places.is_empty());
        let (stem, places) = found.ok_or(
            "there are no columns latent0, latent1, ... or mean0, mean1, ..., set apart by commas",
        )?;
        let column = |dimension| {
            let name = format!("{stem}{dimension}");
            let missing = format!("there is no column {name}");
            Ok((name, *places.get(&dimension).ok_or(missing)?))
        };
        let columns = (0..places.len())
            .map(column)
            .collect::<Result<_, String>>()?;
        Ok(Self {
            columns,
            label,
            most: wanted.most,
            values: Vec::new(),
            labels: Vec::new(),
        })
    }

    /// Takes in a row; `field` is what there is in a column.
    pub fn push<'a>(&mut self, line: u64, field: impl Fn(usize) -> &'a str) -> Result<(), String> {
        for (name, place) in &self.columns {
            let text = field(*place);
            let bad = |why| format!("line {line}, {name}: `{}` is no number{why}", quoted(text));
            let value: f32 = text.parse().map_err(|_| bad(""))?;
            if !value.is_finite() {
                return Err(bad(" that is finite"));
            }
            self.values.push(value);
        }
        if let Some(place) = self.label {
            let text = field(place);
            let label = text.parse().ok().and_then(label);
            let bad = || {
                format!(
                    "line {line}, {LABEL}: `{}` is no label from 0 to 255",
                    quoted(text)
                )
            };
            self.labels.push(label.ok_or_else(bad)?);
        }
        match self.values.len() > self.most.saturating_mul(self.columns.len()) {
            true => Err(format!("it holds more than {} vectors", self.most)),
            false => Ok(()),
        }
    }

    /// What was taken in.
    pub fn latents(self) -> Result<Latents, String> {
        if self.values.is_empty() {
            return Err("there are no latent vectors in it".into());
        }
        Ok(Latents {
            latent_dim: self.columns.len(),
            values: self.values,
            labels: self.label.map(|_| self.labels),
        })
    }
}

/// A number as a label.
pub(super) fn label(value: f32) -> Option<u8> {
    let label = value as u8;
    (f32::from(label) == value).then_some(label)
}

/// The beginning of what a stranger's file holds, without what would move a terminal.
pub(super) fn quoted(text: &str) -> String {
    let beginning: String = text.chars().take(MOST_QUOTED).collect();
    let more = if beginning.len() < text.len() {
        "..."
    } else {
        ""
    };
    format!("{}{more}", beginning.escape_debug())
}

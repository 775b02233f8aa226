//! Latent vectors in lines of text with named columns.

use super::encoded::{LABEL, LATENT, Latents, MEAN};
use std::collections::HashMap;

/// Takes latent vectors out of rows, of whose columns it knows the names.
pub(super) struct Rows {
    /// The names of the columns of latent vectors, and which those are.
    columns: Vec<(String, usize)>,
    label: Option<usize>,
    values: Vec<f32>,
    labels: Vec<u8>,
}

impl Rows {
    /// Looks for `latent0`, `latent1` and so on among names; else for `mean0` and so on; else for `0` and so on.
    pub fn with_columns<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut label = None;
        let mut found: [HashMap<usize, usize>; 3] = Default::default();
        for (place, name) in names.enumerate() {
            if name == LABEL {
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
        let (stem, places) = stems
            .into_iter()
            .find(|(_, places)| !places.is_empty())
            .ok_or("there are no columns latent0, latent1, ... or mean0, mean1, ...")?;
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
            values: Vec::new(),
            labels: Vec::new(),
        })
    }

    /// Takes in a row, of at least as many fields as there are names.
    pub fn push(
        &mut self,
        line: u64,
        fields: impl Fn(usize) -> Option<String>,
    ) -> Result<(), String> {
        for (name, place) in &self.columns {
            let field = fields(*place).unwrap_or_default();
            let bad = |why| format!("line {line}, {name}: `{field}` is no number{why}");
            let value: f32 = field.parse().map_err(|_| bad(""))?;
            if !value.is_finite() {
                return Err(bad(" that is finite"));
            }
            self.values.push(value);
        }
        if let Some(place) = self.label {
            let field = fields(place).unwrap_or_default();
            let label = field.parse().ok().and_then(label);
            let bad = || format!("line {line}, {LABEL}: `{field}` is no label from 0 to 255");
            self.labels.push(label.ok_or_else(bad)?);
        }
        Ok(())
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

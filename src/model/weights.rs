//! Weights that a model is given by name.

use crate::nn::tensor::all_finite;
use crate::{Error, Result};
use candle_core::Tensor;
use std::collections::HashMap;

/// Takes a weight out of those that were read, and checks it.
pub(super) fn take(
    weights: &mut HashMap<String, Tensor>,
    name: &str,
    shape: &[usize],
) -> Result<Tensor> {
    let Some(tensor) = weights.remove(name) else {
        return Err(Error::input("the weights", format!("`{name}` is missing")));
    };
    if tensor.dims() != shape {
        let why = format!("`{name}` has shape {:?}, not {shape:?}", tensor.dims());
        return Err(Error::input("the weights", why));
    }
    if !all_finite(&tensor)? {
        let why = format!("`{name}` has values that are not finite");
        return Err(Error::input("the weights", why));
    }
    Ok(tensor)
}

/// Checks that nothing is left of the weights that were read.
pub(super) fn refuse_strangers(weights: &HashMap<String, Tensor>) -> Result<()> {
    match weights.keys().min() {
        Some(name) => {
            let why = format!("`{name}` belongs to no layer of the configuration");
            Err(Error::input("the weights", why))
        }
        None => Ok(()),
    }
}

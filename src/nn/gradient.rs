//! Gradients of parameters, as the backward pass leaves them.

use super::buffers::Buffer;
use super::matmul::{Destination, Matrix, MatrixMut, matmul};
use super::{with_scratch, with_values};
use crate::parallel::map;
use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, TensorId, Var};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The gradient of a parameter.
#[derive(Debug, Clone)]
pub enum Gradient {
    /// Its values.
    Values(Tensor),
    /// The product that gives them.
    Product(Product),
}

/// The gradient of a dense layer's weights, (outputs, inputs): a product that is not carried out yet.
///
/// Its factors are small, and it is as large as the weights: who uses it block by block, as Adam does, spares
/// it the way to memory and back.
#[derive(Debug, Clone)]
pub struct Product {
    /// (images, outputs of all layers beside each other): the gradient of what they sum up.
    pub(super) gradient: Arc<Buffer>,
    /// Which of the outputs are this layer's.
    pub(super) outputs: Range<usize>,
    /// (images, inputs)
    pub(super) input: Arc<Input>,
    pub(super) images: usize,
}

/// What a layer read.
#[derive(Debug)]
pub(super) enum Input {
    /// What the stage before wrote.
    Between(Buffer),
    /// What the chain was given.
    First(Tensor),
}

impl Input {
    fn with_values<R>(&self, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
        match self {
            Self::Between(buffer) => f(buffer),
            Self::First(tensor) => with_values(tensor, f),
        }
    }
}

impl Product {
    /// Rows and columns of the product that are computed at a time. They stay in cache, and so does what a column
    /// of blocks reads; rows are a multiple of what the product's innermost loop handles.
    pub(super) const BLOCK: [usize; 2] = [48, 512];

    /// Calls `work` with the values of these rows and columns of the product.
    pub(super) fn with_block(
        &self,
        [rows, columns]: [Range<usize>; 2],
        work: impl FnOnce(MatrixMut),
    ) -> Result<()> {
        let outputs = self.gradient.len() / self.images;
        let gradient = Matrix::new(&self.gradient, self.images, outputs);
        let gradient = gradient
            .some_columns(self.outputs.clone())
            .some_columns(rows);
        self.input.with_values(|input| {
            let inputs = input.len() / self.images;
            let input = Matrix::new(input, self.images, inputs).some_columns(columns);
            with_scratch(gradient.columns() * input.columns(), |values| {
                let mut values = MatrixMut::new(values, input.columns());
                let to = values.reborrow();
                matmul(gradient.transposed(), input, to, Destination::Overwrite);
                work(values);
            });
            Ok(())
        })
    }
}

impl Gradient {
    /// The values of the gradient, which has the shape of `parameter`.
    fn to_tensor(&self, parameter: &Tensor) -> Result<Tensor> {
        match self {
            Self::Values(values) => Ok(values.clone()),
            Self::Product(product) => {
                let mut values = vec![0.0; parameter.elem_count()];
                let to = MatrixMut::new(&mut values, parameter.dim(1)?);
                let copied = map(to.by_blocks(Product::BLOCK), |(place, mut to)| {
                    product.with_block(place, |mut values| {
                        for row in 0..to.rows() {
                            to.row(row).copy_from_slice(values.row(row));
                        }
                    })
                });
                copied.into_iter().collect::<Result<()>>()?;
                Tensor::from_vec(values, parameter.shape(), parameter.device())
            }
        }
    }
}

/// The gradients of all parameters.
#[derive(Debug)]
pub struct Gradients {
    /// Those that candle's `backward` found.
    candle: GradStore,
    /// Those that the fused operations found.
    fused: HashMap<TensorId, Gradient>,
}

impl Gradients {
    /// Those that candle's `backward` found.
    pub fn new(candle: GradStore) -> Self {
        Self {
            candle,
            fused: HashMap::new(),
        }
    }

    pub(super) fn insert(&mut self, parameter: &Var, gradient: Gradient) {
        self.fused.insert(parameter.id(), gradient);
    }

    /// The gradient of a parameter, if there is one.
    pub fn of(&self, parameter: &Var) -> Option<Gradient> {
        let candle = || self.candle.get(parameter).cloned().map(Gradient::Values);
        self.fused.get(&parameter.id()).cloned().or_else(candle)
    }

    /// The values of the gradient of a parameter, if there is one: of its shape.
    pub fn get(&self, parameter: &Var) -> Result<Option<Tensor>> {
        let gradient = self.of(parameter);
        gradient
            .map(|gradient| gradient.to_tensor(parameter))
            .transpose()
    }
}

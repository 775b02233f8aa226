//! Gradients of parameters, as the backward pass leaves them.

use super::tensor::with_values;
use crate::kernels::buffers::Buffer;
use crate::kernels::matmul::{Destination, Matrix, MatrixMut, matmul};
use crate::kernels::scratch::with_scratch;
use crate::parallel::map;
use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, TensorId, Var};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The gradient of a parameter.
#[derive(Debug, Clone)]
pub enum Gradient {
    /// Its values.
    Values(Arc<Values>),
    /// The product that gives them.
    Matmul(DeferredMatmul),
}

/// The gradient of a dense layer's weights, (outputs, inputs): a product that is not carried out yet.
///
/// Its factors are small, and it is as large as the weights: Adam, which uses it block by block, spares it the way to
/// memory and back.
#[derive(Debug, Clone)]
pub struct DeferredMatmul {
    /// (images, outputs of all heads): the gradient of what they sum up.
    pub(super) gradient: Arc<Buffer>,
    /// Which of the outputs are this layer's.
    pub(super) outputs: Range<usize>,
    /// (images, inputs)
    pub(super) input: Arc<Values>,
    pub(super) images: usize,
}

/// Values in either kind of memory.
#[derive(Debug)]
pub enum Values {
    /// What a fused operation wrote, which goes back to where it came from.
    Buffer(Buffer),
    /// What candle's operations found, or a sequence was given.
    Tensor(Tensor),
}

impl Values {
    /// Calls `f` with the values, on the CPU.
    pub(super) fn with<R>(&self, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
        match self {
            Self::Buffer(buffer) => f(buffer),
            Self::Tensor(tensor) => with_values(&tensor.contiguous()?, f),
        }
    }
}

impl DeferredMatmul {
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
        self.input.with(|input| {
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

impl From<Values> for Gradient {
    fn from(values: Values) -> Self {
        Self::Values(Arc::new(values))
    }
}

impl Gradient {
    /// The values of the gradient, which has the shape of `parameter`.
    fn to_tensor(&self, parameter: &Tensor) -> Result<Tensor> {
        match self {
            Self::Values(values) => match &**values {
                Values::Buffer(values) => {
                    Tensor::from_slice(values, parameter.shape(), parameter.device())
                }
                Values::Tensor(values) => Ok(values.clone()),
            },
            Self::Matmul(product) => {
                let mut values = vec![0.0; parameter.elem_count()];
                let to = MatrixMut::new(&mut values, parameter.dim(1)?);
                let copied = map(to.by_blocks(DeferredMatmul::BLOCK), |(place, mut to)| {
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

    /// The sum of these and others, for each of `parameters`.
    pub fn plus<'a>(
        mut self,
        others: &Self,
        parameters: impl IntoIterator<Item = &'a Var>,
    ) -> Result<Self> {
        for parameter in parameters {
            let sum = match (self.get(parameter)?, others.get(parameter)?) {
                (Some(these), Some(others)) => (these + others)?,
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => continue,
            };
            self.insert(parameter, Gradient::from(Values::Tensor(sum)));
        }
        Ok(self)
    }

    /// The gradient of a parameter, if there is one.
    pub fn of(&self, parameter: &Var) -> Option<Gradient> {
        let candle = || Some(Values::Tensor(self.candle.get(parameter)?.clone()).into());
        self.fused.get(&parameter.id()).cloned().or_else(candle)
    }

    /// The sum of the squares of the gradient of a parameter, in double precision; 0 if there is none.
    pub fn square_norm(&self, parameter: &Var) -> Result<f64> {
        let sum = |values: &[f32]| Ok(values.iter().map(|&value| f64::from(value).powi(2)).sum());
        match self.of(parameter) {
            None => Ok(0.0),
            Some(Gradient::Values(values)) if matches!(*values, Values::Buffer(_)) => {
                values.with(sum)
            }
            Some(gradient) => {
                let gradient = gradient.to_tensor(parameter)?.to_device(&Device::Cpu)?;
                with_values(&gradient.contiguous()?, sum)
            }
        }
    }

    /// The values of the gradient of a parameter, if there is one: of its shape.
    pub fn get(&self, parameter: &Var) -> Result<Option<Tensor>> {
        let gradient = self.of(parameter);
        gradient
            .map(|gradient| gradient.to_tensor(parameter))
            .transpose()
    }
}

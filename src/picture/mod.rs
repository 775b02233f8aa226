//! Pictures in and out: anyone's photographs, grids, arrays, plots. It knows shapes, and no model.

pub mod array;
pub mod grid;
pub mod mask;
pub mod photo;
pub mod plot;

//! Pictures in and out: anyone's photographs, grids, plots, a page to play with. It knows shapes, and no model.

pub mod animation;
pub mod evenly;
pub mod explore;
pub mod grid;
pub mod labelled;
pub mod mask;
pub mod photo;
pub mod plot;
pub mod scatter;
pub mod terminal;

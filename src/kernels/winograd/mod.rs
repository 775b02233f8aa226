//! Winograd's minimal filtering: convolutions tile by tile, with fewer multiplications.
//!
//! | file | what |
//! | --- | --- |
//! | [`transforms`] | the matrices `Bᵀ`, `G` and `Aᵀ` of F(m, r) |
//! | [`layout`] | how transformed tiles lie in memory |
//! | [`algorithm`] | the algorithms that there are, with their transforms |
//! | [`tile`] | one tile to the Winograd domain and back |
//! | [`tiling`] | all tiles of a grid, and the products in the Winograd domain |
//! | [`weights`] | kernels to the Winograd domain, and their gradients back |

pub mod algorithm;
pub mod layout;
pub mod tile;
pub mod tiling;
pub mod transforms;
pub mod weights;

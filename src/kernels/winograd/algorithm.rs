//! The algorithms that there are, F(m, r) for few and many points, with the transforms of each.

use super::layout::TileOffset;
use super::tile::{TileView, from_winograd, to_winograd};
use super::transforms::{CHANNEL_BLOCK, a, adjoint, b_t, g};
use crate::kernels::vectorized::vectorized;

/// Tiles to transform: where each lies on its grid, and where among the transformed ones.
pub type Tiles<'a> = dyn Iterator<Item = (TileView, TileOffset)> + 'a;

/// Tiles to the Winograd domain: from a grid to the matrices of the points.
pub type Transform = fn(&[f32], &mut Tiles, &mut [&mut [f32]]);
/// The adjoint of a [`Transform`].
pub type Adjoint = fn(&[&[f32]], &mut Tiles, &mut [f32]);

/// An algorithm for convolutions.
#[derive(Debug)]
pub struct Algorithm {
    /// Points along an axis: α.
    pub alpha: usize,
    /// Taps of a kernel along an axis: r.
    pub taps: usize,
    /// The input transform `Bᵀ`, and its adjoint, which adds to what is on the grid, because such tiles overlap.
    pub input: (Transform, Adjoint),
    /// `A`, and its adjoint, the output transform.
    pub output: (Transform, Adjoint),
    /// The kernel transform `G`, and its adjoint.
    pub kernel: (Transform, Adjoint),
}

/// All of them.
pub static ALGORITHMS: [Algorithm; 6] = [
    algorithm::<5, 2, 4>(),
    algorithm::<5, 3, 3>(),
    algorithm::<5, 4, 2>(),
    algorithm::<8, 2, 7>(),
    algorithm::<8, 3, 6>(),
    algorithm::<8, 4, 5>(),
];

impl Algorithm {
    /// Outputs of a tile along one axis: m.
    pub fn outputs(&self) -> usize {
        self.alpha + 1 - self.taps
    }

    /// Values of a transformed tile.
    pub fn area(&self) -> usize {
        self.alpha * self.alpha
    }
}

const fn algorithm<const ALPHA: usize, const R: usize, const M: usize>() -> Algorithm {
    assert!(ALPHA + 1 == M + R);
    Algorithm {
        alpha: ALPHA,
        taps: R,
        input: (input_transform::<ALPHA>, input_transform_adjoint::<ALPHA>),
        output: (
            output_transform_adjoint::<ALPHA, M>,
            output_transform::<ALPHA, M>,
        ),
        kernel: (
            kernel_transform::<ALPHA, R>,
            kernel_transform_adjoint::<ALPHA, R>,
        ),
    }
}

vectorized! {
    fn input_transform<const ALPHA: usize>(grid: &[f32], tiles: &mut Tiles<'_>, to: &mut [&mut [f32]]) {
        let mut half = [[[0.0; CHANNEL_BLOCK]; ALPHA]; ALPHA];
        for (view, offset) in tiles {
            to_winograd(const { &b_t::<ALPHA>() }, grid, view, to, offset, &mut half);
        }
    }
}

vectorized! {
    fn input_transform_adjoint<const ALPHA: usize>(from: &[&[f32]], tiles: &mut Tiles<'_>, grid: &mut [f32]) {
        let mut half = [[[0.0; CHANNEL_BLOCK]; ALPHA]; ALPHA];
        for (view, offset) in tiles {
            let transform = const { &adjoint(b_t::<ALPHA>()) };
            from_winograd(transform, from, offset, grid, view, true, &mut half);
        }
    }
}

vectorized! {
    fn output_transform_adjoint<const ALPHA: usize, const M: usize>(
        grid: &[f32],
        tiles: &mut Tiles<'_>,
        to: &mut [&mut [f32]],
    ) {
        let mut half = [[[0.0; CHANNEL_BLOCK]; M]; ALPHA];
        for (view, offset) in tiles {
            to_winograd(const { &a::<ALPHA, M>() }, grid, view, to, offset, &mut half);
        }
    }
}

vectorized! {
    fn output_transform<const ALPHA: usize, const M: usize>(
        from: &[&[f32]],
        tiles: &mut Tiles<'_>,
        grid: &mut [f32],
    ) {
        let mut half = [[[0.0; CHANNEL_BLOCK]; ALPHA]; M];
        for (view, offset) in tiles {
            let transform = const { &adjoint(a::<ALPHA, M>()) };
            from_winograd(transform, from, offset, grid, view, false, &mut half);
        }
    }
}

vectorized! {
    fn kernel_transform<const ALPHA: usize, const R: usize>(
        kernel: &[f32],
        tiles: &mut Tiles<'_>,
        to: &mut [&mut [f32]],
    ) {
        let mut half = [[[0.0; CHANNEL_BLOCK]; R]; ALPHA];
        for (view, offset) in tiles {
            to_winograd(const { &g::<ALPHA, R>() }, kernel, view, to, offset, &mut half);
        }
    }
}

vectorized! {
    fn kernel_transform_adjoint<const ALPHA: usize, const R: usize>(
        from: &[&[f32]],
        tiles: &mut Tiles<'_>,
        kernel: &mut [f32],
    ) {
        let mut half = [[[0.0; CHANNEL_BLOCK]; ALPHA]; R];
        for (view, offset) in tiles {
            let transform = const { &adjoint(g::<ALPHA, R>()) };
            from_winograd(transform, from, offset, kernel, view, false, &mut half);
        }
    }
}

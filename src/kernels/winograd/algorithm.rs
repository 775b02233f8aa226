//! The algorithms that there are, F(m, r) for few and many points, with the transforms of each.

use super::layout::TileOffset;
use super::tile::{HalfTransformed, TileView, from_winograd, to_winograd};
use super::transforms::{MOST_DROPPED, a, adjoint, b_t, g};
use crate::kernels::vectorized::vectorized;

/// Tiles to transform: where each lies on its grid, and where among the transformed ones.
pub type Tiles<'a> = dyn Iterator<Item = (TileView, TileOffset)> + 'a;

/// A transform of tiles and its adjoint. Functions cannot be kept for iterators of every kind, hence [`Tiles`] of any.
#[derive(Debug)]
pub struct Pair {
    /// To the Winograd domain: from a grid to the matrices of the points.
    pub to_winograd: fn(&[f32], &mut Tiles, &mut [&mut [f32]]),
    /// From the Winograd domain to a grid.
    pub from_winograd: fn(&[&[f32]], &mut Tiles, &mut [f32]),
}

/// An algorithm for convolutions.
#[derive(Debug)]
pub struct Algorithm {
    /// Points along an axis: α.
    pub alpha: usize,
    /// Taps of a kernel along an axis: r.
    pub taps: usize,
    /// For tiles that a convolution reads: the input transform `Bᵀ`, and its adjoint, which adds to what is on the grid,
    /// because such tiles overlap.
    pub read: Pair,
    /// For tiles that a convolution writes: `A`, and its adjoint, the output transform.
    pub written: Pair,
    /// For kernels: the kernel transform `G`, and its adjoint.
    pub kernel: Pair,
}

/// All of them.
pub static ALGORITHMS: [Algorithm; 5] = [
    algorithm::<5, 2, 4>(),
    algorithm::<5, 3, 3>(),
    algorithm::<5, 4, 2>(),
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
    assert!(ALPHA + 1 == M + R && ALPHA > MOST_DROPPED + 1);
    Algorithm {
        alpha: ALPHA,
        taps: R,
        read: Pair {
            to_winograd: input_transform::<ALPHA>,
            from_winograd: input_transform_adjoint::<ALPHA>,
        },
        written: Pair {
            to_winograd: output_transform_adjoint::<ALPHA, M>,
            from_winograd: output_transform::<ALPHA, M>,
        },
        kernel: Pair {
            to_winograd: kernel_transform::<ALPHA, R>,
            from_winograd: kernel_transform_adjoint::<ALPHA, R>,
        },
    }
}

vectorized! {
    fn input_transform<const ALPHA: usize>(grid: &[f32], tiles: &mut Tiles<'_>, to: &mut [&mut [f32]]) {
        let mut half = HalfTransformed::zeros();
        for (view, offset) in tiles {
            to_winograd(const { &b_t::<ALPHA>() }, grid, view, to, offset, &mut half);
        }
    }
}

vectorized! {
    fn input_transform_adjoint<const ALPHA: usize>(from: &[&[f32]], tiles: &mut Tiles<'_>, grid: &mut [f32]) {
        let mut half = HalfTransformed::zeros();
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
        let mut half = HalfTransformed::zeros();
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
        let mut half = HalfTransformed::zeros();
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
        let mut half = HalfTransformed::zeros();
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
        let mut half = HalfTransformed::zeros();
        for (view, offset) in tiles {
            let transform = const { &adjoint(g::<ALPHA, R>()) };
            from_winograd(transform, from, offset, kernel, view, false, &mut half);
        }
    }
}

//! The transforms of F(m, r), the minimal algorithm for m outputs of a convolution with r taps, along one axis.
//!
//! Two polynomials can be multiplied by evaluating both at enough points, multiplying the values point by
//! point, and interpolating (Toom and Cook). Read backwards, the same matrices give several neighbouring outputs of a
//! convolution at once (Winograd, 1980; Lavin and Gray, 2016, whose names are used here): with the points 0, 1, -1, 2
//! and infinity, r taps give m = 6 - r outputs for 5 multiplications rather than r (6 - r). Where a grid ends before
//! the last of them, four points do for the others: a tile at such an edge does without the 2.
//!
//! In two dimensions a tile `d` of inputs and a kernel `g` give the outputs `Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`.

/// Values of a transformed tile along one axis: the points. Lavin and Gray's α = m + r - 1.
pub const ALPHA: usize = 5;
/// Values of a transformed tile: along rows and columns both.
pub const AREA: usize = ALPHA * ALPHA;

/// Values of neighbouring channels that are handled at a time.
pub const CHANNEL_BLOCK: usize = 16;
/// Neighbouring channels of one pixel, or of one point.
pub type ChannelBlock = [f32; CHANNEL_BLOCK];

/// The point that an edge tile does without.
pub const DROPPED_AT_EDGE: usize = 3;

/// A transform along one axis: of a whole tile and of an edge tile.
#[derive(Clone, Copy)]
pub struct Transform<const M: usize, const N: usize> {
    /// Of a whole tile.
    pub whole: TransformMatrix<M, N>,
    /// Of a tile at an edge.
    pub edge: TransformMatrix<M, N>,
}

/// The matrix of a transform along one axis.
#[derive(Clone, Copy)]
pub struct TransformMatrix<const M: usize, const N: usize> {
    /// Its rows.
    pub rows: [[f32; N]; M],
    /// Whether it does without [`DROPPED_AT_EDGE`].
    edge: bool,
}

impl<const M: usize, const N: usize> Transform<M, N> {
    const fn new(whole: [[f32; N]; M], edge: [[f32; N]; M]) -> Self {
        Self {
            whole: TransformMatrix {
                rows: whole,
                edge: false,
            },
            edge: TransformMatrix {
                rows: edge,
                edge: true,
            },
        }
    }

    /// The adjoint of the transform.
    pub const fn adjoint(&self) -> Transform<N, M> {
        Transform::new(transposed(&self.whole.rows), transposed(&self.edge.rows))
    }
}

impl<const M: usize, const N: usize> TransformMatrix<M, N> {
    /// Whether there is such a point.
    #[inline(always)]
    pub fn has(&self, point: usize) -> bool {
        !(self.edge && point == DROPPED_AT_EDGE)
    }
}

/// The input transform `Bᵀ`, from five values that a convolution reads to the points: the inverse of the points'
/// Vandermonde matrix, transposed, with rows scaled to whole numbers. Edge tiles read four, and have the same scales.
pub const B_T: Transform<ALPHA, ALPHA> = Transform::new(
    [
        [2.0, -1.0, -2.0, 1.0, 0.0],
        [0.0, 2.0, 1.0, -1.0, 0.0],
        [0.0, -2.0, 3.0, -1.0, 0.0],
        [0.0, -1.0, 0.0, 1.0, 0.0],
        [0.0, 2.0, -1.0, -2.0, 1.0],
    ],
    [
        [2.0, 0.0, -2.0, 0.0, 0.0],
        [0.0, 1.0, 1.0, 0.0, 0.0],
        [0.0, -3.0, 3.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, -1.0, 0.0, 1.0, 0.0],
    ],
);

/// What undoes the scaling of [`B_T`].
const SCALES: [f32; ALPHA] = [1.0 / 2.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 6.0, 1.0];

/// The powers of the points, up to the third. Of infinity counts the highest alone.
const POWERS: [[f32; 4]; ALPHA - 1] = [
    [1.0, 0.0, 0.0, 0.0],
    [1.0, 1.0, 1.0, 1.0],
    [1.0, -1.0, 1.0, -1.0],
    [1.0, 2.0, 4.0, 8.0],
];

/// `A`, whose adjoint `Aᵀ` is the output transform: from the coefficients of a polynomial to its values at the points,
/// for tiles of `N` outputs. An edge tile has one less.
pub const fn a<const N: usize>() -> Transform<ALPHA, N> {
    let mut edge = powers(N - 1);
    edge[DROPPED_AT_EDGE] = [0.0; N];
    Transform::new(powers(N), edge)
}

/// The powers of each point that are less than `count`.
const fn powers<const N: usize>(count: usize) -> [[f32; N]; ALPHA] {
    let mut matrix = [[0.0; N]; ALPHA];
    let mut point = 0;
    while point < ALPHA - 1 {
        let mut power = 0;
        while power < count {
            matrix[point][power] = POWERS[point][power];
            power += 1;
        }
        point += 1;
    }
    matrix[ALPHA - 1][count - 1] = 1.0;
    matrix
}

/// The kernel transform `G`, from `N` taps to the points: as [`a`], and what undoes the scaling of [`B_T`]. A kernel
/// has no edge.
pub const fn g<const N: usize>() -> Transform<ALPHA, N> {
    let mut matrix = powers(N);
    let mut point = 0;
    while point < ALPHA {
        let mut tap = 0;
        while tap < N {
            matrix[point][tap] *= SCALES[point];
            tap += 1;
        }
        point += 1;
    }
    Transform::new(matrix, matrix)
}

const fn transposed<const M: usize, const N: usize>(matrix: &[[f32; N]; M]) -> [[f32; M]; N] {
    let mut transposed = [[0.0; M]; N];
    let mut row = 0;
    while row < M {
        let mut column = 0;
        while column < N {
            transposed[column][row] = matrix[row][column];
            column += 1;
        }
        row += 1;
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outputs of a convolution along one axis, through the Winograd domain.
    fn through_winograd_domain<const M: usize>(
        weights: &[Vec<f32>],
        read: &TransformMatrix<ALPHA, ALPHA>,
        give: &TransformMatrix<ALPHA, M>,
        kernel: &[f32],
        inputs: &[f32],
    ) -> Vec<f32> {
        let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let output = |output: usize| {
            let at = |p: usize| {
                let read = dot(&read.rows[p], inputs);
                give.rows[p][output] * dot(&weights[p], kernel) * read
            };
            (0..ALPHA).map(at).sum()
        };
        (0..M).map(output).collect()
    }

    /// Checks that `kernel`, of R taps, gives its M outputs; M - 1 at an edge.
    fn check<const R: usize, const M: usize>(kernel: [f32; R]) {
        let inputs = [0.5, -1.25, 2.0, 0.75, -3.0];
        let expected: Vec<f32> = inputs
            .windows(R)
            .map(|inputs| inputs.iter().zip(&kernel).map(|(a, b)| a * b).sum())
            .collect();
        let weights: Vec<_> = g::<R>().whole.rows.iter().map(|row| row.to_vec()).collect();
        let give = a::<M>();
        let whole = through_winograd_domain(&weights, &B_T.whole, &give.whole, &kernel, &inputs);
        let edge = through_winograd_domain(&weights, &B_T.edge, &give.edge, &kernel, &inputs);
        assert_eq!((whole.len(), expected.len()), (M, M));
        for (found, expected) in whole.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
        for (found, expected) in edge.iter().zip(&expected[..M - 1]) {
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
        assert_eq!(edge[M - 1], 0.0);
    }

    #[test]
    fn the_transforms_give_the_convolution() {
        check::<2, 4>([1.5, -0.5]);
        check::<3, 3>([1.5, -0.5, 2.0]);
        check::<4, 2>([1.5, -0.5, 2.0, 0.25]);
    }
}

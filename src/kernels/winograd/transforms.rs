//! The transforms of F(m, r), the minimal algorithm for m outputs of a convolution with r taps, along one axis.
//!
//! Two polynomials can be multiplied by evaluating both at enough points, multiplying the values point by
//! point, and interpolating (Toom and Cook). Read backwards, the same matrices give several neighbouring outputs of a
//! convolution at once (Winograd, 1980; Lavin and Gray, 2016, whose names are used here): with α points, of which one
//! is infinity, r taps give m = α + 1 - r outputs for α multiplications rather than r m. Where a grid ends before the
//! last of them, fewer points do for the others: a tile at such an edge does without the last finite ones.
//!
//! In two dimensions a tile `d` of inputs and a kernel `g` give the outputs `Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`.

/// Values of neighbouring channels that are handled at a time.
pub const CHANNEL_BLOCK: usize = 16;
/// Neighbouring channels of one pixel, or of one point.
pub type ChannelBlock = [f32; CHANNEL_BLOCK];

/// The finite points. Of α points these are the first α - 1; infinity is the last. Small ones and their inverses lose the
/// fewest digits (Barabasz et al., 2020, <https://arxiv.org/abs/1803.10986>): eight points two bits more than five, and a
/// ninth, whichever, three more. What tiles at an edge do without comes last.
const POINTS: [f64; 7] = [0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5];

/// Points that a tile at an edge does without, at most: enough for the grids of usual sizes, each a few more instructions.
pub const MOST_DROPPED: usize = 3;

/// The matrix of a transform along one axis.
pub type TransformMatrix<const M: usize, const N: usize> = [[f32; N]; M];

/// A transform along one axis: of a whole tile, and of tiles that do without some points, by their number.
pub type Transform<const M: usize, const N: usize> = [TransformMatrix<M, N>; MOST_DROPPED + 1];

/// Whether a tile has this one of α points, if it does without `dropped` of them.
#[inline(always)]
pub const fn has(alpha: usize, dropped: usize, point: usize) -> bool {
    let order = drop_order(alpha, point);
    order == 0 || order > dropped
}

/// As how many-th of α points tiles do without this one: the last finite point is the first. 0 for those that all have.
#[inline(always)]
pub const fn drop_order(alpha: usize, point: usize) -> usize {
    let before_infinity = alpha - 1 - point;
    match before_infinity <= MOST_DROPPED {
        true => before_infinity,
        false => 0,
    }
}

/// The input transform `Bᵀ`, from α values that a convolution reads to the points: the inverse of the points'
/// Vandermonde matrix, transposed, but for a division of each row that [`g`] makes up for: a whole tile's rows are products
/// of `x - q`, whose coefficients are exact. Edge tiles read fewer values, and are divided by the same.
pub const fn b_t<const ALPHA: usize>() -> Transform<ALPHA, ALPHA> {
    let mut transform = [[[0.0; ALPHA]; ALPHA]; MOST_DROPPED + 1];
    let mut dropped = 0;
    while dropped <= MOST_DROPPED {
        let finite = ALPHA - 1 - dropped;
        let mut point = 0;
        while point < finite {
            let scale = denominator(point, ALPHA - 1) / denominator(point, finite);
            transform[dropped][point] = multiplied(numerator::<ALPHA>(point, finite), scale);
            point += 1;
        }
        transform[dropped][ALPHA - 1] = multiplied(numerator::<ALPHA>(finite, finite), 1.0);
        dropped += 1;
    }
    transform
}

/// The coefficients of the product of `x - q` over the first `finite` points q, but the one that it is `without`.
const fn numerator<const ALPHA: usize>(without: usize, finite: usize) -> [f64; ALPHA] {
    let mut product = [0.0; ALPHA];
    product[0] = 1.0;
    let mut other = 0;
    while other < finite {
        if other != without {
            let mut power = ALPHA - 1;
            while power > 0 {
                product[power] = product[power - 1] - POINTS[other] * product[power];
                power -= 1;
            }
            product[0] *= -POINTS[other];
        }
        other += 1;
    }
    product
}

/// The value of that product at the point that it is without.
const fn denominator(point: usize, finite: usize) -> f64 {
    let mut product = 1.0;
    let mut other = 0;
    while other < finite {
        if other != point {
            product *= POINTS[point] - POINTS[other];
        }
        other += 1;
    }
    product
}

const fn multiplied<const N: usize>(row: [f64; N], factor: f64) -> [f32; N] {
    let mut to = [0.0; N];
    let mut index = 0;
    while index < N {
        to[index] = (row[index] * factor) as f32;
        index += 1;
    }
    to
}

/// `A`, whose adjoint `Aᵀ` is the output transform: from the coefficients of a polynomial to its values at the points,
/// for tiles of `N` outputs. An edge tile has one less for each point that it does without.
pub const fn a<const ALPHA: usize, const N: usize>() -> Transform<ALPHA, N> {
    let mut transform = [[[0.0; N]; ALPHA]; MOST_DROPPED + 1];
    let mut dropped = 0;
    while dropped <= MOST_DROPPED && dropped < N {
        transform[dropped] = powers::<ALPHA, N>(N - dropped, dropped);
        dropped += 1;
    }
    transform
}

/// The powers of each point that are less than `count`. Of infinity counts the highest alone.
const fn powers<const ALPHA: usize, const N: usize>(
    count: usize,
    dropped: usize,
) -> TransformMatrix<ALPHA, N> {
    let mut matrix = [[0.0; N]; ALPHA];
    let mut point = 0;
    while point + 1 + dropped < ALPHA {
        let (mut power, mut value) = (0, 1.0);
        while power < count {
            matrix[point][power] = value as f32;
            value *= POINTS[point];
            power += 1;
        }
        point += 1;
    }
    matrix[ALPHA - 1][count - 1] = 1.0;
    matrix
}

/// The kernel transform `G`, from `N` taps to the points: as [`a`], and what undoes the scaling of [`b_t`]. A kernel
/// has no edge.
pub const fn g<const ALPHA: usize, const N: usize>() -> Transform<ALPHA, N> {
    let mut matrix = powers::<ALPHA, N>(N, 0);
    let mut point = 0;
    while point + 1 < ALPHA {
        let mut tap = 0;
        while tap < N {
            let value = matrix[point][tap] as f64;
            matrix[point][tap] = (value / denominator(point, ALPHA - 1)) as f32;
            tap += 1;
        }
        point += 1;
    }
    [matrix; MOST_DROPPED + 1]
}

/// The adjoint of a transform.
pub const fn adjoint<const M: usize, const N: usize>(
    transform: Transform<M, N>,
) -> Transform<N, M> {
    let mut adjoint = [[[0.0; M]; N]; MOST_DROPPED + 1];
    let mut dropped = 0;
    while dropped <= MOST_DROPPED {
        let mut row = 0;
        while row < M {
            let mut column = 0;
            while column < N {
                adjoint[dropped][column][row] = transform[dropped][row][column];
                column += 1;
            }
            row += 1;
        }
        dropped += 1;
    }
    adjoint
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outputs of a convolution along one axis, through the Winograd domain, of a tile without `dropped` points.
    fn outputs<const ALPHA: usize, const R: usize, const M: usize>(
        kernel: [f32; R],
        inputs: [f32; ALPHA],
        dropped: usize,
    ) -> [f32; M] {
        let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let (g, b_t, a) = (
            g::<ALPHA, R>()[0],
            b_t::<ALPHA>()[dropped],
            a::<ALPHA, M>()[dropped],
        );
        std::array::from_fn(|output| {
            let at = |p: usize| a[p][output] * dot(&g[p], &kernel) * dot(&b_t[p], &inputs);
            (0..ALPHA).filter(|p| has(ALPHA, dropped, *p)).map(at).sum()
        })
    }

    /// Checks that `kernel`, of R taps, gives its M outputs; and at edges fewer.
    fn check<const ALPHA: usize, const R: usize, const M: usize>(kernel: [f32; R]) {
        let inputs: [f32; 8] = [0.5, -1.25, 2.0, 0.75, -3.0, 0.25, 1.5, -0.75];
        let inputs: [f32; ALPHA] = std::array::from_fn(|place| inputs[place]);
        let expected: Vec<f32> = inputs
            .windows(R)
            .map(|inputs| inputs.iter().zip(&kernel).map(|(a, b)| a * b).sum())
            .collect();
        assert_eq!(expected.len(), M);
        for dropped in 0..=MOST_DROPPED.min(M - 1) {
            let found: [f32; M] = outputs(kernel, inputs, dropped);
            for (found, expected) in found.iter().zip(&expected[..M - dropped]) {
                assert!((found - expected).abs() < 2e-5, "{found} is not {expected}");
            }
            assert!(found[M - dropped..].iter().all(|output| *output == 0.0));
        }
    }

    #[test]
    fn the_transforms_give_the_convolution() {
        check::<5, 2, 4>([1.5, -0.5]);
        check::<5, 3, 3>([1.5, -0.5, 2.0]);
        check::<5, 4, 2>([1.5, -0.5, 2.0, 0.25]);
        check::<8, 3, 6>([1.5, -0.5, 2.0]);
        check::<8, 4, 5>([1.5, -0.5, 2.0, 0.25]);
    }
}

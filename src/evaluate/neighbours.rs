//! Nearest neighbours, and what of two sets lies within each other.

use crate::kernels::matmul::{Destination, Matrix, MatrixMut, matmul};
use crate::parallel::map;

/// Rows that a thread looks for the neighbours of, and rows that it looks among, at a time.
const ROWS: usize = 128;
const AMONG: usize = 2048;

/// The squared distances of each row to its `count` nearest among others, ascending: (rows, count).
///
/// # Shapes
///
/// - rows: (rows, `width`)
/// - among: (others, `width`), at least `count`
pub fn nearest(rows: &[f32], among: &[f32], width: usize, count: usize) -> Vec<f32> {
    let found = over_distances(
        rows,
        among,
        width,
        vec![f32::INFINITY; count],
        |found, _, distance| {
            // Most are farther than all that were found.
            if distance < found[count - 1] {
                let place = found.partition_point(|&nearer| nearer <= distance);
                found[place..].rotate_right(1);
                found[place] = distance;
            }
        },
    );
    found.concat()
}

/// The share of rows that lie within the reach of any of a set: not farther from it than its own neighbours (the
/// manifold of Kynkaanniemi et al., 2019, "Improved precision and recall metric", equation 1).
///
/// # Shapes
///
/// - rows: (rows, `width`)
/// - set: (others, `width`); reaches: (others), squared distances
pub fn share_within(rows: &[f32], set: &[f32], reaches: &[f32], width: usize) -> f64 {
    let within = over_distances(rows, set, width, false, |within, other, distance| {
        *within |= distance <= reaches[other];
    });
    within.iter().filter(|&&within| within).count() as f64 / within.len() as f64
}

/// The squared distance of each row of a set to its `neighbour`th nearest other one.
///
/// # Shapes
///
/// - set: (rows, `width`), more than `neighbour`
/// - output: (rows)
pub fn reaches(set: &[f32], width: usize, neighbour: usize) -> Vec<f32> {
    // Nearest of all is a row itself.
    let found = nearest(set, set, width, neighbour + 1);
    found
        .into_iter()
        .skip(neighbour)
        .step_by(neighbour + 1)
        .collect()
}

/// What `visit` makes of `start`, for each row: it is called with the squared distance to each of the others.
fn over_distances<T: Clone + Send + Sync>(
    rows: &[f32],
    others: &[f32],
    width: usize,
    start: T,
    visit: impl Fn(&mut T, usize, f32) + Sync,
) -> Vec<T> {
    let square = |row: &[f32]| row.iter().map(|value| value * value).sum::<f32>();
    let squares = |rows: &[f32]| rows.chunks_exact(width).map(square).collect::<Vec<f32>>();
    let of_others = squares(others);
    let found = map(rows.chunks(ROWS * width), |rows| {
        let of_rows = squares(rows);
        let mut found = vec![start.clone(); of_rows.len()];
        let mut products = vec![0.0; of_rows.len() * AMONG];
        for (number, others) in others.chunks(AMONG * width).enumerate() {
            let (first, count) = (number * AMONG, others.len() / width);
            let products = &mut products[..of_rows.len() * count];
            let left = Matrix::new(rows, of_rows.len(), width);
            let right = Matrix::new(others, count, width).transposed();
            let out = MatrixMut::new(products, count);
            matmul(left, right, out, Destination::Overwrite);
            let of_each = found.iter_mut().zip(&of_rows);
            for ((found, square), products) in of_each.zip(products.chunks_exact(count)) {
                for (other, product) in products.iter().enumerate() {
                    let distance = square + of_others[first + other] - 2.0 * product;
                    visit(found, first + other, distance.max(0.0));
                }
            }
        }
        found
    });
    found.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, normal};

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
    }

    #[test]
    fn the_nearest_are_those_of_all_pairs() {
        let rows = normal(1, Purpose::Prior, 0, 300 * 5);
        let among = normal(1, Purpose::Prior, 1, 3_000 * 5);
        let found = nearest(&rows, &among, 5, 3);
        for (row, found) in rows.chunks(5).zip(found.chunks(3)) {
            let mut all: Vec<f32> = among.chunks(5).map(|other| distance(row, other)).collect();
            all.sort_by(f32::total_cmp);
            for (found, expected) in found.iter().zip(&all) {
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }

    #[test]
    fn what_lies_within_reach_is_counted() {
        // On a line, one apart: the second neighbour is at 1, at the ends at 2.
        let set: Vec<f32> = (0..10).map(|place| place as f32).collect();
        let reaches = reaches(&set, 1, 2);
        assert_eq!(reaches, [4.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 4.0]);
        assert_eq!(
            share_within(&[4.5, -1.5, 20.0, 11.5], &set, &reaches, 1),
            0.5
        );
    }
}

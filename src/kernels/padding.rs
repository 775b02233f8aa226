//! Grids with zeros around them, for kernels that reach over an edge.

use super::geometry::Geometry;

/// A grid of rows, columns and channels within a larger one.
#[derive(Debug, Clone, Copy)]
pub struct PaddedGrid {
    /// Rows, columns and channels of the grid.
    pub grid: [usize; 3],
    /// Rows above it, and columns left of it.
    pub top_left: [usize; 2],
    /// Rows and columns of the larger one. It may end before the grid does.
    pub size: [usize; 2],
}

impl PaddedGrid {
    /// The large grid of a convolution within what the kernel reaches from any place.
    pub fn of(geometry: &Geometry) -> Self {
        Self {
            grid: geometry.large,
            top_left: geometry.pad,
            size: geometry.reach(),
        }
    }

    /// Values of the larger grid.
    pub fn padded_len(&self) -> usize {
        self.size[0] * self.row_len()
    }

    /// Values of a row of the larger grid.
    pub fn row_len(&self) -> usize {
        self.size[1] * self.grid[2]
    }

    /// For each row of the grid that lies in the larger one, where its values begin here and there; and how
    /// many of them lie there.
    fn rows(&self) -> (impl Iterator<Item = (usize, usize)>, usize) {
        let [rows, columns, channels] = self.grid;
        let [top, left] = self.top_left;
        let rows = rows.min(self.size[0] - top);
        let row_len = self.row_len();
        let starts = (0..rows).map(move |row| {
            let padded = (top + row) * row_len + left * channels;
            (row * columns * channels, padded)
        });
        (starts, columns.min(self.size[1] - left) * channels)
    }

    /// Puts a grid into the larger one. What is around it stays as it is.
    pub fn pad(&self, grid: &[f32], padded: &mut [f32]) {
        let (starts, len) = self.rows();
        for (from, to) in starts {
            padded[to..to + len].copy_from_slice(&grid[from..from + len]);
        }
    }

    /// Takes a grid out of the larger one. What of it does not lie there is zero.
    pub fn crop(&self, padded: &[f32], grid: &mut [f32]) {
        let (starts, len) = self.rows();
        if self.grid[0] > self.size[0] - self.top_left[0] || len < self.grid[1] * self.grid[2] {
            grid.fill(0.0);
        }
        for (to, from) in starts {
            grid[to..to + len].copy_from_slice(&padded[from..from + len]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_comes_out_as_it_went_in() {
        let padding = PaddedGrid {
            grid: [2, 3, 2],
            top_left: [1, 2],
            size: [4, 6],
        };
        let grid: Vec<f32> = (1..=12).map(|i| i as f32).collect();
        let mut padded = vec![0.0; padding.padded_len()];
        padding.pad(&grid, &mut padded);
        assert_eq!(
            padded[12..24],
            [0., 0., 0., 0., 1., 2., 3., 4., 5., 6., 0., 0.]
        );
        assert_eq!(padded.iter().sum::<f32>(), 78.0);
        let mut out = vec![f32::NAN; 12];
        padding.crop(&padded, &mut out);
        assert_eq!(out, grid);
    }

    #[test]
    fn what_the_larger_grid_cuts_is_zero() {
        let padding = PaddedGrid {
            grid: [3, 3, 1],
            top_left: [1, 0],
            size: [3, 2],
        };
        let mut padded = vec![0.0; padding.padded_len()];
        padding.pad(&[1., 2., 3., 4., 5., 6., 7., 8., 9.], &mut padded);
        assert_eq!(padded, [0., 0., 1., 2., 4., 5.]);
        let mut out = vec![f32::NAN; 9];
        padding.crop(&padded, &mut out);
        assert_eq!(out, [1., 2., 0., 4., 5., 0., 0., 0., 0.]);
    }
}

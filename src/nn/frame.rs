//! Grids with zeros around them, for kernels and tiles that reach over an edge.

/// A grid of rows, columns and channels within a larger one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// Rows, columns and channels of the grid.
    pub grid: [usize; 3],
    /// Rows above it, and columns before it.
    pub before: [usize; 2],
    /// Rows and columns of the larger one. It may end before the grid does.
    pub size: [usize; 2],
}

impl Frame {
    /// Values of the larger grid.
    pub(super) fn len(&self) -> usize {
        self.size[0] * self.row_len()
    }

    /// Values of a row of the larger grid.
    pub(super) fn row_len(&self) -> usize {
        self.size[1] * self.grid[2]
    }

    /// For each row of the grid that lies in the larger one, where its values begin here and there; and how
    /// many of them lie there.
    fn rows(&self) -> (impl Iterator<Item = (usize, usize)>, usize) {
        let [rows, columns, channels] = self.grid;
        let [above, before] = self.before;
        let rows = rows.min(self.size[0] - above);
        let row_len = self.row_len();
        let starts = (0..rows).map(move |row| {
            let framed = (above + row) * row_len + before * channels;
            (row * columns * channels, framed)
        });
        (starts, columns.min(self.size[1] - before) * channels)
    }

    /// Puts a grid into the larger one. What is around it stays as it is.
    pub(super) fn put(&self, grid: &[f32], framed: &mut [f32]) {
        let (starts, len) = self.rows();
        for (from, to) in starts {
            framed[to..to + len].copy_from_slice(&grid[from..from + len]);
        }
    }

    /// Takes a grid out of the larger one. What of it does not lie there is zero.
    pub(super) fn take(&self, framed: &[f32], grid: &mut [f32]) {
        let (starts, len) = self.rows();
        if self.grid[0] > self.size[0] - self.before[0] || len < self.grid[1] * self.grid[2] {
            grid.fill(0.0);
        }
        for (to, from) in starts {
            grid[to..to + len].copy_from_slice(&framed[from..from + len]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_comes_out_as_it_went_in() {
        let frame = Frame {
            grid: [2, 3, 2],
            before: [1, 2],
            size: [4, 6],
        };
        let grid: Vec<f32> = (1..=12).map(|i| i as f32).collect();
        let mut framed = vec![0.0; frame.len()];
        frame.put(&grid, &mut framed);
        assert_eq!(
            framed[12..24],
            [0., 0., 0., 0., 1., 2., 3., 4., 5., 6., 0., 0.]
        );
        assert_eq!(framed.iter().sum::<f32>(), 78.0);
        let mut out = vec![f32::NAN; 12];
        frame.take(&framed, &mut out);
        assert_eq!(out, grid);
    }

    #[test]
    fn what_a_frame_cuts_is_zero() {
        let frame = Frame {
            grid: [3, 3, 1],
            before: [1, 0],
            size: [3, 2],
        };
        let mut framed = vec![0.0; frame.len()];
        frame.put(&[1., 2., 3., 4., 5., 6., 7., 8., 9.], &mut framed);
        assert_eq!(framed, [0., 0., 1., 2., 4., 5.]);
        let mut out = vec![f32::NAN; 9];
        frame.take(&framed, &mut out);
        assert_eq!(out, [1., 2., 0., 4., 5., 0., 0., 0., 0.]);
    }
}

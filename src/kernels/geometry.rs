//! The shape of a convolution.

/// The shape of a convolution, seen from its large side (what it reads) to its small side (what it
/// writes). A transposed convolution has the same shape and is read the other way round.
///
/// oneDNN calls the two grids of a convolution `src` and `dst`; here neither name would do, because either grid may be
/// what a layer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Rows, columns and channels of the large grid.
    pub large: [usize; 3],
    /// Rows, columns and channels of the small grid.
    pub small: [usize; 3],
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Pixels of the large grid from one place of the kernel to the next.
    pub stride: usize,
    /// Rows of zeros above the large grid, and columns of zeros left of it. What is needed below and
    /// on the right follows from the sizes.
    pub pad: [usize; 2],
}

/// One of the two grids of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// What the kernel moves over.
    Large,
    /// The places of the kernel.
    Small,
}

impl Geometry {
    /// Values that an image has on a grid.
    pub fn values(&self, grid: Grid) -> usize {
        match grid {
            Grid::Large => self.large.iter().product(),
            Grid::Small => self.small.iter().product(),
        }
    }

    /// Values under the kernel at one place: of a patch.
    pub fn patch_len(&self) -> usize {
        self.kernel * self.kernel * self.large[2]
    }

    /// Rows and columns of the large grid, with its padding, that the kernel reaches from any place.
    pub fn reach(&self) -> [usize; 2] {
        let reach = |places: usize| (places - 1) * self.stride + self.kernel;
        [reach(self.small[0]), reach(self.small[1])]
    }

    /// The padding, if it is the same on all four sides, and what the kernel reaches is the large grid with it.
    pub fn even_padding(&self) -> Option<usize> {
        let [pad, other] = self.pad;
        let even = |axis| self.reach()[axis] == self.large[axis] + 2 * pad;
        (pad == other && even(0) && even(1)).then_some(pad)
    }
}

//! A factor of a product as a kernel sees it.

use ndarray::ArrayView2;

/// Numbers in memory, one of whose directions is that of neighbours.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Matrix {
    pub(super) values: *const f32,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
}

// SAFETY: it is read only, and only while the view that it was made of is borrowed.
unsafe impl Sync for Matrix {}

impl Matrix {
    /// # Panics
    /// If neither the numbers of a row nor those of a column are neighbours.
    pub(super) fn new(view: ArrayView2<f32>) -> Self {
        let (rows, cols) = view.dim();
        let stride = |axis: usize| usize::try_from(view.strides()[axis]);
        let (Ok(row_stride), Ok(col_stride)) = (stride(0), stride(1)) else {
            unreachable!("no factor is made to run backwards")
        };
        let neighbours = |count: usize, stride: usize| count <= 1 || stride == 1;
        assert!(
            neighbours(cols, col_stride) || neighbours(rows, row_stride),
            "a factor of a product lies by rows or by columns"
        );
        Self { values: view.as_ptr(), rows, cols, row_stride, col_stride }
    }

    /// Whether the numbers of a row are neighbours.
    pub(super) fn by_rows(self) -> bool {
        self.cols <= 1 || self.col_stride == 1
    }

    /// The place of a number. Those just outside may be named, not read.
    pub(super) fn at(self, row: usize, col: usize) -> *const f32 {
        self.values.wrapping_add(row * self.row_stride + col * self.col_stride)
    }

    /// Some rows and columns.
    pub(super) fn part(self, row: usize, rows: usize, col: usize, cols: usize) -> Self {
        assert!(row + rows <= self.rows && col + cols <= self.cols, "a part is within its whole");
        Self { values: self.at(row, col), rows, cols, ..self }
    }
}

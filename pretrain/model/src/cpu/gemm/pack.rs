//! Factors laid out as the tiles read them.

use super::{lanes::Lanes, matrix::Matrix};

/// Lays the columns from `first` on, `vectors * L::WIDTH` or those that are left, into a panel: for each cell of the
/// inner dimension one vector after another. What is missing is zero.
///
/// # Safety
/// The processor has the instructions of `L`, and `panel` has room for all cells times `vectors` vectors.
#[inline(always)]
pub(super) unsafe fn panel<L: Lanes>(b: Matrix, first: usize, vectors: usize, panel: *mut u32) {
    let cells = b.rows.div_ceil(L::INNER);
    let stride = vectors * L::WIDTH;
    for at in 0..vectors {
        let col = first + at * L::WIDTH;
        let count = b.cols.saturating_sub(col).min(L::WIDTH);
        // SAFETY: the vectors of this column are within the panel.
        let to = unsafe { panel.add(at * L::WIDTH) };
        if b.by_rows() {
            for cell in 0..cells {
                let row = cell * L::INNER;
                // SAFETY: `count` columns from `col` on and up to `INNER` rows from `row` on are within the factor.
                unsafe {
                    let cells = L::across(b.at(row, col), b.row_stride, count, b.rows - row);
                    L::put(cells, to.add(cell * stride), L::WIDTH);
                }
            }
        } else {
            for cell in (0..cells).step_by(L::WIDTH) {
                // SAFETY: rows of the square that are not below `count` are not read.
                unsafe {
                    let mut square = [L::along(b.values, 0); 16];
                    let row = cell * L::INNER;
                    for (at, line) in square.iter_mut().enumerate().take(count) {
                        *line = L::along(b.at(row, col + at), b.rows - row);
                    }
                    L::transpose(&mut square);
                    for (at, line) in square.iter().enumerate().take(L::WIDTH.min(cells - cell)) {
                        L::put(*line, to.add((cell + at) * stride), L::WIDTH);
                    }
                }
            }
        }
    }
}

/// Lays the rows of a left factor out as cells, one row after another, `stride` apart.
///
/// # Safety
/// The processor has the instructions of `L`, and `rows` has room for each row's cells.
#[inline(always)]
pub(super) unsafe fn rows<L: Lanes>(a: Matrix, rows: *mut u32, stride: usize) {
    let cells = a.cols.div_ceil(L::INNER);
    if a.by_rows() {
        for row in 0..a.rows {
            for cell in (0..cells).step_by(L::WIDTH) {
                let col = cell * L::INNER;
                // SAFETY: the numbers of a row from `col` on are within the factor, and its cells within `rows`.
                unsafe {
                    let line = L::along(a.at(row, col), a.cols - col);
                    L::put(line, rows.add(row * stride + cell), cells - cell);
                }
            }
        }
        return;
    }
    for cell in (0..cells).step_by(L::WIDTH) {
        for row in (0..a.rows).step_by(L::WIDTH) {
            let count = (a.rows - row).min(L::WIDTH);
            // SAFETY: `count` rows from `row` on and the columns of these cells are within the factor.
            unsafe {
                let mut square = [L::along(a.values, 0); 16];
                for (at, line) in square.iter_mut().enumerate().take(L::WIDTH.min(cells - cell)) {
                    let col = (cell + at) * L::INNER;
                    *line = L::across(a.at(row, col), a.col_stride, count, a.cols - col);
                }
                L::transpose(&mut square);
                for (at, line) in square.iter().enumerate().take(count) {
                    L::put(*line, rows.add((row + at) * stride + cell), cells - cell);
                }
            }
        }
    }
}

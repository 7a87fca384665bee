//! Matrix products through crate `gemm`, called so that a row of the result never depends on the other rows.
//!
//! `gemm` chooses its blocking of the inner dimension and its code path by shape and cache size. Both are taken from
//! it: the inner dimension comes in our own chunks of at most [`INNER`], added to the result one after another, and
//! a product with fewer than two rows or columns or three inner numbers is padded with zeros to that size, below which
//! other code paths begin. One more path, for at most [`DOT_OUTPUTS`] outputs of dot products along memory, is avoided
//! by laying the right factor out anew. One row alone, which would be mostly padding, goes through [`gemv`].

use gemm::Parallelism;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use super::gemv;
use crate::ops::Write;

/// Most inner numbers in one call: the fewest that `gemm` takes at once on every processor.
const INNER: usize = 512;
const MIN_OUTER: usize = 2;
const MIN_INNER: usize = 3;

/// Outputs up to which `gemm` takes vectors along the inner dimension where both factors lie that way in memory.
const DOT_OUTPUTS: usize = 256;

/// Multiplications below which a product stays on one thread.
const TASK_PRODUCTS: usize = 4_000_000;

/// Multiplications of one row that are worth a task.
const ROW_TASK_PRODUCTS: usize = 65_536;

/// `out = a · b` or `out += a · b`, with the rows of `out` shared out over the threads; of one row, its columns.
///
/// # Shapes
/// `out`: `[m, n]`, `a`: `[m, k]`, `b`: `[k, n]`, with any strides.
pub(super) fn threaded(
    mut out: ArrayViewMut2<f32>,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    write: Write,
) {
    if out.nrows() == 1 {
        let block = (ROW_TASK_PRODUCTS / a.ncols().max(1)).max(1).next_multiple_of(64);
        let out: Vec<_> = out.axis_chunks_iter_mut(Axis(1), block).collect();
        let b: Vec<_> = b.axis_chunks_iter(Axis(1), block).collect();
        out.into_par_iter().zip(b).for_each(|(out, b)| serial(out, a, b, write));
        return;
    }
    let block = rows_per_task(out.nrows(), out.ncols() * a.ncols());
    let out: Vec<_> = out.axis_chunks_iter_mut(Axis(0), block).collect();
    let a: Vec<_> = a.axis_chunks_iter(Axis(0), block).collect();
    out.into_par_iter().zip(a).for_each(|(out, a)| serial(out, a, b, write));
}

/// Rows of one task: an eighth of all, between 96 and 512, so that packing `b` again for each task stays cheap.
fn rows_per_task(rows: usize, products_per_row: usize) -> usize {
    if rows * products_per_row < TASK_PRODUCTS {
        return rows.max(1);
    }
    rows.div_ceil(8).next_multiple_of(8).clamp(96, 512)
}

/// `out = a · b` or `out += a · b` on this thread.
pub(super) fn serial(
    mut out: ArrayViewMut2<f32>,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    write: Write,
) {
    assert_eq!(out.dim(), (a.nrows(), b.ncols()), "a product has the outer shape of its factors");
    assert_eq!(a.ncols(), b.nrows(), "factors share their inner size");
    if a.ncols() == 0 && write == Write::Replace {
        out.fill(0.0);
    }
    if out.is_empty() {
        return;
    }
    let mut write = write;
    for start in (0..a.ncols()).step_by(INNER) {
        let end = (start + INNER).min(a.ncols());
        let (a, b) = (a.slice(s![.., start..end]), b.slice(s![start..end, ..]));
        let multiplied = out.nrows() == 1 && gemv::multiply(out.row_mut(0), a.row(0), b, write);
        let small = out.nrows() < MIN_OUTER || out.ncols() < MIN_OUTER || end - start < MIN_INNER;
        let dots = out.len() <= DOT_OUTPUTS && a.strides()[1] == 1 && b.strides()[0] == 1;
        if !multiplied && (small || dots) {
            padded(out.view_mut(), a, b, write);
        } else if !multiplied {
            call(out.view_mut(), a, b, write);
        }
        write = Write::Add;
    }
}

/// The product by way of copies row by row, large enough, with zeros where there is nothing.
fn padded(mut out: ArrayViewMut2<f32>, a: ArrayView2<f32>, b: ArrayView2<f32>, write: Write) {
    let (rows, cols, inner) = (out.nrows(), out.ncols(), a.ncols());
    let (large_rows, large_cols) = (rows.max(MIN_OUTER), cols.max(MIN_OUTER));
    let large_inner = inner.max(MIN_INNER);
    let mut large_a = Array2::zeros((large_rows, large_inner));
    let mut large_b = Array2::zeros((large_inner, large_cols));
    let mut large_out = Array2::zeros((large_rows, large_cols));
    large_a.slice_mut(s![..rows, ..inner]).assign(&a);
    large_b.slice_mut(s![..inner, ..cols]).assign(&b);
    large_out.slice_mut(s![..rows, ..cols]).assign(&out);
    call(large_out.view_mut(), large_a.view(), large_b.view(), write);
    out.assign(&large_out.slice(s![..rows, ..cols]));
}

fn call(mut out: ArrayViewMut2<f32>, a: ArrayView2<f32>, b: ArrayView2<f32>, write: Write) {
    let (m, k, n) = (a.nrows(), a.ncols(), b.ncols());
    assert_eq!((out.nrows(), out.ncols(), b.nrows()), (m, n, k), "shapes of a product");
    let strides = |of: &[isize]| (of[0], of[1]);
    let ((out_rs, out_cs), (a_rs, a_cs), (b_rs, b_cs)) =
        (strides(out.strides()), strides(a.strides()), strides(b.strides()));
    // SAFETY: the three pointers and strides come from live views of exactly `m × n`, `m × k` and `k × n` numbers, as
    // asserted above; `out` is borrowed exclusively, so it overlaps neither factor.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            out_cs,
            out_rs,
            write == Write::Add,
            a.as_ptr(),
            a_cs,
            a_rs,
            b.as_ptr(),
            b_cs,
            b_rs,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, cols: usize, salt: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, cols), |(row, col)| {
            let mixed =
                (row * 7919 + col * 104_729 + salt * 31).wrapping_mul(2_654_435_761) % 65_521;
            mixed as f32 / 32_760.5 - 1.0
        })
    }

    #[test]
    fn products_agree_with_f64() {
        for (m, n, k) in
            [(1, 1, 1), (1, 5, 3), (7, 1, 2), (2, 2, 513), (5, 70, 1030), (130, 90, 64), (3, 4, 0)]
        {
            let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
            let expected = a.mapv(f64::from).dot(&b.mapv(f64::from));
            let mut out = Array2::from_elem((m, n), 7.0);
            threaded(out.view_mut(), a.view(), b.view(), Write::Replace);
            threaded(out.view_mut(), a.view(), b.view(), Write::Add);
            for (found, expected) in out.iter().zip(&expected) {
                // Rounding of k products of at most 1 each, twice.
                assert!(
                    (f64::from(*found) - 2.0 * expected).abs() < 1e-5 * (k as f64 + 1.0),
                    "{m} {n} {k}"
                );
            }
        }
    }

    #[test]
    fn a_row_alone_gives_the_bits_it_gives_in_a_batch() {
        for (m, n, k) in [
            (300, 384, 384),
            (61, 1030, 515),
            (17, 33, 8),
            (50, 2, 70),
            (3, 85, 70),
            (3, 86, 70),
            (9, 7, 2),
            (2049, 96, 40),
            (5, 2100, 600),
            (300, 1, 9),
        ] {
            let (a, b) = (matrix(m, k, 3), matrix(n, k, 4));
            let mut batch = Array2::zeros((m, n));
            threaded(batch.view_mut(), a.view(), b.t(), Write::Replace);
            for row in [0, 1, m / 2, m - 1] {
                let mut alone = Array2::zeros((1, n));
                serial(alone.view_mut(), a.slice(s![row..=row, ..]), b.t(), Write::Replace);
                assert_eq!(alone.row(0), batch.row(row), "{m} {n} {k}: row {row}");
                // The other layout of the right factor takes other code.
                let b = b.t().as_standard_layout().into_owned();
                let mut other = Array2::zeros((m, n));
                serial(other.view_mut(), a.view(), b.view(), Write::Replace);
                serial(alone.view_mut(), a.slice(s![row..=row, ..]), b.view(), Write::Replace);
                assert_eq!(
                    alone.row(0),
                    other.row(row),
                    "{m} {n} {k}: row {row}, right factor by rows"
                );
            }
        }
    }
}

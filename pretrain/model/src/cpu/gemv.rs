//! One row times a matrix: what each token of a generated text costs.
//!
//! It gives the bits that crate `gemm` gives for such a row among others: its kernels add up the products of an output
//! one after another, fused with the multiplication where the processor can, and so does this.

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1};

use crate::ops::Write;

/// Outputs of a right factor by columns that are summed at once: enough to hide how long one addition takes. Weights are
/// read once and from memory, which is what bounds it.
const COLUMNS: usize = 16;

/// Outputs of a right factor by rows that are summed at once.
const LANES: usize = 64;

/// Whether a processor of this kind always fuses.
const FUSED: bool = cfg!(target_arch = "aarch64");

/// `out = a · b` or `out += a · b`; returns whether it did, which it does where neighbours in `a`, in `out` and in the
/// columns or rows of `b` are neighbours in memory.
///
/// # Shapes
/// `out`: `[n]`, `a`: `[k]`, `b`: `[k, n]`.
pub(super) fn multiply(
    mut out: ArrayViewMut1<f32>,
    a: ArrayView1<f32>,
    b: ArrayView2<f32>,
    write: Write,
) -> bool {
    let (Some(out), Some(a)) = (out.as_slice_mut(), a.as_slice()) else { return false };
    if b.strides()[0] == 1 {
        let column = |at: usize| b.column(at).to_slice().expect("neighbours in memory");
        for (chunk, at) in out.chunks_mut(COLUMNS).zip((0..).step_by(COLUMNS)) {
            // What is missing from the last chunk is summed as another of its columns, and let go.
            let columns = std::array::from_fn(|idx| column(at + idx.min(chunk.len() - 1)));
            put(chunk, &dots(a, columns), write);
        }
    } else if b.strides()[1] == 1 {
        let row = |at: usize| b.row(at).to_slice().expect("neighbours in memory");
        for (chunk, at) in out.chunks_mut(LANES).zip((0..).step_by(LANES)) {
            let mut sums = [0.0; LANES];
            let sums = &mut sums[..chunk.len()];
            for (at_row, &factor) in a.iter().enumerate() {
                add_scaled(sums, factor, &row(at_row)[at..at + sums.len()]);
            }
            put(chunk, sums, write);
        }
    } else {
        return false;
    }
    true
}

fn put(out: &mut [f32], sums: &[f32], write: Write) {
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = if write == Write::Add { *out + sum } else { *sum };
    }
}

#[inline(always)]
fn dots_of<const FUSED: bool>(a: &[f32], columns: [&[f32]; COLUMNS]) -> [f32; COLUMNS] {
    let columns = columns.map(|column| &column[..a.len()]);
    let mut sums = [0.0; COLUMNS];
    for (at, &factor) in a.iter().enumerate() {
        for (sum, column) in sums.iter_mut().zip(&columns) {
            *sum = multiply_add::<FUSED>(factor, column[at], *sum);
        }
    }
    sums
}

#[inline(always)]
fn add_scaled_by<const FUSED: bool>(sums: &mut [f32], factor: f32, row: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum = multiply_add::<FUSED>(factor, *value, *sum);
    }
}

#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, sum: f32) -> f32 {
    if FUSED { a.mul_add(b, sum) } else { a * b + sum }
}

/// Calls a function compiled for fused multiply-add where the processor has it.
macro_rules! fused {
    ($name:ident = $body:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?) => {
        fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn fused($($arg: $ty),*) $(-> $ret)? {
                    $body::<true>($($arg),*)
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has the features that `fused` is compiled for.
                    return unsafe { fused($($arg),*) };
                }
            }
            $body::<FUSED>($($arg),*)
        }
    };
}

fused! { dots = dots_of(a: &[f32], columns: [&[f32]; COLUMNS]) -> [f32; COLUMNS] }
fused! { add_scaled = add_scaled_by(sums: &mut [f32], factor: f32, row: &[f32]) }

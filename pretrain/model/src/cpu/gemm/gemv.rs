//! One row times a matrix: what each token of a generated text costs.
//!
//! It gives the bits that tiles give for such a row among others: products are added one after another, fused with the
//! multiplication where tiles fuse them.

use ndarray::ArrayView2;

use crate::ops::Write;

/// Outputs of a right factor by columns that are summed at once: enough to hide how long one addition takes. Weights are
/// read once and from memory, which is what bounds it.
const COLUMNS: usize = 16;

/// Outputs of a right factor by rows that are summed at once.
pub(super) const LANES: usize = 64;

/// How the right factor lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// The numbers of a row are neighbours.
    Rows,
    /// Those of a column are.
    Columns,
}

/// `out = a · b` or `out += a · b`, with sums that are `fused` or not.
///
/// # Shapes
/// `out`: `[n]`, `a`: `[k]`, `b`: `[k, n]`, which has this layout.
pub(super) fn multiply(
    out: &mut [f32],
    a: &[f32],
    (b, layout): (ArrayView2<f32>, Layout),
    write: Write,
    fused: bool,
) {
    if layout == Layout::Columns {
        let column = |at: usize| b.column(at).to_slice().expect("neighbours in memory");
        for (chunk, at) in out.chunks_mut(COLUMNS).zip((0..).step_by(COLUMNS)) {
            // What is missing from the last chunk is summed as another of its columns, and let go.
            let columns = std::array::from_fn(|idx| column(at + idx.min(chunk.len() - 1)));
            put(chunk, &dots(a, columns, fused), write);
        }
        return;
    }
    let row = |at: usize| b.row(at).to_slice().expect("neighbours in memory");
    for (chunk, at) in out.chunks_mut(LANES).zip((0..).step_by(LANES)) {
        let mut sums = [0.0; LANES];
        let sums = &mut sums[..chunk.len()];
        for (at_row, &factor) in a.iter().enumerate() {
            add_scaled(sums, factor, &row(at_row)[at..at + sums.len()], fused);
        }
        put(chunk, sums, write);
    }
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

/// Calls a function compiled for fused multiply-add where it is wanted, which is where the processor has it.
macro_rules! fused {
    ($name:ident = $body:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?) => {
        fn $name($($arg: $ty),*, fused: bool) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn fused_body($($arg: $ty),*) $(-> $ret)? {
                    $body::<true>($($arg),*)
                }
                if fused && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has the features that the function is compiled for.
                    return unsafe { fused_body($($arg),*) };
                }
            }
            assert!(!fused, "sums are fused where the processor does that");
            $body::<false>($($arg),*)
        }
    };
}

fused! { dots = dots_of(a: &[f32], columns: [&[f32]; COLUMNS]) -> [f32; COLUMNS] }
fused! { add_scaled = add_scaled_by(sums: &mut [f32], factor: f32, row: &[f32]) }

//! What products promise, in every instruction set that this processor has.

use ndarray::{Array2, s};

use super::*;

fn matrix(rows: usize, cols: usize, salt: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, cols), |(row, col)| {
        let mixed = (row * 7919 + col * 104_729 + salt * 31).wrapping_mul(2_654_435_761) % 65_521;
        mixed as f32 / 32_760.5 - 1.0
    })
}

/// Shapes on both sides of what tiles, panels, blocks, cells and chunks of the inner dimension end at.
const SHAPES: [(usize, usize, usize); 17] = [
    (1, 1, 1),
    (1, 5, 3),
    (7, 1, 2),
    (2, 2, 513),
    (3, 4, 0),
    (0, 4, 3),
    (5, 70, 1030),
    (6, 64, 1025),
    (13, 129, 33),
    (97, 65, 2050),
    (16, 16, 16),
    (130, 90, 64),
    (250, 200, 300),
    (2, 2100, 600),
    // One row for several threads, and more columns than are laid out at once.
    (1, 2100, 600),
    (2, 7100, 600),
    (7, 2200, 1030),
];

fn here() -> impl Iterator<Item = NumericProfile> {
    NumericProfile::OF_PROCESSORS.into_iter().filter(|profile| profile.is_here())
}

/// Rounding of the factors to bf16, or of the sums to f32, each of which adds up to some few of its kind.
fn tolerance(profile: NumericProfile) -> f64 {
    if profile == NumericProfile::X86V4Bf16 { 1e-2 } else { 2e-6 }
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// Both factors by rows and by columns.
fn products(
    a: &Array2<f32>,
    b: &Array2<f32>,
    mut each: impl FnMut(ArrayView2<f32>, ArrayView2<f32>),
) {
    let columns = |x: &Array2<f32>| x.t().as_standard_layout().into_owned();
    let (a_columns, b_columns) = (columns(a), columns(b));
    for a in [a.view(), a_columns.t()] {
        for b in [b.view(), b_columns.t()] {
            each(a, b);
        }
    }
}

#[test]
fn products_agree_with_f64_in_every_layout() {
    for profile in here() {
        let kernels = Kernels::of(profile);
        for (m, n, k) in SHAPES {
            let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
            let expected = a.mapv(f64::from).dot(&b.mapv(f64::from));
            let mut first: Option<Array2<f32>> = None;
            products(&a, &b, |a, b| {
                let mut out = Array2::from_elem((m, n), 7.0);
                kernels.threaded(out.view_mut(), a, b, Write::Replace);
                let same = first.get_or_insert_with(|| out.clone());
                assert_eq!(*same, out, "{profile} {m} {n} {k}: layouts differ");
                kernels.threaded(out.view_mut(), a, b, Write::Add);
                let error = out.iter().zip(&expected).map(|(out, it)| f64::from(*out) - 2.0 * it);
                let scale = 2.0 * norm(expected.iter().copied());
                assert!(norm(error) <= tolerance(profile) * scale, "{profile} {m} {n} {k}");
            });
        }
    }
}

#[test]
fn a_row_alone_gives_the_bits_it_gives_in_a_batch() {
    for profile in here() {
        let kernels = Kernels::of(profile);
        for (m, n, k) in SHAPES.into_iter().filter(|shape| shape.0 > 0) {
            products(&matrix(m, k, 3), &matrix(k, n, 4), |a, b| {
                let mut batch = Array2::zeros((m, n));
                kernels.threaded(batch.view_mut(), a, b, Write::Replace);
                for row in [0, m / 2, m - 1] {
                    let mut alone = Array2::zeros((1, n));
                    let a = a.slice(s![row..=row, ..]);
                    kernels.serial(alone.view_mut(), a, b, Write::Replace);
                    assert_eq!(alone.row(0), batch.row(row), "{profile} {m} {n} {k}: row {row}");
                }
            });
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let (m, n, k) = (301, 390, 1100);
    let (a, b) = (matrix(m, k, 5), matrix(k, n, 6));
    for kernels in here().map(Kernels::of) {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut out = Array2::zeros((m, n));
            pool.install(|| kernels.threaded(out.view_mut(), a.view(), b.view(), Write::Replace));
            out
        };
        let one = on(1);
        assert!([2, 3, 4].into_iter().all(|threads| on(threads) == one), "{kernels:?}");
    }
}

#[test]
fn only_the_product_is_written() {
    let (a, b) = (matrix(11, 70, 7), matrix(70, 75, 8));
    for kernels in here().map(Kernels::of) {
        let mut out = Array2::from_elem((13, 80), 3.0);
        kernels.serial(out.slice_mut(s![1..12, 2..77]), a.view(), b.view(), Write::Replace);
        let inside = |row: usize, col: usize| (1..12).contains(&row) && (2..77).contains(&col);
        assert!(out.indexed_iter().all(|((row, col), it)| inside(row, col) || *it == 3.0));
    }
}

/// Sums that have left factors, right factors and outputs in common, and rows enough for several blocks.
#[test]
fn sums_together_are_the_bits_of_each_after_the_other() {
    for (m, n, k) in [(1, 70, 40), (130, 90, 64), (250, 200, 2300)] {
        let [a, other] = [matrix(m, k, 1), matrix(m, k, 2)];
        let [b, another] = [matrix(k, n, 3), matrix(k, n, 4)];
        let bias: Vec<f32> = (0..n).map(|col| col as f32).collect();
        let terms = [
            vec![[a.view(), b.view()]],
            vec![[a.view(), another.view()], [other.view(), b.view()]],
            vec![[other.view(), another.view()]],
        ];
        for kernels in here().map(Kernels::of) {
            let mut together = [(); 3].map(|()| Array2::from_elem((m, n), 0.5));
            kernels.sums(together.iter_mut().zip(&terms).map(|(out, terms)| Sum {
                out: out.view_mut(),
                terms,
                bias: Some(&bias),
                write: Write::Add,
            }));
            for (out, terms) in together.iter().zip(&terms) {
                let mut alone = Array2::from_elem((m, n), 0.5);
                for [a, b] in terms {
                    kernels.serial(alone.view_mut(), a.view(), b.view(), Write::Add);
                }
                alone += &ndarray::aview1(&bias);
                assert_eq!(*out, alone, "{kernels:?} {m} {n} {k}");
            }
        }
    }
}

//! The orthogonal matrix nearest to another, roughly, by matrix products alone.

use rayon::prelude::*;

use super::{TASK_VALUES, by_tasks, norm::sum_of_squares};
use crate::{
    cpu::{
        Kernels, Tensor,
        simd::{narrow, simd},
    },
    ops::Write,
};

/// `a`, `b` and `c` of an iteration `x = a·x + (b·g + c·g²)·x` with `g = x·xᵀ`. It takes singular values from `[0, 1]` to about
/// `[0.7, 1.2]`, small ones as fast as can be, and never to one itself.
const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];
const ITERATIONS: usize = 5;

/// Smallest norm that a matrix is divided by.
const MIN_NORM: f64 = 1e-7;

/// The memory of its products.
#[derive(Clone, Debug, Default)]
pub(super) struct NewtonSchulz {
    gram: Tensor,
    polynomial: Tensor,
    product: Tensor,
    partials: Vec<f64>,
}

impl NewtonSchulz {
    /// Turns `x = U·S·Vᵀ` into about `U·Vᵀ`.
    ///
    /// Source: Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon/>. A tall matrix is not transposed, as it is there;
    /// its products are taken from the other side, which is the same.
    pub(super) fn orthogonalize(&mut self, x: &mut Tensor, kernels: Kernels) {
        let norm = narrow(sum_of_squares(x, &mut self.partials).sqrt().max(MIN_NORM));
        x.values_mut().par_chunks_mut(TASK_VALUES).for_each(|values| divide(values, norm));
        let [a, b, c] = COEFFICIENTS;
        let is_tall = x.rows() > x.cols();
        for _ in 0..ITERATIONS {
            let (plain, transposed) = (x.view(), x.view().reversed_axes());
            let sides = if is_tall { (transposed, plain) } else { (plain, transposed) };
            kernels.product(sides.0, sides.1, &mut self.gram, Write::Replace);
            let gram = self.gram.view();
            kernels.product(gram, gram, &mut self.polynomial, Write::Replace);
            by_tasks(&mut self.polynomial, &self.gram, |square, gram| blend(square, c, gram, b));
            let polynomial = self.polynomial.view();
            let factors = if is_tall { (plain, polynomial) } else { (polynomial, plain) };
            kernels.product(factors.0, factors.1, &mut self.product, Write::Replace);
            by_tasks(x, &self.product, |x, product| blend(x, a, product, 1.0));
        }
    }
}

simd! {
    fn divide(x: &mut [f32], by: f32) {
        for x in x {
            *x /= by;
        }
    }
}

simd! {
    /// `x = x * a + y * b`.
    fn blend(x: &mut [f32], a: f32, y: &[f32], b: f32) {
        for (x, y) in x.iter_mut().zip(y) {
            *x = *x * a + y * b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNELS: Kernels = Kernels::Portable;

    impl NewtonSchulz {
        /// Where its memory is.
        pub(in super::super) fn memory(&self) -> [*const f32; 3] {
            [&self.gram, &self.polynomial, &self.product].map(|it| it.values().as_ptr())
        }
    }

    fn matrix(rows: usize, cols: usize) -> Tensor {
        let value = |at: usize| ((at * at * 7 + at * 13 + 5) % 1999) as f32 / 999.5 - 1.0;
        Tensor::new(rows, cols, (0..rows * cols).map(value).collect())
    }

    /// Largest distance of the rows' products (of a tall one, the columns') from those of an orthogonal matrix.
    fn distance(x: &Tensor) -> f32 {
        let view = if x.rows() > x.cols() { x.view().reversed_axes() } else { x.view() };
        let gram = view.dot(&view.t());
        let one = |row, col| if row == col { 1.0 } else { 0.0 };
        gram.indexed_iter()
            .fold(0.0f32, |most, ((row, col), value)| most.max((value - one(row, col)).abs()))
    }

    #[test]
    fn singular_values_come_near_one() {
        for (rows, cols) in [(1, 1), (1, 9), (9, 1), (5, 40), (40, 5), (33, 70)] {
            let mut x = matrix(rows, cols);
            NewtonSchulz::default().orthogonalize(&mut x, KERNELS);
            // Squares of singular values between 0.7 and 1.2.
            assert!(distance(&x) < 0.55, "{rows} {cols}: {}", distance(&x));
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut x = Tensor::zeros(3, 4);
        NewtonSchulz::default().orthogonalize(&mut x, KERNELS);
        assert_eq!(x, Tensor::zeros(3, 4));
    }

    #[test]
    fn memory_of_a_larger_matrix_does_not_show() {
        let mut used = NewtonSchulz::default();
        used.orthogonalize(&mut matrix(40, 50), KERNELS);
        let [mut again, mut fresh] = [matrix(5, 7), matrix(5, 7)];
        used.orthogonalize(&mut again, KERNELS);
        NewtonSchulz::default().orthogonalize(&mut fresh, KERNELS);
        assert_eq!(again, fresh);
    }
}

//! The activation of GPT-2's feed-forward block.

use rayon::prelude::*;

use super::{
    simd::{exp, simd},
    tensor::Tensor,
};

pub(super) fn forward(x: &Tensor, out: &mut Tensor) {
    out.resize(x.rows(), x.cols());
    let len = x.task_len();
    out.values_mut()
        .par_chunks_mut(len)
        .zip(x.values().par_chunks(len))
        .for_each(|(out, x)| forward_slice(x, out));
}

pub(super) fn backward(x: &Tensor, dout: &Tensor, dx: &mut Tensor) {
    dx.resize(x.rows(), x.cols());
    let len = x.task_len();
    dx.values_mut()
        .par_chunks_mut(len)
        .zip(x.values().par_chunks(len))
        .zip(dout.values().par_chunks(len))
        .for_each(|((dx, x), dout)| backward_slice(x, dout, dx));
}

/// `2 * √(2/π)`, and that times `0.044715`.
const LINEAR: f32 = 1.595_769;
const CUBIC: f32 = 0.071_354_82;

/// Where the gate is open or shut, so that larger numbers need not be cubed.
const FAR: f32 = 16.0;

/// `g = (1 + tanh(u)) / 2`, and `x * dg/dx`.
///
/// `g` is the sigmoid of `2u`, which loses nothing where `tanh` comes close to minus one or one.
#[inline(always)]
fn gate(x: f32) -> (f32, f32) {
    // Comparisons and not `clamp`, so that a NaN stays one.
    let x = if x < -FAR { -FAR } else { x };
    let x = if x > FAR { FAR } else { x };
    let square = x * x;
    let angle = x * (LINEAR + CUBIC * square);
    let shutting = exp(-angle);
    let open = 1.0 / (1.0 + shutting);
    // Below, `exp` is held.
    let open = if angle < -87.0 { 0.0 } else { open };
    (open, x * open * (shutting * open) * (LINEAR + 3.0 * CUBIC * square))
}

simd! {
    fn forward_slice(x: &[f32], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = x * gate(*x).0;
        }
    }
}

simd! {
    fn backward_slice(x: &[f32], dout: &[f32], dx: &mut [f32]) {
        for ((dx, x), dout) in dx.iter_mut().zip(x).zip(dout) {
            let (open, bend) = gate(*x);
            *dx = dout * (open + bend);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the formula and its derivative give in `f64`.
    fn exact(x: f64) -> [f64; 2] {
        let scale = (2.0 / std::f64::consts::PI).sqrt();
        let angle = scale * (x + 0.044_715 * x.powi(3));
        let slope = scale * (1.0 + 3.0 * 0.044_715 * x * x);
        // `1 + tanh(u)` is `2 / (1 + e^-2u)`, without the difference.
        let open = 1.0 / (1.0 + (-2.0 * angle).exp());
        [x * open, open + x * open * (1.0 - open) * 2.0 * slope]
    }

    fn found(x: f32) -> [f32; 2] {
        let (mut out, mut dx) = ([0.0], [0.0]);
        forward_slice(&[x], &mut out);
        backward_slice(&[x], &[1.0], &mut dx);
        [out[0], dx[0]]
    }

    #[test]
    fn values_and_slopes_are_within_a_few_units_in_the_last_place() {
        let mut x = -20.0f32;
        while x < 20.0 {
            for (found, exact) in found(x).into_iter().zip(exact(f64::from(x))) {
                let error = (f64::from(found) - exact).abs() / exact.abs().max(0.5);
                assert!(error < 4.0 * f64::from(f32::EPSILON), "{x}: {found:e} {exact:e}");
            }
            x += 0.000_37;
        }
        for exponent in -30..0 {
            let x = 2f32.powi(exponent);
            let (found, exact) = (f64::from(found(-x)[0]), exact(f64::from(-x))[0]);
            assert!((found / exact - 1.0).abs() < 2.0 * f64::from(f32::EPSILON), "{x:e}");
        }
    }

    #[test]
    fn far_from_zero_the_gate_is_open_or_shut() {
        for x in [17.0, 1e10, 1e30, f32::MAX] {
            assert_eq!(found(x), [x, 1.0]);
            assert_eq!(found(-x), [0.0, 0.0]);
        }
        assert!(found(f32::NAN).iter().all(|value| value.is_nan()));
    }
}

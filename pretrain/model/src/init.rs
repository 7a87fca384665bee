//! Fresh weights as a pure function of the seed, the tensor's name and the place in it.

use pipelines::seed::Seed;
use rayon::prelude::*;

use crate::cpu::simd::narrow;

/// How a tensor begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Init {
    /// Draws from a normal distribution around zero.
    Normal {
        /// Its standard deviation.
        std: f64,
    },
    /// Every number is one.
    One,
    /// Every number is zero.
    Zero,
}

/// Pairs of draws that one task makes.
const TASK_PAIRS: usize = 8192;

impl Init {
    /// The first `len` numbers of the tensor `name`.
    pub(crate) fn draw(self, seed: u64, name: &str, len: usize) -> Vec<f32> {
        let mut values = vec![if self == Self::One { 1.0 } else { 0.0 }; len];
        if let Self::Normal { std } = self {
            let seed = Seed::new(seed, &format!("init/{name}"));
            values.par_chunks_mut(2 * TASK_PAIRS).enumerate().for_each(|(task, values)| {
                for (pair, values) in values.chunks_mut(2).enumerate() {
                    let drawn = normal_pair(seed, (task * TASK_PAIRS + pair) as u64);
                    for (value, drawn) in values.iter_mut().zip(drawn) {
                        *value = narrow(drawn * std);
                    }
                }
            });
        }
        values
    }
}

/// Two independent draws from the standard normal distribution.
///
/// Source: Box and Muller 1958; logarithm and cosine from `libm`, the same on every machine.
fn normal_pair(seed: Seed, pair: u64) -> [f64; 2] {
    // 1 - [0, 1) is never zero.
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - seed.unit(0, pair)));
    let angle = 2.0 * std::f64::consts::PI * seed.unit(1, pair);
    [radius * libm::cos(angle), radius * libm::sin(angle)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_weights_are_normal_and_depend_on_the_name() {
        let draw = |name| Init::Normal { std: 0.02 }.draw(7, name, 40_001);
        let values = draw("a");
        let n = values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / n;
        let variance = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / n;
        // Five standard errors of each.
        assert!(mean.abs() < 5.0 * 0.02 / n.sqrt(), "{mean}");
        assert!((variance / 4e-4 - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{variance}");
        assert_eq!(values, draw("a"));
        assert_ne!(values, draw("b"));
        assert_eq!(Init::One.draw(7, "a", 3), [1.0; 3]);
        assert_eq!(Init::Zero.draw(7, "a", 3), [0.0; 3]);
    }

    #[test]
    fn a_longer_tensor_begins_with_the_shorter() {
        let draw = |len| Init::Normal { std: 1.0 }.draw(7, "a", len);
        assert_eq!(draw(20_001)[..7], draw(7));
    }
}

//! The standard normal distribution.

use std::f64::consts::{PI, SQRT_2};

/// Where the standard normal distribution reaches `probability`, above 0 and below 1.
///
/// A rational start (Abramowitz and Stegun 1964, 26.2.23, error below 4.5e-4), then Newton steps, which double the
/// digits each.
pub(crate) fn quantile(probability: f64) -> f64 {
    if probability > 0.5 {
        return -quantile(1.0 - probability);
    }
    let t = (-2.0 * libm::log(probability)).sqrt();
    let start = (2.515_517 + t * (0.802_853 + t * 0.010_328))
        / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)))
        - t;
    (0..4).fold(start, |x, _| x - (distribution(x) - probability) / density(x))
}

fn distribution(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

fn density(x: f64) -> f64 {
    libm::exp(-0.5 * x * x) / (2.0 * PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_invert_the_distribution() {
        for probability in [1e-12, 1e-6, 0.005, 0.025, 0.3, 0.5, 0.8, 0.975, 0.9995] {
            let found = distribution(quantile(probability));
            assert!((found / probability - 1.0).abs() < 1e-12, "{probability}: {found}");
        }
        assert!((quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-14);
    }
}

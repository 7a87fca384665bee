//! From the sum of a linear classifier to a probability.

/// `1 / (1 + exp(-(slope · sum + offset)))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Platt {
    /// How fast the probability rises.
    pub slope: f64,
    /// Where it rises.
    pub offset: f64,
}

impl Default for Platt {
    /// What logistic regression itself takes for the probability.
    fn default() -> Self {
        Self { slope: 1.0, offset: 0.0 }
    }
}

const MAX_STEPS: usize = 100;

impl Platt {
    /// The probability for a sum.
    pub fn probability(self, sum: f64) -> f64 {
        1.0 / (1.0 + libm::exp(-(self.slope * sum + self.offset)))
    }

    /// The slope and offset under which texts with these sums are most likely what `is_second` says they are.
    ///
    /// Sums should be those of texts that were not learnt from. Targets are smoothed as if each class had two texts more,
    /// and what is smoothed away grows with how few there are.
    ///
    /// Source: Platt 1999, "Probabilistic outputs for support vector machines"; Newton's method as by Lin, Lin and Weng 2007,
    /// "A note on Platt's probabilistic outputs for support vector machines".
    pub fn fit(sums: &[f64], is_second: &[bool]) -> Self {
        let num_second = is_second.iter().filter(|second| **second).count() as f64;
        let num_first = is_second.len() as f64 - num_second;
        let high = (num_second + 1.0) / (num_second + 2.0);
        let low = 1.0 / (num_first + 2.0);
        let rows: Vec<(f64, f64)> = sums
            .iter()
            .zip(is_second)
            .map(|(sum, second)| (*sum, if *second { high } else { low }))
            .collect();
        let mut best =
            Self { slope: 0.0, offset: libm::log((num_second + 1.0) / (num_first + 1.0)) };
        for _ in 0..MAX_STEPS {
            let Some(better) = best.improved(&rows) else { break };
            best = better;
        }
        best
    }

    /// One step of Newton's method, halved until it gains; `None` where none does.
    fn improved(self, rows: &[(f64, f64)]) -> Option<Self> {
        // A ridge keeps the matrix of second derivatives invertible.
        let (mut aa, mut ab, mut bb, mut a, mut b) = (1e-12, 0.0, 1e-12, 0.0, 0.0);
        for (sum, target) in rows {
            let probability = self.probability(*sum);
            let curve = probability * (1.0 - probability);
            aa += sum * sum * curve;
            ab += sum * curve;
            bb += curve;
            a += sum * (probability - target);
            b += probability - target;
        }
        if a.abs() < 1e-5 && b.abs() < 1e-5 {
            return None;
        }
        let determinant = aa * bb - ab * ab;
        let step = [(ab * b - bb * a) / determinant, (ab * a - aa * b) / determinant];
        let rise = a * step[0] + b * step[1];
        let now = self.loss(rows);
        let halved = |halvings: i32| (-f64::from(halvings)).exp2();
        (0..30).map(halved).find_map(|size| {
            let next =
                Self { slope: self.slope + size * step[0], offset: self.offset + size * step[1] };
            (next.loss(rows) < now + 1e-4 * size * rise).then_some(next)
        })
    }

    /// Nats that it costs to say the targets by these probabilities.
    fn loss(self, rows: &[(f64, f64)]) -> f64 {
        let cost = |(sum, target): &(f64, f64)| {
            let logit = self.slope * sum + self.offset;
            // ln(1 + exp(x)), without overflow.
            let softplus = logit.max(0.0) + libm::log1p(libm::exp(-logit.abs()));
            softplus - target * logit
        };
        rows.iter().map(cost).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipelines::seed::Seed;

    #[test]
    fn what_the_sums_were_drawn_with_is_found() {
        let seed = Seed::new(2, "test");
        let truth = Platt { slope: 3.0, offset: -1.0 };
        let sums: Vec<f64> = (0..20_000).map(|at| 2.0 * seed.unit(0, at) - 1.0).collect();
        let is_second: Vec<bool> =
            (0..).zip(&sums).map(|(at, sum)| seed.unit(1, at) < truth.probability(*sum)).collect();
        let found = Platt::fit(&sums, &is_second);
        assert!((found.slope - 3.0).abs() < 0.2 && (found.offset + 1.0).abs() < 0.1, "{found:?}");
    }

    #[test]
    fn sums_that_say_all_give_no_certainty() {
        let found = Platt::fit(&[-1.0, -1.0, 1.0, 1.0], &[false, false, true, true]);
        assert!((found.probability(1.0) - 0.75).abs() < 1e-3, "{found:?}");
        assert!((found.probability(-1.0) - 0.25).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn one_class_alone_is_no_error() {
        let found = Platt::fit(&[0.0, 0.0], &[true, true]);
        assert!((found.probability(0.0) - 0.75).abs() < 1e-3, "{found:?}");
    }
}

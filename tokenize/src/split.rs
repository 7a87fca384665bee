//! Which documents validate.

use pipelines::seed::Seed;

use crate::TokenizeError;

/// Draws documents into the validation split by their id alone: a document stays where it is whatever else the corpus
/// holds, and copies stay together.
pub(crate) struct Split {
    seed: Seed,
    validation: f64,
}

impl Split {
    /// A split that holds out the share `validation`.
    pub(crate) fn new(seed: u64, validation: f64) -> Self {
        Self { seed: Seed::new(seed, "validation split"), validation }
    }

    /// Whether the document `id` validates.
    pub(crate) fn is_validation(&self, id: &str) -> Result<bool, TokenizeError> {
        let bad = || TokenizeError::BadId { found: id.to_owned() };
        let halves = (id.len() == 32).then(|| Some((id.get(..16)?, id.get(16..)?))).flatten();
        let (hi, lo) = halves.ok_or_else(bad)?;
        let number = |half| u64::from_str_radix(half, 16).map_err(|_| bad());
        Ok(self.seed.unit(number(hi)?, number(lo)?) < self.validation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_out(seed: u64, validation: f64) -> Vec<usize> {
        let split = Split::new(seed, validation);
        (0..10_000).filter(|at| split.is_validation(&format!("{at:032x}")).unwrap()).collect()
    }

    #[test]
    fn the_share_is_held_out() {
        assert_eq!(held_out(1, 0.0).len(), 0);
        // Five standard errors of 10,000 draws.
        assert!((held_out(1, 0.1).len() as f64 - 1000.0).abs() < 5.0 * (900f64).sqrt());
    }

    #[test]
    fn a_larger_share_holds_a_smaller_one() {
        let large = held_out(1, 0.2);
        assert!(held_out(1, 0.1).iter().all(|at| large.contains(at)));
        assert_ne!(held_out(2, 0.2), large);
    }

    #[test]
    fn ids_are_digests() {
        for id in ["", "0", &"g".repeat(32), &"0".repeat(33), &"é".repeat(16)] {
            let error = Split::new(1, 0.5).is_validation(id).unwrap_err().to_string();
            assert!(error.starts_with("a document has the id"), "{error}");
        }
    }
}

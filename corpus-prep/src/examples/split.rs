//! Which split a row is in.

use super::config::Shares;
use pipelines::digest::Digest;
use pipelines::seed::Seed;
use pipelines::table::examples::Split;
use serde::Serialize;

/// Deals rows to splits by chance, each by itself: other rows that come or go do not move it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dealer {
    /// The manifest's seed.
    pub seed: u64,
    /// How large splits are.
    pub shares: Shares,
}

impl Dealer {
    /// The split of all rows of the group `group`; of a row without group, its id.
    pub fn split(&self, group: &str) -> Split {
        let digest = Digest::of(group.as_bytes());
        let half = |bytes: &[u8]| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        let (hi, lo) = (half(&digest.as_bytes()[..8]), half(&digest.as_bytes()[8..16]));
        let draw = Seed::new(self.seed, "corpus-prep/split").unit(hi, lo);
        let Shares { train, validation, test } = self.shares;
        if draw < train {
            Split::Train
        } else if draw < train + validation || test == 0.0 {
            Split::Validation
        } else {
            Split::Test
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(train: f64, validation: f64, test: f64) -> Dealer {
        Dealer { seed: 1337, shares: Shares { train, validation, test } }
    }

    #[test]
    fn splits_have_about_their_shares() {
        let dealer = shares(0.8, 0.1, 0.1);
        let splits: Vec<_> = (0..10_000).map(|row| dealer.split(&row.to_string())).collect();
        let count = |split| splits.iter().filter(|found| **found == split).count();
        // Three standard deviations of a binomial with 10,000 draws are 120 and 90.
        assert!(count(Split::Train).abs_diff(8000) < 120);
        assert!(count(Split::Validation).abs_diff(1000) < 90);
        assert!(count(Split::Test).abs_diff(1000) < 90);
    }

    #[test]
    fn a_split_without_share_is_empty() {
        let in_split =
            |dealer: Dealer, split| (0..1000).any(|row| dealer.split(&row.to_string()) == split);
        assert!(!in_split(shares(0.7, 0.3, 0.0), Split::Test));
        assert!(!in_split(shares(0.7, 0.0, 0.3), Split::Validation));
    }

    #[test]
    fn a_split_is_the_same_in_every_release() {
        let groups = ["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"];
        let splits = groups.map(|group| shares(0.5, 0.2, 0.3).split(group).name());
        assert_eq!(
            splits.join(" "),
            "train train test train validation validation validation train"
        );
    }
}

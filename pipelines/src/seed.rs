//! Random numbers as a pure function of where they are used.
//!
//! A [`Seed`] names a place (a seed from the manifest and a *site*, such as `"init"`), a counter names the draw.
//! The same place and counter give the same number on every machine, in any order, from any thread, which is what
//! lets a run resume, be re-run in parallel, or be extended without its past changing.

/// One stream of random numbers: a key for the Philox counter.
///
/// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", Philox4x32-10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    key: [u32; 2],
}

impl Seed {
    /// The stream of `seed` at `site`.
    pub fn new(seed: u64, site: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("seedbed 2026 counter-based seed");
        hasher.update(&seed.to_le_bytes()).update(site.as_bytes());
        let bytes = hasher.finalize();
        let word = |at: usize| {
            u32::from_le_bytes([
                bytes.as_bytes()[at],
                bytes.as_bytes()[at + 1],
                bytes.as_bytes()[at + 2],
                bytes.as_bytes()[at + 3],
            ])
        };
        Self { key: [word(0), word(4)] }
    }

    /// 128 random bits for the counter `(hi, lo)`; for example `(step, sample)`.
    pub fn draw(&self, hi: u64, lo: u64) -> [u32; 4] {
        let [a, b] = halves(lo);
        let [c, d] = halves(hi);
        philox([a, b, c, d], self.key)
    }

    /// A uniform `u64` for the counter `(hi, lo)`.
    pub fn u64(&self, hi: u64, lo: u64) -> u64 {
        let [a, b, ..] = self.draw(hi, lo);
        u64::from(a) | u64::from(b) << 32
    }

    /// A uniform number in `[0, 1)` with 53 random bits, for the counter `(hi, lo)`.
    pub fn unit(&self, hi: u64, lo: u64) -> f64 {
        // 53 bits fit the mantissa exactly, so the conversion does not round.
        (self.u64(hi, lo) >> 11) as f64 * (-53f64).exp2()
    }

    /// A uniform number in `[0, bound)`, for the counter `(hi, lo)`.
    ///
    /// Multiply-shift on 64 random bits: the bias is below `bound / 2^64`.
    ///
    /// # Panics
    /// If `bound` is zero.
    pub fn below(&self, bound: u64, hi: u64, lo: u64) -> u64 {
        assert!(bound > 0, "no number is below zero");
        let wide = u128::from(self.u64(hi, lo)) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the upper half of a product of two u64 is a u64")
    }
}

fn halves(wide: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = wide.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// Philox 4x32 with ten rounds: 128 random bits for a counter.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        let [lo0, hi0] = halves(u64::from(counter[0]) * 0xD251_1F53);
        let [lo1, hi1] = halves(u64::from(counter[2]) * 0xCD9E_8D57);
        counter = [hi1 ^ counter[1] ^ key[0], lo1, hi0 ^ counter[3] ^ key[1], lo0];
    }
    counter
}

/// A pseudo-random permutation of `0..len`, computed at one place at a time and without a table.
///
/// A balanced Feistel network of four rounds over the smallest even number of bits that holds `len`, with cycle
/// walking back into range (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"). At most four times as
/// many values as `len` are walked over, so a call costs fewer than four networks on average.
#[derive(Clone, Copy, Debug)]
pub struct Permutation {
    seed: Seed,
    epoch: u64,
    len: u64,
    half_bits: u32,
}

impl Permutation {
    /// The permutation of `0..len` for `epoch`.
    pub fn new(seed: Seed, epoch: u64, len: u64) -> Self {
        let bits = u64::BITS - len.saturating_sub(1).leading_zeros();
        Self { seed, epoch, len, half_bits: bits.div_ceil(2).max(1) }
    }

    /// Where index `at` goes.
    ///
    /// # Panics
    /// If `at` is not below the length.
    pub fn at(&self, at: u64) -> u64 {
        assert!(at < self.len, "{at} is not below {}", self.len);
        let mut walked = self.encrypt(at);
        while walked >= self.len {
            walked = self.encrypt(walked);
        }
        walked
    }

    fn encrypt(&self, value: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for round in 0..4u64 {
            let mixed = self.seed.u64(self.epoch, round << 32 | right) & mask;
            (left, right) = (right, left ^ mixed);
        }
        left << self.half_bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_vectors() {
        // Random123 1.14, kat_vectors, philox4x32 10.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    #[test]
    fn a_permutation_meets_every_index_once() {
        for len in [1u64, 2, 3, 4, 5, 17, 255, 256, 257, 1000] {
            let permutation = Permutation::new(Seed::new(7, "order"), 3, len);
            let mut met: Vec<u64> = (0..len).map(|at| permutation.at(at)).collect();
            met.sort_unstable();
            assert_eq!(met, (0..len).collect::<Vec<_>>(), "{len}");
        }
    }

    #[test]
    fn sites_epochs_and_seeds_differ() {
        let orders: Vec<Vec<u64>> = [(1, "a", 0), (1, "b", 0), (2, "a", 0), (1, "a", 1)]
            .into_iter()
            .map(|(seed, site, epoch)| {
                let order = Permutation::new(Seed::new(seed, site), epoch, 64);
                (0..64).map(|at| order.at(at)).collect()
            })
            .collect();
        for (at, order) in orders.iter().enumerate() {
            assert!(orders[..at].iter().all(|other| other != order), "{at}");
        }
    }

    #[test]
    fn unit_numbers_are_uniform() {
        let seed = Seed::new(1, "unit");
        let mean = (0..10_000).map(|at| seed.unit(0, at)).sum::<f64>() / 1e4;
        // Five standard errors of a mean of 10,000 uniform draws.
        assert!((mean - 0.5).abs() < 5.0 * (1.0f64 / 12.0).sqrt() / 100.0, "{mean}");
    }
}

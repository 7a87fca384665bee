//! Dropout, with masks made where they are needed, [`GROUP`] numbers of a row at a time.

use rayon::prelude::*;

use super::{
    simd::{narrow, simd},
    tensor::{Tensor, rows_per_task},
};
use crate::dropout::{self, Mask, Place, counter};

/// Draws that are made at once, and words of each.
const LANES: usize = dropout::LANES as usize;
const WORDS: usize = dropout::WORDS as usize;

/// Numbers of a row whose masks are made at once.
const GROUP: usize = LANES * WORDS;

/// What is dropped of one part of a tensor, a head or all of it.
#[derive(Clone, Copy)]
pub(super) struct Drops {
    key: [u32; 2],
    threshold: u32,
    scale: f32,
}

impl Drops {
    pub(super) fn new(mask: &Mask, part: usize) -> Self {
        let part = u32::try_from(part).expect("configs hold counts below 2^31");
        let (threshold, scale) = (mask.threshold(), narrow(mask.scale()));
        Self { key: mask.key(part), threshold, scale }
    }

    /// What the numbers of a group are multiplied with, in a row that stands at `place`.
    #[inline(always)]
    fn factors(&self, place: Place, group: u32) -> [f32; GROUP] {
        let bits = philox(counter(place, group * dropout::LANES), self.key);
        let mut factors = [0.0; GROUP];
        for (factors, bits) in factors.chunks_exact_mut(LANES).zip(&bits) {
            for lane in 0..LANES {
                factors[lane] = if bits[lane] < self.threshold { 0.0 } else { self.scale };
            }
        }
        factors
    }
}

/// Drops numbers of `x`.
pub(super) fn apply(x: &mut Tensor, mask: &Mask) {
    assert_eq!(x.rows(), mask.places().len(), "a mask has a place for each row");
    let (drops, cols, len) = (Drops::new(mask, 0), x.cols(), x.task_len());
    let tasks = x.values_mut().par_chunks_mut(len);
    tasks.zip(mask.places().par_chunks(rows_per_task(cols))).for_each(|(rows, places)| {
        for (row, place) in rows.chunks_exact_mut(cols).zip(places) {
            drop_row(row, drops, *place);
        }
    });
}

simd! {
    /// Drops numbers of a row that stands at `place`.
    pub(super) fn drop_row(row: &mut [f32], drops: Drops, place: Place) {
        for (row, group) in row.chunks_mut(GROUP).zip(0..) {
            let factors = drops.factors(place, group);
            for (x, factor) in row.iter_mut().zip(&factors) {
                *x *= factor;
            }
        }
    }
}

simd! {
    /// Of probabilities `p` of a query that stands at `place`, and the gradients of what was kept of them, `ds`: the gradients
    /// of their scores, `ds = p * (m * ds - mean) * factor` with the mask's factors `m`, and what was kept, `p = m * p`.
    pub(super) fn score_gradients(
        p: &mut [f32],
        ds: &mut [f32],
        mean: f32,
        factor: f32,
        drops: Drops,
        place: Place,
    ) {
        for ((p, ds), group) in p.chunks_mut(GROUP).zip(ds.chunks_mut(GROUP)).zip(0..) {
            let factors = drops.factors(place, group);
            for ((p, ds), m) in p.iter_mut().zip(ds).zip(&factors) {
                *ds = *p * (m * *ds - mean) * factor;
                *p *= m;
            }
        }
    }
}

/// Philox 4x32 with ten rounds, of [`LANES`] counters that follow each other from `first`: the words of each side by side.
///
/// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3.
#[inline(always)]
fn philox(first: [u32; 4], mut key: [u32; 2]) -> [[u32; LANES]; WORDS] {
    let mut words = first.map(|word| [word; LANES]);
    for (word, lane) in words[0].iter_mut().zip(0..) {
        *word = word.wrapping_add(lane);
    }
    for _ in 0..10 {
        let [a, b, c, d] = words;
        for lane in 0..LANES {
            let (high, low) = product(a[lane], 0xD251_1F53);
            let (other_high, other_low) = product(c[lane], 0xCD9E_8D57);
            words[0][lane] = other_high ^ b[lane] ^ key[0];
            words[1][lane] = other_low;
            words[2][lane] = high ^ d[lane] ^ key[1];
            words[3][lane] = low;
        }
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    words
}

/// The upper and the lower half of a product.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "halves are what it is for")]
fn product(a: u32, b: u32) -> (u32, u32) {
    let wide = u64::from(a) * u64::from(b);
    ((wide >> 32) as u32, wide as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipelines::seed::Seed;

    use crate::dropout::Dropout;

    #[track_caller]
    fn check(counter: [u32; 4], key: [u32; 2], expected: [u32; 4]) {
        assert_eq!(philox(counter, key).map(|words| words[0]), expected);
    }

    #[test]
    fn philox_gives_the_published_vectors() {
        // Random123 1.14, kat_vectors, philox4x32 10.
        check([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        check([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        check(
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        );
    }

    #[test]
    fn rows_of_every_length_have_the_factors_of_their_mask() {
        let dropout = Dropout { seed: Seed::new(5, "test"), step: 1 << 40 };
        let places =
            [Place { sequence: u64::MAX - 3, position: 7 }, Place { sequence: 2, position: 0 }];
        let mask = Mask::new(dropout, 9, 0.3, &places);
        for (part, cols) in [0u32, 3].into_iter().zip([1u32, 200]) {
            for (row, place) in places.iter().enumerate() {
                let mut found = vec![1.0; cols as usize];
                drop_row(&mut found, Drops::new(&mask, part as usize), *place);
                let expected: Vec<f32> =
                    mask.factors(part, row).take(cols as usize).map(narrow).collect();
                assert_eq!(found, expected);
            }
        }
    }
}

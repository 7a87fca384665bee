//! Which pieces of a text were seen before.

/// A table of places in a text, found by hashes of what stands there. Its memory is used again for the next pieces, and need
/// not be cleared.
#[derive(Debug, Default)]
pub struct Seen {
    slots: Vec<Slot>,
    round: u32,
    /// By how much a hash is shifted to become the number of a slot.
    shift: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The round that filled it.
    round: u32,
    place: u32,
    /// Some bits of the hash, so that few other places are compared.
    tag: u32,
}

/// An odd constant that spreads what is multiplied by it over the upper bits: 2^64 over the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Seen {
    /// Forgets all places, and makes room for `most` of them.
    pub fn begin(&mut self, most: usize) {
        let bits = (most * 2).max(2).next_power_of_two().ilog2();
        self.round = self.round.wrapping_add(1);
        if self.slots.len() < 1 << bits || self.round == 0 {
            self.slots.clear();
            self.slots.resize(1 << bits, Slot::default());
            self.round = 1;
        }
        self.shift = 64 - bits;
    }

    /// The first place with what stands at `place`, which may be itself; `is_same` compares it with another one.
    pub fn first(&mut self, hash: u64, place: u32, is_same: impl Fn(u32) -> bool) -> u32 {
        let last = (1 << (64 - self.shift)) - 1;
        let spread = hash.wrapping_mul(SPREAD);
        let mut at = usize::try_from(spread >> self.shift).unwrap_or_default();
        let tag = u32::try_from(spread & u64::from(u32::MAX)).unwrap_or_default();
        loop {
            let slot = &mut self.slots[at];
            if slot.round != self.round {
                *slot = Slot { round: self.round, place, tag };
                return place;
            }
            if slot.tag == tag && is_same(slot.place) {
                return slot.place;
            }
            at = if at == last { 0 } else { at + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_is_found_whatever_the_hashes_and_rounds() {
        let words = ["a", "b", "a", "c", "b", "a", "d", "e", "f", "g"];
        let mut seen = Seen::default();
        for hash in [|_: &str| 7, |word: &str| u64::from(word.as_bytes()[0])] {
            for most in [words.len(), words.len() * 100] {
                seen.begin(most);
                let first = |(place, word): (u32, &&str)| {
                    seen.first(hash(word), place, |other| words[other as usize] == *word)
                };
                let found: Vec<_> = (0..).zip(&words).map(first).collect();
                assert_eq!(found, [0, 1, 0, 3, 1, 0, 6, 7, 8, 9]);
            }
        }
    }
}

//! Dropout: which numbers a training pass drops, as a pure function of where each stands.
//!
//! No mask is stored: a backward pass asks again, and so does one that makes activations again. What a number's place is
//! knows nothing of the batch, so that packing, micro-batches, threads and a restart change no mask.
//!
//! Source: Srivastava et al. 2014, JMLR 15; what is kept is scaled in training, as in torch.

use pipelines::seed::{Seed, philox};

/// Words of one draw.
pub(crate) const WORDS: u32 = 4;
/// Draws whose words stand side by side: the first words of all, then the second ones, and so on.
pub(crate) const LANES: u32 = 16;

/// What decides the masks of an optimizer step, beside the model: they differ from step to step and from seed to seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropout {
    /// Of the run, at a site of its own.
    pub seed: Seed,
    /// The optimizer step, counted from anywhere.
    pub step: u64,
}

/// Where a token stands, and what is computed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of its sequence, as [`Sequences::number`](crate::Sequences::number) gave it.
    pub sequence: u64,
    /// Its position in the sequence, counted from zero.
    pub position: u32,
}

/// Places of a model at which numbers are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// The embedded tokens.
    Embeddings,
    /// What a classifier reads.
    Classifier,
    /// Probabilities of attention, of this block.
    Attention(usize),
    /// What attention adds to the residual stream, of this block.
    AttentionOutput(usize),
    /// What the feed-forward part adds to the residual stream, of this block.
    FeedForward(usize),
}

impl Site {
    /// Its number, which is part of every mask.
    fn number(self) -> u32 {
        let of_block = |block: usize, at: u32| {
            let block = u32::try_from(block).expect("configs hold counts below 2^31");
            block.wrapping_mul(3).wrapping_add(at)
        };
        match self {
            Self::Embeddings => 0,
            Self::Classifier => 1,
            Self::Attention(block) => of_block(block, 2),
            Self::AttentionOutput(block) => of_block(block, 3),
            Self::FeedForward(block) => of_block(block, 4),
        }
    }
}

/// What is dropped of a tensor: row by row, whose places are known.
///
/// Number `c` of a row of place `p` is kept if its 32 random bits, as a number, are not below `rate * 2^32`. They come from
/// Philox with a key that is drawn for seed, step, site and part; the counter is `p` and which draw of the row it is. Of
/// 64 numbers in a row, the first 16 have the first words of as many draws, the next their second words, and so on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mask<'a> {
    dropout: Dropout,
    site: u32,
    rate: f64,
    places: &'a [Place],
}

impl<'a> Mask<'a> {
    /// Of a tensor whose rows stand at `places`, by site number; numbers are dropped with probability `rate`.
    ///
    /// # Panics
    /// If `rate` is not from 0 to below 1.
    pub fn new(dropout: Dropout, site: u32, rate: f64, places: &'a [Place]) -> Self {
        assert!((0.0..1.0).contains(&rate), "a rate of {rate} is not from 0 to below 1");
        Self { dropout, site, rate, places }
    }

    /// Where each row of the tensor stands. Of attention, a row is that of a query.
    pub fn places(&self) -> &'a [Place] {
        self.places
    }

    /// What is kept is multiplied with this: `1 / (1 - rate)`.
    pub fn scale(&self) -> f64 {
        1.0 / (1.0 - self.rate)
    }

    /// Random bits below this drop their number.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate from 0 to below 1 gives a whole number from 0 to 2^32, of which the last is held below"
    )]
    pub fn threshold(&self) -> u32 {
        (self.rate * 2f64.powi(32)).round() as u32
    }

    /// The key of Philox for a part of the tensor: a head of attention, else 0.
    pub fn key(&self, part: u32) -> [u32; 2] {
        let lo = u64::from(self.site) << 32 | u64::from(part);
        let [first, second, ..] = self.dropout.seed.draw(self.dropout.step, lo);
        [first, second]
    }

    /// What each number of `row` is multiplied with, of a part: 0 or [`Self::scale`]. Of attention, the row is that of a query,
    /// the number that of the position of a key, the part a head.
    pub fn factors(&self, part: u32, row: usize) -> impl Iterator<Item = f64> {
        let (key, place) = (self.key(part), self.places[row]);
        let (threshold, scale) = (self.threshold(), self.scale());
        (0..).map(move |number: u32| {
            let (group, word, lane) =
                (number / (LANES * WORDS), number / LANES % WORDS, number % LANES);
            let bits = philox(counter(place, group * LANES + lane), key)[word as usize];
            if bits < threshold { 0.0 } else { scale }
        })
    }
}

/// The counter of a draw for a row that stands there.
pub(crate) fn counter(place: Place, draw: u32) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h] = place.sequence.to_le_bytes();
    [draw, place.position, u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// The masks of a pass: none, unless it trains with dropout.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Masks<'a>(Option<(Dropout, &'a [Place])>);

impl<'a> Masks<'a> {
    /// Of tensors whose rows stand at `places`.
    pub(crate) fn new(dropout: Option<Dropout>, places: &'a [Place]) -> Self {
        Self(dropout.map(|dropout| (dropout, places)))
    }

    /// The mask at a site; `None` where nothing is dropped.
    pub(crate) fn at(self, site: Site, rate: f64) -> Option<Mask<'a>> {
        let (dropout, places) = self.0.filter(|_| rate > 0.0)?;
        Some(Mask::new(dropout, site.number(), rate, places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_site_has_its_number() {
        let of_block = |block| {
            [Site::Attention(block), Site::AttentionOutput(block), Site::FeedForward(block)]
        };
        let sites = [Site::Embeddings, Site::Classifier].into_iter();
        let numbers: Vec<u32> = sites.chain((0..3).flat_map(of_block)).map(Site::number).collect();
        assert_eq!(numbers, (0..11).collect::<Vec<u32>>());
    }

    #[test]
    fn rates_up_to_the_last_have_a_threshold() {
        let dropout = Dropout { seed: Seed::new(1, "test"), step: 0 };
        let threshold = |rate| Mask::new(dropout, 0, rate, &[]).threshold();
        assert_eq!((threshold(0.0), threshold(0.5)), (0, 1 << 31));
        assert_eq!(threshold(1.0 - f64::EPSILON), u32::MAX);
    }
}

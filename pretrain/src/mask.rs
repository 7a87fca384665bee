//! Which tokens a model has to guess, and what it reads in their place.

use codec::Codec;
use model::{SequenceForm, TokenBatch};
use pipelines::seed::Seed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::PretrainError;

/// Of the chosen tokens, the share that the mask hides.
const MASKED: f64 = 0.8;
/// Of the chosen tokens, the share up to which, from [`MASKED`] on, a random token stands; the rest stay as they are.
const MASKED_OR_RANDOM: f64 = 0.9;

/// Which tokens are to be guessed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mask {
    /// Chance of each token (or word) to be chosen; above 0, at most 1.
    pub probability: f64,
    /// Whether whole words are chosen, as the vocabulary tells them, instead of tokens.
    pub whole_word: bool,
}

impl Default for Mask {
    /// As in BERT.
    fn default() -> Self {
        Self { probability: 0.15, whole_word: false }
    }
}

/// Chooses and hides tokens: of the chosen, 80 in 100 behind the mask, 10 behind a random token of the whole vocabulary,
/// 10 behind themselves.
///
/// Each draw is a function of the seed, the number of the sequence, and the place in it; the same sequence in a later
/// epoch has another number. Special tokens are never chosen. Of a sequence that would have no chosen token, the one that
/// came nearest is.
///
/// Source: Devlin et al. 2019, arXiv:1810.04805, section 3.1; chances and the random token's range as in
/// `DataCollatorForLanguageModeling` of `transformers`, at least one token a sequence as in the authors' program.
pub struct Masker<'a> {
    mask: &'a Mask,
    codec: &'a Codec,
    form: SequenceForm,
    mask_id: u32,
    chosen: Seed,
    hidden: Seed,
    random: Seed,
}

impl<'a> Masker<'a> {
    /// Draws at `site` of `seed`.
    ///
    /// # Errors
    /// When the vocabulary lacks one of the special tokens.
    pub fn new(
        mask: &'a Mask,
        codec: &'a Codec,
        seed: u64,
        site: &str,
    ) -> Result<Self, PretrainError> {
        let missing = |role| PretrainError::NoSpecialToken { role };
        let seed = |draw: &str| Seed::new(seed, &format!("{site}/{draw}"));
        Ok(Self {
            mask,
            codec,
            form: SequenceForm::Bert {
                cls: codec.cls().ok_or(missing("cls_token"))?,
                sep: codec.sep().ok_or(missing("sep_token"))?,
            },
            mask_id: codec.mask().ok_or(missing("mask_token"))?,
            chosen: seed("chosen"),
            hidden: seed("hidden"),
            random: seed("random"),
        })
    }

    /// Adds `text`, between its special tokens, as sequence `number`.
    ///
    /// # Errors
    /// None: there is a target for each token.
    pub fn push(
        &self,
        batch: &mut TokenBatch,
        number: u64,
        text: &[u32],
    ) -> Result<(), model::ModelError> {
        let whole = self.form.join(text, None).tokens;
        let chosen = self.choose(number, &whole);
        let targets: Vec<Option<u32>> =
            whole.iter().zip(&chosen).map(|(id, chosen)| chosen.then_some(*id)).collect();
        let read: Vec<u32> = (0..)
            .zip(whole.iter().zip(chosen))
            .map(|(at, (id, chosen))| if chosen { self.hide(number, at, *id) } else { *id })
            .collect();
        batch.push(&read, &targets)
    }

    fn choose(&self, number: u64, tokens: &[u32]) -> Vec<bool> {
        // A special token is never below any chance.
        let mut draws: Vec<f64> = Vec::with_capacity(tokens.len());
        for (at, &id) in tokens.iter().enumerate() {
            let continues =
                self.mask.whole_word && at > 0 && self.codec.continues_word(tokens[at - 1], id);
            draws.push(match draws.last() {
                Some(&of_word) if continues => of_word,
                _ if self.codec.is_special(id) => f64::INFINITY,
                _ => self.chosen.unit(number, at as u64),
            });
        }
        let least = draws.iter().copied().fold(f64::INFINITY, f64::min);
        let is_chosen =
            |draw: &f64| draw.is_finite() && (*draw < self.mask.probability || *draw == least);
        draws.iter().map(is_chosen).collect()
    }

    /// What is read in place of a chosen token.
    fn hide(&self, number: u64, at: u64, id: u32) -> u32 {
        match self.hidden.unit(number, at) {
            draw if draw < MASKED => self.mask_id,
            draw if draw < MASKED_OR_RANDOM => {
                let any = self.random.below(self.codec.vocab_size() as u64, number, at);
                u32::try_from(any).expect("a place below the size of a vocabulary is an id")
            }
            _ => id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::{PretokenCounts, SpecialTokens, Vocabulary};

    fn codec() -> Codec {
        let mut counts = PretokenCounts::default();
        counts.count("river rivers run running runs, low lower").unwrap();
        let vocabulary = Vocabulary::train(&counts, 275, |_| Ok::<_, codec::CodecError>(()));
        let name = |name: &str| Some(name.to_owned());
        let special =
            SpecialTokens { cls: name("[CLS]"), sep: name("[SEP]"), mask: name("[MASK]") };
        Codec::of(&vocabulary.unwrap().with_special_tokens(special).unwrap()).unwrap()
    }

    fn masked(
        mask: &Mask,
        codec: &Codec,
        number: u64,
        text: &[u32],
    ) -> (Vec<u32>, Vec<Option<u32>>) {
        let masker = Masker::new(mask, codec, 7, "test").unwrap();
        let mut batch = TokenBatch::new();
        masker.push(&mut batch, number, text).unwrap();
        (batch.sequences().tokens().to_vec(), batch.targets().to_vec())
    }

    #[test]
    fn the_shares_are_those_of_bert() {
        let (codec, mask) = (codec(), Mask::default());
        let text: Vec<u32> = (0..20_000).map(|at| 1 + at % 250).collect();
        let (read, targets) = masked(&mask, &codec, 3, &text);
        assert_eq!((read[0], read[20_001]), (codec.cls().unwrap(), codec.sep().unwrap()));
        assert_eq!((targets[0], targets[20_001]), (None, None));
        let (mut hidden, mut same, mut other, mut chosen) = (0.0, 0.0, 0.0, 0.0f64);
        for ((id, read), target) in text.iter().zip(&read[1..]).zip(&targets[1..]) {
            match target {
                None => assert_eq!(id, read),
                Some(target) => {
                    assert_eq!(target, id);
                    chosen += 1.0;
                    hidden += f64::from(u8::from(Some(*read) == codec.mask()));
                    same += f64::from(u8::from(read == id));
                    other += f64::from(u8::from(read != id && Some(*read) != codec.mask()));
                }
            }
        }
        // Five standard errors; a random token is the same, or the mask, once in 278 draws.
        let near = |found: f64, share: f64, of: f64| {
            (found / of - share).abs() < 5.0 * (share * (1.0 - share) / of).sqrt() + 0.1 / 139.0
        };
        assert!(near(chosen, 0.15, 20_000.0), "{chosen}");
        assert!(near(hidden, 0.8, chosen), "{hidden} of {chosen}");
        assert!(near(same, 0.1, chosen), "{same} of {chosen}");
        assert!(near(other, 0.1, chosen), "{other} of {chosen}");
    }

    #[test]
    fn masks_are_fresh_by_number_and_spare_special_tokens() {
        let (codec, mask) = (codec(), Mask { probability: 1.0, whole_word: false });
        let (_, targets) = masked(&mask, &codec, 0, &[0, 5, 0, 6]);
        assert_eq!(targets, [None, None, Some(5), None, Some(6), None]);
        let text: Vec<u32> = (1..200).collect();
        let mask = Mask::default();
        assert_eq!(masked(&mask, &codec, 1, &text), masked(&mask, &codec, 1, &text));
        assert_ne!(masked(&mask, &codec, 1, &text), masked(&mask, &codec, 2, &text));
    }

    #[test]
    fn something_is_always_to_be_guessed_where_it_can_be() {
        let (codec, mask) = (codec(), Mask { probability: 1e-9, whole_word: false });
        let counted = |text: &[u32]| masked(&mask, &codec, 0, text).1.into_iter().flatten().count();
        assert_eq!((counted(&[5]), counted(&[5, 6, 7]), counted(&[0, 0])), (1, 1, 0));
    }

    #[test]
    fn words_are_chosen_whole() {
        let (codec, mask) = (codec(), Mask { probability: 0.5, whole_word: true });
        let text = codec.encode("rivers runoff, low naïve river-bed x2").unwrap();
        let starts = |at: usize| at == 0 || !codec.continues_word(text[at - 1], text[at]);
        // rivers, runoff, `,`, low, naïve, river, -, bed, x2
        assert_eq!((0..text.len()).filter(|at| starts(*at)).count(), 9);
        for number in 0..20 {
            let (_, targets) = masked(&mask, &codec, number, &text);
            let chosen: Vec<bool> = targets[1..=text.len()].iter().map(Option::is_some).collect();
            for at in (1..text.len()).filter(|at| !starts(*at)) {
                assert_eq!(chosen[at], chosen[at - 1], "{number}: {at}");
            }
        }
    }
}

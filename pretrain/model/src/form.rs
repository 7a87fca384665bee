//! Where special tokens stand when texts become sequences.

use crate::config::{Gpt2Config, LlamaConfig, ModelConfig};

/// Ids of special tokens by role, as a vocabulary names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpecialIds {
    /// `eos_token`: ends a text.
    pub eos: Option<u32>,
    /// `cls_token`: begins a sequence, which is classified by it.
    pub cls: Option<u32>,
    /// `sep_token`: ends each text of a sequence.
    pub sep: Option<u32>,
}

/// How one text, or two, become a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceForm {
    /// `text eos`, or `first eos second eos`: what is read last has seen everything.
    Causal {
        /// Ends each text.
        eos: u32,
    },
    /// `cls text sep`, or `cls first sep second sep` with the second of token type 1.
    Bert {
        /// Stands at the beginning.
        cls: u32,
        /// Ends each text.
        sep: u32,
    },
}

/// A sequence of one text or two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids, special tokens included.
    pub tokens: Vec<u32>,
    /// How many tokens at the end are the second text's.
    pub num_second: usize,
}

impl SequenceForm {
    /// The form that models of this config read.
    ///
    /// # Errors
    /// The role that neither the vocabulary nor the config gives a token for.
    pub fn of(config: &ModelConfig, special: SpecialIds) -> Result<Self, &'static str> {
        match config {
            ModelConfig::Llama(LlamaConfig { eos_token_id, .. })
            | ModelConfig::Gpt2(Gpt2Config { eos_token_id, .. }) => {
                let eos = special.eos.or_else(|| eos_token_id.first().copied());
                Ok(Self::Causal { eos: eos.ok_or("eos_token")? })
            }
            ModelConfig::Bert(_) => Ok(Self::Bert {
                cls: special.cls.ok_or("cls_token")?,
                sep: special.sep.ok_or("sep_token")?,
            }),
        }
    }

    /// What stands before the first text.
    pub fn prefix(self) -> Option<u32> {
        match self {
            Self::Causal { .. } => None,
            Self::Bert { cls, .. } => Some(cls),
        }
    }

    /// What ends each text.
    pub fn end(self) -> u32 {
        match self {
            Self::Causal { eos } => eos,
            Self::Bert { sep, .. } => sep,
        }
    }

    /// The sequence of one text, or of two.
    pub fn join(self, first: &[u32], second: Option<&[u32]>) -> Sequence {
        let mut tokens: Vec<u32> = self.prefix().into_iter().collect();
        tokens.extend_from_slice(first);
        tokens.push(self.end());
        let first_len = tokens.len();
        if let Some(second) = second {
            tokens.extend_from_slice(second);
            tokens.push(self.end());
        }
        Sequence { num_second: tokens.len() - first_len, tokens }
    }

    /// A sequence of at most `max_length` tokens: its first ones, and its end all the same.
    pub fn cut(self, mut sequence: Sequence, max_length: usize) -> Sequence {
        let surplus = sequence.tokens.len().saturating_sub(max_length);
        if surplus > 0 {
            sequence.tokens.truncate(max_length.saturating_sub(1));
            sequence.tokens.push(self.end());
            sequence.num_second = sequence.num_second.saturating_sub(surplus);
        }
        sequence
    }
}

impl Sequence {
    /// The tokens of the first text and those of the second, special tokens included.
    pub fn texts(&self) -> (&[u32], &[u32]) {
        self.tokens.split_at(self.tokens.len() - self.num_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: SequenceForm, max_length: usize, first: &[u32], second: &[u32]) {
        let joined = form.join(&[1, 2], Some(&[3, 4]));
        assert_eq!(form.cut(joined, max_length).texts(), (first, second), "{max_length}");
    }

    #[test]
    fn texts_are_ended_and_keep_their_end_when_they_are_cut() {
        let causal = SequenceForm::Causal { eos: 0 };
        check(causal, 6, &[1, 2, 0], &[3, 4, 0]);
        check(causal, 5, &[1, 2, 0], &[3, 0]);
        check(causal, 4, &[1, 2, 0], &[0]);
        check(causal, 3, &[1, 2, 0], &[]);
        let bert = SequenceForm::Bert { cls: 8, sep: 9 };
        check(bert, 7, &[8, 1, 2, 9], &[3, 4, 9]);
        check(bert, 6, &[8, 1, 2, 9], &[3, 9]);
        check(bert, 3, &[8, 1, 9], &[]);
        assert_eq!(bert.join(&[1], None), Sequence { tokens: vec![8, 1, 9], num_second: 0 });
    }
}

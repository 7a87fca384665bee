//! What a classifier reads of an example.

use codec::{Codec, CodecError};
use model::{Sequence, SequenceForm};

use crate::config::TooLong;

/// A sequence that fits the context.
///
/// One that is cut keeps its first tokens, and is ended all the same.
///
/// # Errors
/// The number of tokens, when there are more than `context` and `too_long` refuses them.
pub(crate) fn fit(
    sequence: Sequence,
    form: SequenceForm,
    context: usize,
    too_long: TooLong,
) -> Result<Sequence, usize> {
    match too_long {
        // Windows are of words, whose sequences are made elsewhere.
        TooLong::Refuse | TooLong::Windows if sequence.tokens.len() > context => {
            Err(sequence.tokens.len())
        }
        _ => Ok(form.cut(sequence, context)),
    }
}

/// The sequence of one text, or of two.
pub(crate) fn encode(
    codec: &Codec,
    form: SequenceForm,
    texts: (&str, Option<&str>),
) -> Result<Sequence, CodecError> {
    let second = texts.1.map(|text| codec.encode(text)).transpose()?;
    Ok(form.join(&codec.encode(texts.0)?, second.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_keeps_its_first_tokens_and_its_end() {
        let form = SequenceForm::Causal { eos: 0 };
        let fit = |text: &[u32], too_long| {
            fit(form.join(text, None), form, 3, too_long).map(|sequence| sequence.tokens)
        };
        assert_eq!(fit(&[1, 2], TooLong::Refuse), Ok(vec![1, 2, 0]));
        assert_eq!(fit(&[1, 2, 3], TooLong::Refuse), Err(4));
        assert_eq!(fit(&[1, 2, 3], TooLong::Truncate), Ok(vec![1, 2, 0]));
    }
}

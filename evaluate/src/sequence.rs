//! What a classifier reads of an example.

use codec::{Codec, CodecError};

use crate::config::TooLong;

/// The tokens of a text, or of two texts, each ended by `eos`; a classifier judges by the last.
///
/// A text that is cut keeps its first tokens, and is ended all the same.
///
/// # Errors
/// The number of tokens, when there are more than `context` and `too_long` refuses them.
pub(crate) fn fit(
    mut tokens: Vec<u32>,
    eos: u32,
    context: usize,
    too_long: TooLong,
) -> Result<Vec<u32>, usize> {
    match too_long {
        TooLong::Refuse if tokens.len() > context => Err(tokens.len()),
        _ => {
            if tokens.len() > context {
                tokens.truncate(context.saturating_sub(1));
                tokens.push(eos);
            }
            Ok(tokens)
        }
    }
}

/// The tokens of the texts, each ended by `eos`.
pub(crate) fn encode(
    codec: &Codec,
    eos: u32,
    texts: (&str, Option<&str>),
) -> Result<Vec<u32>, CodecError> {
    let mut tokens = Vec::new();
    for text in [Some(texts.0), texts.1].into_iter().flatten() {
        tokens.extend(codec.encode(text)?);
        tokens.push(eos);
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_keeps_its_first_tokens_and_its_end() {
        assert_eq!(fit(vec![1, 2, 0], 0, 3, TooLong::Refuse), Ok(vec![1, 2, 0]));
        assert_eq!(fit(vec![1, 2, 3, 0], 0, 3, TooLong::Refuse), Err(4));
        assert_eq!(fit(vec![1, 2, 3, 0], 0, 3, TooLong::Truncate), Ok(vec![1, 2, 0]));
    }
}

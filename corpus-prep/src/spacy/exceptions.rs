//! Texts that are cut in their own way: contractions, abbreviations, times of day, emoticons.

pub use super::exception_table::EXCEPTIONS;

use foldhash::fast::FixedState;
use std::{collections::HashMap, sync::LazyLock};

static CUTS: LazyLock<HashMap<&str, &[u8], FixedState>> =
    LazyLock::new(|| EXCEPTIONS.into_iter().collect());

/// For every byte, the lengths of the exceptions that begin with it, and of those that end with it, as bits.
static LENGTHS: ([u32; 256], [u32; 256]) = {
    let (mut first, mut last) = ([0; 256], [0; 256]);
    let mut at = 0;
    while at < EXCEPTIONS.len() {
        let text = EXCEPTIONS[at].0.as_bytes();
        first[text[0] as usize] |= 1 << text.len();
        last[text[text.len() - 1] as usize] |= 1 << text.len();
        at += 1;
    }
    (first, last)
};

/// Where `text` is cut if it is an exception, in bytes; one that is not cut has no place.
pub fn cuts(text: &str) -> Option<&'static [u8]> {
    let (Some(first), Some(last)) = (text.as_bytes().first(), text.as_bytes().last()) else {
        return None;
    };
    let lengths = LENGTHS.0[usize::from(*first)] & LENGTHS.1[usize::from(*last)];
    let may_be_one = text.len() < 32 && lengths >> text.len() & 1 == 1;
    may_be_one.then(|| CUTS.get(text).copied()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_found_and_others_are_not() {
        assert_eq!(cuts("couldn't've"), Some(&[5, 8][..]));
        assert_eq!(cuts("Mr."), Some(&[][..]));
        for other in ["", "cat", "CAN'T", "don't!", "a very long text that is no exception"] {
            assert_eq!(cuts(other), None, "{other}");
        }
    }

    #[test]
    fn exceptions_are_in_order_and_cut_between_characters() {
        assert!(EXCEPTIONS.is_sorted_by(|(a, _), (b, _)| a < b));
        for (text, cuts) in EXCEPTIONS {
            assert!(cuts.is_sorted_by(|a, b| a < b) && !cuts.contains(&0), "{text}");
            assert!(cuts.iter().all(|cut| text.is_char_boundary((*cut).into())), "{text}");
        }
    }
}

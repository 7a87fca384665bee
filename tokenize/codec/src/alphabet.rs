//! The stand-in characters of byte-level vocabularies.
//!
//! Files of byte-level vocabularies spell every byte as one printable character: printable Latin-1 bytes as
//! themselves, the others as U+0100, U+0101, … in byte order.
//!
//! Source: `bytes_to_unicode` in GPT-2's `encoder.py`.

/// One past the largest stand-in: 68 of the 256 bytes are not printable.
const END: usize = 0x100 + 68;

const CHARS: [char; 256] = chars();
const BYTES: [Option<u8>; END] = bytes();

/// The character that spells `byte`.
pub(crate) fn char_of(byte: u8) -> char {
    CHARS[usize::from(byte)]
}

/// The byte that `stand_in` spells; `None` for a character outside the alphabet.
pub(crate) fn byte_of(stand_in: char) -> Option<u8> {
    BYTES.get(stand_in as usize).copied().flatten()
}

/// The bytes that `token` spells; `None` if a character is outside the alphabet.
pub(crate) fn bytes_of(token: &str) -> Option<Vec<u8>> {
    token.chars().map(byte_of).collect()
}

/// The spelling of `bytes`.
pub(crate) fn spell(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char_of(byte)).collect()
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

const fn chars() -> [char; 256] {
    let mut chars = ['\0'; 256];
    let mut next = 0x100;
    let mut byte = 0u8;
    loop {
        if is_printable(byte) {
            chars[byte as usize] = byte as char;
        } else {
            chars[byte as usize] = char::from_u32(next).expect("below the surrogates");
            next += 1;
        }
        if byte == u8::MAX {
            return chars;
        }
        byte += 1;
    }
}

const fn bytes() -> [Option<u8>; END] {
    let mut bytes = [None; END];
    let mut byte = 0u8;
    loop {
        bytes[CHARS[byte as usize] as usize] = Some(byte);
        if byte == u8::MAX {
            return bytes;
        }
        byte += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_spelt_by_one_character() {
        for byte in 0..=u8::MAX {
            assert_eq!(byte_of(char_of(byte)), Some(byte));
        }
        assert_eq!(spell(b" a\n\xC3\xA9"), "\u{120}a\u{10A}\u{C3}\u{A9}");
    }

    #[test]
    fn other_characters_spell_nothing() {
        assert_eq!(byte_of(' '), None);
        assert_eq!(byte_of('\u{144}'), None);
        assert_eq!(bytes_of("a\u{2581}"), None);
    }
}

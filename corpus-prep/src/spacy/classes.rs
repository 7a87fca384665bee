//! Classes of characters, as spaCy's rules name them.

pub use super::class_table::*;

/// The classes of `c`, as bits.
pub fn of(c: char) -> u16 {
    if c.is_ascii() {
        ASCII[c as usize]
    } else {
        RUNS[RUNS.partition_point(|(first, _)| *first <= c as u32) - 1].1
    }
}

/// Whether `c` is of one of `classes`.
pub fn is(c: char, classes: u16) -> bool {
    of(c) & classes != 0
}

/// Whether the first character of `text` is white space.
pub fn starts_with_space(text: &str) -> bool {
    text.chars().next().is_some_and(|c| is(c, SPACE))
}

/// Whether the last character of `text` is an ASCII digit.
pub fn ends_with_digit(text: &str) -> bool {
    text.as_bytes().last().is_some_and(u8::is_ascii_digit)
}

/// The classes of ASCII characters.
pub const ASCII: [u16; 128] = {
    let mut classes = [0; 128];
    let (mut point, mut run) = (0, 0);
    while point < classes.len() {
        if RUNS[run + 1].0 as usize == point {
            run += 1;
        }
        classes[point] = RUNS[run].1;
        point += 1;
    }
    classes
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::lines::is_space;

    #[test]
    fn runs_hold_for_all_their_characters() {
        assert!(RUNS.is_sorted() && RUNS[0].0 == 0);
        assert!(('\0'..=char::MAX).all(|c| is(c, SPACE) == is_space(c)));
        assert!(('\0'..='\x7f').all(|c| is(c, DIGIT) == c.is_ascii_digit()));
        assert!(is(char::MAX, 0xffff) == (RUNS[RUNS.len() - 1].1 != 0));
    }

    #[test]
    fn letters_are_of_the_classes_of_their_case() {
        for (c, classes) in
            [('a', ALPHA_LOWER), ('Z', ALPHA_UPPER), ('é', ALPHA_LOWER), ('Ж', ALPHA_UPPER)]
        {
            assert_eq!(of(c) & (ALPHA | ALPHA_LOWER | ALPHA_UPPER), ALPHA | classes, "{c}");
        }
        assert!(is('人', ALPHA_LOWER) && is('人', ALPHA_UPPER) && !is('1', ALPHA));
    }
}

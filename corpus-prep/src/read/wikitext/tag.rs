//! Tags of HTML and of MediaWiki's extensions.

/// Longest tag, in bytes.
const MAX_TAG_BYTES: usize = 4096;

/// Elements of which nothing is kept.
const DROPPED: [&str; 19] = [
    "ref",
    "references",
    "math",
    "chem",
    "ce",
    "gallery",
    "timeline",
    "score",
    "imagemap",
    "syntaxhighlight",
    "source",
    "graph",
    "mapframe",
    "maplink",
    "hiero",
    "templatestyles",
    "inputbox",
    "categorytree",
    "style",
];

/// Elements whose content is text as it stands.
const VERBATIM: [&str; 2] = ["nowiki", "pre"];

/// Elements that stand on lines of their own.
const BLOCKS: [&str; 10] = ["br", "p", "div", "li", "ul", "ol", "dd", "dt", "blockquote", "poem"];

/// What a tag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing up to the end tag is kept.
    Dropped,
    /// Everything up to the end tag is text.
    Verbatim,
    /// A line ends.
    Line,
    /// Nothing.
    Nothing,
}

/// A tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The name, as it stands.
    pub name: &'a str,
    /// What it says. Tags that have no content say nothing, or end a line.
    pub meaning: Meaning,
    /// Its length in bytes.
    pub length: usize,
}

/// The tag that `text` begins with, which begins with `<`. A tag has no other `<` in it.
pub fn parse(text: &str) -> Option<Tag<'_>> {
    let bytes = &text.as_bytes()[..text.len().min(MAX_TAG_BYTES)];
    let is_end = bytes.get(1) == Some(&b'/');
    let start = if is_end { 2 } else { 1 };
    let letters = bytes[start.min(bytes.len())..].iter();
    let name_length = letters.take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let name = text.get(start..start + name_length).filter(|name| !name.is_empty())?;
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return None;
    }
    let close = start + name_length;
    let close = close + bytes[close..].iter().position(|byte| matches!(byte, b'<' | b'>'))?;
    if bytes[close] != b'>' {
        return None;
    }
    let is_empty = is_end || bytes[close - 1] == b'/';
    let one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
    let meaning = match is_empty {
        _ if one_of(&BLOCKS) => Meaning::Line,
        false if one_of(&DROPPED) => Meaning::Dropped,
        false if one_of(&VERBATIM) => Meaning::Verbatim,
        _ => Meaning::Nothing,
    };
    Some(Tag { name, meaning, length: close + 1 })
}

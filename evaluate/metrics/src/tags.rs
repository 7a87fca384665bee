//! Tags of token classification, and the entities that they spell.

use serde::{Deserialize, Serialize};

use crate::MetricsError;

/// Type of a tag that names none.
const NO_TYPE: &str = "_";

/// What a sequence of tags has to be like for an entity to be seen in it. Modes differ on malformed sequences only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntityMode {
    /// Whatever the sequence, entities begin and end where `conlleval` sees them: an `I-PER` after `O` opens one. What
    /// most published numbers use.
    ///
    /// Source: `get_entities` of seqeval 1.2.2, its default mode.
    Lenient,
    /// Only what is well-formed in the scheme is an entity.
    ///
    /// Source: `scheme.py` of seqeval 1.2.2, its mode `strict`.
    Strict(Scheme),
}

/// What the prefixes of tags mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `I` inside; `B` begins only right behind an entity of the same type.
    Iob1,
    /// `B` begins, `I` goes on: the tags of CoNLL-2003 as published today.
    Iob2,
    /// `I` inside; `E` ends only right before an entity of the same type. As incomplete as in seqeval.
    Ioe1,
    /// `I` goes on, `E` ends.
    Ioe2,
    /// `B` begins, `I` goes on, `E` ends, `S` is alone.
    Iobes,
    /// `B` begins, `I` goes on, `L` is last, `U` is alone.
    Bilou,
}

/// A tag: what its prefix says, of which type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// The first character of its name.
    pub(crate) prefix: char,
    /// Index of its type; types that only outside tags have share the index behind the last.
    pub(crate) type_idx: u32,
}

/// The list of tags of a task, in the order of their indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSet {
    mode: EntityMode,
    pub(crate) tags: Vec<Tag>,
    types: Vec<String>,
}

/// A stretch of tokens that a sequence of tags marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    /// Index of its first token.
    pub start: usize,
    /// One past the index of its last token.
    pub end: usize,
    /// Index of its type in [`TagSet::types`].
    pub type_idx: u32,
}

impl TagSet {
    /// Tags of these names: a prefix, then a hyphen and a type, as in `B-PER`, or `O`.
    ///
    /// The prefix is the first character. The type is what follows the first hyphen (strict: what follows the prefix,
    /// less the hyphens around it), and `_` where that is nothing.
    ///
    /// # Errors
    /// If a name is empty, or strict and its prefix not in the scheme.
    ///
    /// ```
    /// use metrics::{EntityMode, Scheme, TagSet};
    ///
    /// let tags = TagSet::new(&["O", "B-PER", "I-PER", "B-LOC"], EntityMode::Strict(Scheme::Iob2))?;
    /// assert_eq!(tags.types(), ["LOC", "PER"]);
    /// let entities = tags.entities(&[1, 2, 0, 3])?;
    /// assert_eq!((entities[0].start, entities[0].end, entities[0].type_idx), (0, 2, 1));
    /// assert_eq!((entities[1].start, entities[1].end, entities[1].type_idx), (3, 4, 0));
    /// # Ok::<_, metrics::MetricsError>(())
    /// ```
    pub fn new<N: AsRef<str>>(names: &[N], mode: EntityMode) -> Result<Self, MetricsError> {
        let parsed = names
            .iter()
            .map(|name| parse(name.as_ref(), mode))
            .collect::<Result<Vec<_>, MetricsError>>()?;
        let mut types: Vec<&str> =
            parsed.iter().filter(|(prefix, _)| *prefix != 'O').map(|(_, name)| *name).collect();
        types.sort_unstable();
        types.dedup();
        let index = |name: &str| types.iter().position(|known| *known == name);
        let tags = parsed.iter().map(|&(prefix, name)| {
            let type_idx = index(name).unwrap_or(types.len());
            Tag { prefix, type_idx: u32::try_from(type_idx).expect("fewer types than tags") }
        });
        let tags = tags.collect();
        Ok(Self { mode, tags, types: types.into_iter().map(str::to_owned).collect() })
    }

    /// How entities are seen.
    pub fn mode(&self) -> EntityMode {
        self.mode
    }

    /// Number of tags.
    pub fn num_tags(&self) -> usize {
        self.tags.len()
    }

    /// Names of the types of entities, sorted.
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// The entities of one sentence, in the order of their last tokens.
    ///
    /// seqeval joins sentences with an `O` between them. That gives the same entities, but for prefixes other than
    /// `B`, `I`, `E`, `S` and `O` in its default mode, where an entity of it may run on into the next sentence.
    ///
    /// # Errors
    /// If a tag is not below [`num_tags`](Self::num_tags).
    pub fn entities(&self, tags: &[u32]) -> Result<Vec<Entity>, MetricsError> {
        let tags = tags
            .iter()
            .enumerate()
            .map(|(token, &found)| {
                let expected = self.tags.len();
                let tag = self.tags.get(found as usize).copied();
                tag.ok_or(MetricsError::UnknownTag { token, found, expected })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(match self.mode {
            EntityMode::Lenient => lenient(&tags, self.outside()),
            EntityMode::Strict(scheme) => scheme.entities(tags, self.outside()),
        })
    }

    /// The tag that stands before and after a sentence.
    fn outside(&self) -> Tag {
        let type_idx = self.types.iter().position(|name| name == NO_TYPE);
        let type_idx = type_idx.unwrap_or(self.types.len());
        Tag { prefix: 'O', type_idx: u32::try_from(type_idx).expect("fewer types than tags") }
    }
}

/// Prefix and type of the tag called `name`.
fn parse(name: &str, mode: EntityMode) -> Result<(char, &str), MetricsError> {
    let prefix = name.chars().next().ok_or(MetricsError::EmptyTag)?;
    if let EntityMode::Strict(scheme) = mode {
        let expected = scheme.prefixes();
        if !(prefix.is_ascii_uppercase() && expected.contains(prefix)) {
            return Err(MetricsError::BadPrefix { found: name.to_owned(), expected });
        }
    }
    let rest = &name[prefix.len_utf8()..];
    let type_name = match mode {
        EntityMode::Lenient => rest.split_once('-').map_or(rest, |(_, type_name)| type_name),
        EntityMode::Strict(_) => rest.trim_matches('-'),
    };
    Ok((prefix, if type_name.is_empty() { NO_TYPE } else { type_name }))
}

/// Entities as `conlleval` sees them.
fn lenient(tags: &[Tag], outside: Tag) -> Vec<Entity> {
    let mut entities = Vec::new();
    let mut start = 0;
    // Before the first token there is no type, not even that of a tag without one.
    let mut prev = Tag { prefix: 'O', type_idx: u32::MAX };
    for (at, &now) in tags.iter().chain([&outside]).enumerate() {
        if ends_leniently(prev, now) {
            entities.push(Entity { start, end: at, type_idx: prev.type_idx });
        }
        if starts_leniently(prev, now) {
            start = at;
        }
        prev = now;
    }
    entities
}

/// Whether an entity ends before `now`.
///
/// Source: `end_of_chunk` of seqeval 1.2.2.
fn ends_leniently(prev: Tag, now: Tag) -> bool {
    match (prev.prefix, now.prefix) {
        ('E' | 'S', _) | ('B' | 'I', 'B' | 'S' | 'O') => true,
        (before, _) => !matches!(before, 'O' | '.') && prev.type_idx != now.type_idx,
    }
}

/// Whether an entity starts at `now`.
///
/// Source: `start_of_chunk` of seqeval 1.2.2.
fn starts_leniently(prev: Tag, now: Tag) -> bool {
    match (prev.prefix, now.prefix) {
        (_, 'B' | 'S') | ('E' | 'S' | 'O', 'E' | 'I') => true,
        (_, here) => !matches!(here, 'O' | '.') && prev.type_idx != now.type_idx,
    }
}

impl Scheme {
    /// The prefixes it knows.
    fn prefixes(self) -> &'static str {
        match self {
            Self::Iob1 | Self::Iob2 => "I, O, B",
            Self::Ioe1 | Self::Ioe2 => "I, O, E",
            Self::Iobes => "I, O, B, E, S",
            Self::Bilou => "B, I, L, O, U",
        }
    }

    /// The well-formed entities: from a start over all that is inside, if that is an end.
    ///
    /// Source: `Tokens.entities` of seqeval 1.2.2.
    fn entities(self, mut tags: Vec<Tag>, outside: Tag) -> Vec<Entity> {
        tags.push(outside);
        let mut entities = Vec::new();
        let mut prev = outside;
        let mut at = 0;
        while at < tags.len() {
            let start = at;
            at += 1;
            if self.starts(prev, tags[start]) {
                while self.is_inside(tags[at - 1], tags[at]) {
                    at += 1;
                }
                if self.ends(tags[at - 1], tags[at]) {
                    entities.push(Entity { start, end: at, type_idx: tags[start].type_idx });
                }
            }
            prev = tags[at - 1];
        }
        entities
    }

    /// Whether an entity starts at `now`. `start_patterns` of seqeval.
    fn starts(self, prev: Tag, now: Tag) -> bool {
        let step = (prev.prefix, now.prefix, prev.type_idx == now.type_idx);
        match self {
            Self::Iob1 => {
                matches!(step, ('O' | 'B', 'I', _) | ('I', 'I', false) | ('I' | 'B', 'B', true))
            }
            Self::Iob2 => now.prefix == 'B',
            Self::Ioe1 => {
                matches!(step, ('O' | 'E', 'I', _) | ('I', 'I', false) | ('E', 'E', true))
            }
            Self::Ioe2 => matches!(step, ('O' | 'E', 'I' | 'E', _) | ('I', 'I' | 'E', false)),
            Self::Iobes => matches!(now.prefix, 'B' | 'S'),
            Self::Bilou => matches!(now.prefix, 'B' | 'U'),
        }
    }

    /// Whether `now` goes on with the entity of `prev`. `inside_patterns` of seqeval.
    fn is_inside(self, prev: Tag, now: Tag) -> bool {
        let step = (prev.prefix, now.prefix);
        let goes_on = match self {
            Self::Iob1 | Self::Iob2 => matches!(step, ('B' | 'I', 'I')),
            Self::Ioe1 | Self::Ioe2 => matches!(step, ('I', 'I' | 'E')),
            Self::Iobes => matches!(step, ('B' | 'I', 'I' | 'E')),
            Self::Bilou => matches!(step, ('B' | 'I', 'I' | 'L')),
        };
        goes_on && prev.type_idx == now.type_idx
    }

    /// Whether an entity ends with `prev`, before `now`. `end_patterns` of seqeval.
    fn ends(self, prev: Tag, now: Tag) -> bool {
        let step = (prev.prefix, now.prefix, prev.type_idx == now.type_idx);
        match self {
            Self::Iob1 => matches!(
                step,
                ('I' | 'B', 'I', false) | ('I' | 'B', 'O', _) | ('I', 'B', _) | ('B', 'B', true)
            ),
            Self::Iob2 => matches!(step, ('I' | 'B', 'I', false) | ('I' | 'B', 'O' | 'B', _)),
            Self::Ioe1 => {
                matches!(step, ('I', 'I' | 'E', false) | ('I', 'O', _) | ('E', 'I' | 'E', true))
            }
            Self::Ioe2 => prev.prefix == 'E',
            Self::Iobes => matches!(prev.prefix, 'S' | 'E'),
            Self::Bilou => matches!(prev.prefix, 'U' | 'L'),
        }
    }
}

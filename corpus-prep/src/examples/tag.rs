//! Tags of entities, in whichever scheme they come, to IOB2.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// How tags mark where entities begin and end.
///
/// Source: Ramshaw and Marcus 1995, arXiv:cmp-lg/9505040 (`iob1`); Tjong Kim Sang and Veenstra 1999,
/// arXiv:cs/9907006 (`iob2`); Ratinov and Roth 2009, doi:10.5555/1596374.1596399 (`bioes`, there called BILOU).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// `B-` on the first token of every entity.
    Iob2,
    /// `B-` on the first token of an entity that directly follows another of its type only.
    Iob1,
    /// `B-`, `I-` and `E-` on entities of several tokens, `S-` on those of one; also written with `L-` and `U-`.
    Bioes,
}

impl Scheme {
    /// All schemes, in the order in which tags are held against them.
    pub const ALL: [Scheme; 3] = [Scheme::Iob2, Scheme::Iob1, Scheme::Bioes];

    /// Its name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Iob1 => "iob1",
            Scheme::Iob2 => "iob2",
            Scheme::Bioes => "bioes",
        }
    }

    /// Whether `tag` may stand behind `before`; the ends of a sentence are [`Tag::OUTSIDE`].
    fn allows(self, before: Tag<'_>, tag: Tag<'_>) -> bool {
        let open = matches!(before.mark, Mark::Begin | Mark::Inside);
        let goes_on = open && before.entity_type == tag.entity_type;
        match (self, tag.mark) {
            (Scheme::Iob1, mark) => match mark {
                Mark::Outside | Mark::Inside => true,
                Mark::Begin => goes_on,
                Mark::End | Mark::Single => false,
            },
            (Scheme::Iob2, mark) => match mark {
                Mark::Outside | Mark::Begin => true,
                Mark::Inside => goes_on,
                Mark::End | Mark::Single => false,
            },
            (Scheme::Bioes, Mark::Inside | Mark::End) => goes_on,
            (Scheme::Bioes, _) => !open,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One tag as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    mark: Mark,
    /// Empty outside of entities.
    entity_type: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Outside,
    Begin,
    Inside,
    End,
    Single,
}

impl<'a> Tag<'a> {
    const OUTSIDE: Tag<'static> = Tag { mark: Mark::Outside, entity_type: "" };

    /// Reads `O`, or a mark, `-` and a type; `None` if it is neither.
    pub fn parse(tag: &'a str) -> Option<Self> {
        if tag == "O" {
            return Some(Tag::OUTSIDE);
        }
        let (mark, entity_type) = tag.split_once('-')?;
        let mark = match mark {
            "B" => Mark::Begin,
            "I" => Mark::Inside,
            "E" | "L" => Mark::End,
            "S" | "U" => Mark::Single,
            _ => return None,
        };
        (!entity_type.is_empty()).then_some(Self { mark, entity_type })
    }

    /// Whether an entity begins here.
    ///
    /// Source: `startOfChunk` of conlleval, Tjong Kim Sang 2004, as in seqeval's `start_of_chunk`: it reads every scheme.
    fn begins(self, before: Tag<'_>) -> bool {
        let goes_on = matches!(before.mark, Mark::Begin | Mark::Inside)
            && before.entity_type == self.entity_type;
        match self.mark {
            Mark::Outside => false,
            Mark::Begin | Mark::Single => true,
            Mark::Inside | Mark::End => !goes_on,
        }
    }
}

/// The tags of one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The same entities in IOB2.
    pub tags: Vec<String>,
    /// The schemes that allow all tags as they were found.
    pub schemes: BTreeSet<Scheme>,
}

/// Why tags are refused, and at which token, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTag {
    /// It is no tag of an entity.
    Unknown(usize),
    /// The scheme that was said to be in force does not have it there; behind the last token stands the sentence's end.
    NotAllowed(usize),
}

/// The entities of `tags` in IOB2, by the rule of conlleval. Where `scheme` is given, tags must obey it.
///
/// # Errors
/// [`BadTag`] for the first tag that is wrong.
pub fn to_iob2(tags: &[String], scheme: Option<Scheme>) -> Result<Tagged, BadTag> {
    let mut schemes = BTreeSet::from(Scheme::ALL);
    let mut before = Tag::OUTSIDE;
    let mut iob2 = Vec::with_capacity(tags.len());
    for at in 0..=tags.len() {
        let tag = match tags.get(at) {
            Some(tag) => Tag::parse(tag).ok_or(BadTag::Unknown(at))?,
            None => Tag::OUTSIDE,
        };
        schemes.retain(|known| known.allows(before, tag));
        if scheme.is_some_and(|scheme| !schemes.contains(&scheme)) {
            return Err(BadTag::NotAllowed(at));
        }
        if at < tags.len() {
            iob2.push(match tag.mark {
                Mark::Outside => "O".to_owned(),
                _ if tag.begins(before) => format!("B-{}", tag.entity_type),
                _ => format!("I-{}", tag.entity_type),
            });
        }
        before = tag;
    }
    Ok(Tagged { tags: iob2, schemes })
}

/// The types of the entities that begin in `tags`, which are IOB2.
pub fn entities(tags: &[String]) -> impl Iterator<Item = &str> {
    tags.iter().filter_map(|tag| tag.strip_prefix("B-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &str) -> Vec<String> {
        words.split_whitespace().map(String::from).collect()
    }

    #[track_caller]
    fn check(tags: &str, iob2: &str, schemes: &[Scheme]) {
        let expected = Tagged { tags: words(iob2), schemes: schemes.iter().copied().collect() };
        assert_eq!(to_iob2(&words(tags), None), Ok(expected), "{tags}");
    }

    // `from seqeval.metrics.sequence_labeling import get_entities` finds the same entities in the left and right column.
    #[test]
    fn every_scheme_becomes_iob2() {
        use Scheme::{Bioes, Iob1, Iob2};
        check("", "", &[Iob2, Iob1, Bioes]);
        check("O O", "O O", &[Iob2, Iob1, Bioes]);
        check("I-A I-A O I-A", "B-A I-A O B-A", &[Iob1]);
        check("I-A B-A I-A I-B", "B-A B-A I-A B-B", &[Iob1]);
        check("B-A I-A B-A O B-B", "B-A I-A B-A O B-B", &[Iob2]);
        check("S-A B-A I-A E-A S-B", "B-A B-A I-A I-A B-B", &[Bioes]);
        check("U-A B-A L-A", "B-A B-A I-A", &[Bioes]);
        check("B-A I-B", "B-A B-B", &[]);
        check("E-A E-A", "B-A B-A", &[]);
        check("S-A I-A", "B-A B-A", &[]);
        check("B-A-1 I-A-1", "B-A-1 I-A-1", &[Iob2]);
    }

    #[track_caller]
    fn check_refused(tags: &str, scheme: Option<Scheme>, expected: BadTag) {
        assert_eq!(to_iob2(&words(tags), scheme), Err(expected), "{tags}");
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for tag in ["X", "B", "B-", "-A", "o", "b-A", "BA"] {
            check_refused(&format!("O {tag}"), None, BadTag::Unknown(1));
        }
    }

    #[test]
    fn a_scheme_that_is_given_is_held_to() {
        check_refused("O I-A", Some(Scheme::Iob2), BadTag::NotAllowed(1));
        check_refused("B-A I-B", Some(Scheme::Iob2), BadTag::NotAllowed(1));
        check_refused("B-A", Some(Scheme::Iob1), BadTag::NotAllowed(0));
        check_refused("I-A B-B", Some(Scheme::Iob1), BadTag::NotAllowed(1));
        check_refused("B-A O", Some(Scheme::Bioes), BadTag::NotAllowed(1));
        check_refused("B-A I-A", Some(Scheme::Bioes), BadTag::NotAllowed(2));
        check_refused("E-A", Some(Scheme::Bioes), BadTag::NotAllowed(0));
        check_refused("S-A", Some(Scheme::Iob2), BadTag::NotAllowed(0));
    }

    #[test]
    fn entities_are_counted_where_they_begin() {
        assert_eq!(entities(&words("B-A I-A O B-B B-A")).collect::<Vec<_>>(), ["A", "B", "A"]);
    }
}

//! Sets of filters under the names that their publishers gave them: which are asked, and in which order.

use crate::edit::{C4Lines, LineSignals};
use crate::rule::{Judge, Rule, Rules};
use crate::signal::{self, Family};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which filters are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Filters {
    /// None: every text is kept unless it is a duplicate.
    None,
    /// Gopher quality, then Gopher repetition.
    #[default]
    Gopher,
    /// C4's lines, those without end marks dropped, and its rules.
    C4,
    /// Those of FineWeb: Gopher repetition, Gopher quality, C4's lines whatever they end in and its rules, FineWeb quality.
    Fineweb,
}

/// One filter of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    GopherQuality,
    GopherRepetition,
    C4,
    FinewebQuality,
}

/// What is measured of every text as it was extracted, whatever is asked: so that asking something else takes seconds.
pub const MEASURED: [Family; 3] = [Family::Size, Family::GopherQuality, Family::GopherRepetition];

/// What is measured of every text after the edit of a set.
pub const MEASURED_AFTER: [Family; 2] = [Family::Size, Family::FinewebQuality];

impl Filters {
    fn list(self) -> &'static [Filter] {
        use Filter::{C4, FinewebQuality, GopherQuality, GopherRepetition};
        match self {
            Self::None => &[],
            Self::Gopher => &[GopherQuality, GopherRepetition],
            Self::C4 => &[C4],
            Self::Fineweb => &[GopherRepetition, GopherQuality, C4, FinewebQuality],
        }
    }

    /// The edit among them, as it is when the manifest says `lines`.
    pub fn edit(self, lines: &C4Lines) -> Option<C4Lines> {
        let end_marks = lines.end_marks.unwrap_or(self == Self::C4);
        let lines = C4Lines { end_marks: Some(end_marks), ..lines.clone() };
        self.list().contains(&Filter::C4).then_some(lines)
    }

    /// Their rules, in the order in which they are asked.
    pub fn rules(self, rules: &Rules) -> Vec<Rule> {
        let of = |filter: &Filter| match filter {
            Filter::GopherQuality => rules.gopher_quality.rules().to_vec(),
            Filter::GopherRepetition => rules.gopher_repetition.rules().to_vec(),
            Filter::C4 => rules.c4.rules().to_vec(),
            Filter::FinewebQuality => rules.fineweb_quality.rules().to_vec(),
        };
        self.list().iter().flat_map(of).collect()
    }

    /// Names of all signals that are measured for them, in order.
    pub fn columns(self) -> Vec<&'static str> {
        let mut columns = signal::columns(&MEASURED);
        if self.list().contains(&Filter::C4) {
            columns.extend(columns_after_edit());
        }
        columns
    }

    /// Their rules over the columns.
    ///
    /// # Errors
    /// With a signal that is no column.
    pub fn judge(self, rules: &Rules) -> Result<Judge, &'static str> {
        Judge::new(self.rules(rules), &self.columns())
    }
}

/// Names of the signals that an edit and the text after it give, in order.
pub fn columns_after_edit() -> Vec<&'static str> {
    let sizes = ["edited_num_chars", "edited_num_words"];
    let after = signal::columns(&MEASURED_AFTER);
    let rest = after.into_iter().skip(Family::Size.columns().len());
    LineSignals::COLUMNS.into_iter().chain(sizes).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const ALL: [Filters; 4] = [Filters::None, Filters::Gopher, Filters::C4, Filters::Fineweb];

    #[test]
    fn every_rule_judges_a_signal_that_is_measured() {
        for filters in ALL {
            let judge = filters.judge(&Rules::default());
            let columns = filters.columns();
            assert!(judge.is_ok(), "{filters:?}: {judge:?}");
            assert_eq!(columns.iter().collect::<BTreeSet<_>>().len(), columns.len());
        }
    }

    #[test]
    fn no_two_rules_share_a_name_and_every_name_is_a_field() {
        let rules = Rules::default();
        let fields = serde_json::to_value(&rules).unwrap();
        for filters in ALL {
            let names: Vec<_> = filters.rules(&rules).iter().map(|rule| rule.name).collect();
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
            for name in names {
                let with = fields.as_object().unwrap().values();
                assert_eq!(with.filter(|family| family.get(name).is_some()).count(), 1, "{name}");
            }
        }
    }

    #[test]
    fn fineweb_is_asked_in_its_order() {
        let rules = Filters::Fineweb.rules(&Rules::default());
        let at = |name| rules.iter().position(|rule| rule.name == name).unwrap();
        assert!(at("dup_10_gram") < at("short_doc") && at("enough_stop_words") < at("lorem_ipsum"));
        assert!(at("too_few_sentences") < at("empty") && at("list_ratio") + 1 == rules.len());
    }

    #[test]
    fn end_marks_are_asked_by_c4_alone_unless_the_manifest_says_so() {
        let end_marks = |filters: Filters, end_marks| {
            filters.edit(&C4Lines { end_marks, ..C4Lines::default() }).map(|it| it.end_marks)
        };
        assert_eq!(end_marks(Filters::C4, None), Some(Some(true)));
        assert_eq!(end_marks(Filters::Fineweb, None), Some(Some(false)));
        assert_eq!(end_marks(Filters::Fineweb, Some(true)), Some(Some(true)));
        assert_eq!(end_marks(Filters::Gopher, Some(true)), None);
    }
}

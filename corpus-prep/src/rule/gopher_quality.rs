//! Gopher quality rules: is this running text?
//!
//! Source: Rae et al. 2021, arXiv:2112.11446, appendix A1.1; bounds and order as datatrove's `GopherQualityFilter`.

use super::{Rule, bound, count};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of the quality rules. Each field is a rule's name; a text at the bound is kept. `"off"` switches a rule off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GopherQuality {
    /// Fewest content words kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<u64>")]
    pub short_doc: Option<u64>,
    /// Most content words kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<u64>")]
    pub long_doc: Option<u64>,
    /// Least mean length of content words kept, in code points.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub below_avg: Option<f64>,
    /// Greatest mean length of content words kept, in code points.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub above_avg: Option<f64>,
    /// Most number signs per word kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub too_many_hashes: Option<f64>,
    /// Most ellipses per word kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub too_many_ellipsis: Option<f64>,
    /// Greatest share of lines that start with a bullet kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub too_many_bullets: Option<f64>,
    /// Greatest share of lines that end with an ellipsis kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub too_many_end_ellipsis: Option<f64>,
    /// Least share of words with a letter kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<f64>")]
    pub below_alpha: Option<f64>,
    /// Fewest different stop words kept.
    #[serde(with = "bound")]
    #[schemars(schema_with = "bound::schema::<u64>")]
    pub enough_stop_words: Option<u64>,
}

impl Default for GopherQuality {
    fn default() -> Self {
        Self {
            short_doc: Some(50),
            long_doc: Some(100_000),
            below_avg: Some(3.0),
            above_avg: Some(10.0),
            too_many_hashes: Some(0.1),
            too_many_ellipsis: Some(0.1),
            too_many_bullets: Some(0.9),
            too_many_end_ellipsis: Some(0.3),
            below_alpha: Some(0.8),
            enough_stop_words: Some(2),
        }
    }
}

impl GopherQuality {
    /// The rules, in the order in which they are asked.
    pub fn rules(&self) -> [Rule; 10] {
        [
            Rule::at_least("short_doc", "num_content_words", count(self.short_doc)),
            Rule::at_most("long_doc", "num_content_words", count(self.long_doc)),
            Rule::at_least("below_avg", "mean_word_chars", self.below_avg),
            Rule::at_most("above_avg", "mean_word_chars", self.above_avg),
            Rule::at_most("too_many_hashes", "hash_ratio", self.too_many_hashes),
            Rule::at_most("too_many_ellipsis", "ellipsis_ratio", self.too_many_ellipsis),
            Rule::at_most("too_many_bullets", "bullet_line_frac", self.too_many_bullets),
            Rule::at_most(
                "too_many_end_ellipsis",
                "ellipsis_line_frac",
                self.too_many_end_ellipsis,
            ),
            Rule::at_least("below_alpha", "alpha_word_frac", self.below_alpha),
            Rule::at_least("enough_stop_words", "num_stop_words", count(self.enough_stop_words)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Judge;
    use crate::signal::{self, Family, Measurer};

    /// `n` times `line`.
    fn times(n: usize, line: &str) -> String {
        line.repeat(n)
    }

    fn failed(rules: &GopherQuality, text: &str) -> Option<&'static str> {
        let families = [Family::GopherQuality];
        let judge = Judge::new(rules.rules(), &signal::columns(&families)).unwrap();
        let values = Measurer::new(signal::Dialect::Uax29, &families).measure(text);
        judge.first_failed(&values).map(|check| check.rule.name)
    }

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(failed(&GopherQuality::default(), text), expected, "{text:?}");
    }

    const SHORT: Option<&str> = Some("short_doc");

    #[test]
    fn fifty_content_words_are_enough() {
        check("", SHORT);
        check(" \n ", SHORT);
        check(&times(24, "with that "), SHORT);
        check(&(times(24, "with that ") + "one . ! …"), SHORT);
        check(&times(25, "with that "), None);
    }

    #[test]
    fn a_hundred_thousand_content_words_are_not_too_many() {
        check(&times(50_000, "with that "), None);
        check(&(times(50_000, "with that ") + "one"), Some("long_doc"));
    }

    #[test]
    fn words_are_three_to_ten_characters_long_on_average() {
        // 25 times "the" and "and" are 3 on average; one "a" more is less.
        check(&times(25, "the and "), None);
        check(&(times(25, "the and ") + "a"), Some("below_avg"));
        // 4 + 4 + 16 + 16 over 4 is 10.
        let ten = times(13, "with that abcdefghijklmnop abcdefghijklmnop ");
        check(&ten, None);
        check(&(ten + "abcdefghijk"), Some("above_avg"));
    }

    #[test]
    fn a_tenth_of_all_words_may_be_number_signs() {
        // 90 words and 10 signs, each a word as well: 10 / 100.
        check(&(times(45, "with that ") + &times(10, "# ")), None);
        check(&(times(45, "with that ") + &times(11, "# ")), Some("too_many_hashes"));
    }

    #[test]
    fn a_tenth_of_all_words_may_be_ellipses() {
        // The mark U+2026 is one word: 10 / 100.
        check(&(times(45, "with that ") + &times(10, "… ") + "."), None);
        check(&(times(45, "with that ") + &times(11, "… ") + "."), Some("too_many_ellipsis"));
    }

    #[test]
    fn nine_of_ten_lines_may_be_bullets() {
        let line = "with that have been with that have been\n";
        let bullet = format!(" - {line}");
        check(&(times(9, &bullet) + line), None);
        check(&times(10, &bullet), Some("too_many_bullets"));
    }

    #[test]
    fn three_of_ten_lines_may_end_in_an_ellipsis() {
        let line = "with that have been with that have been with that have been\n";
        let cut = "with that have been with that have been with that have been … \n";
        check(&(times(3, cut) + &times(7, line)), None);
        check(&(times(4, cut) + &times(6, line)), Some("too_many_end_ellipsis"));
    }

    #[test]
    fn four_of_five_words_have_a_letter() {
        check(&(times(40, "with that ") + &times(20, "1234 ")), None);
        check(&(times(40, "with that ") + &times(21, "1234 ")), Some("below_alpha"));
    }

    #[test]
    fn two_different_stop_words_are_enough() {
        check(&times(60, "that "), Some("enough_stop_words"));
        check(&(times(60, "that ") + "With"), Some("enough_stop_words"));
        check(&(times(60, "that ") + "with"), None);
    }

    #[test]
    fn without_bounds_nothing_fails() {
        let off: GopherQuality = serde_json::from_str(
            r#"{"short_doc":"off","long_doc":"off","below_avg":"off","above_avg":"off","too_many_hashes":"off",
                "too_many_ellipsis":"off","too_many_bullets":"off","too_many_end_ellipsis":"off",
                "below_alpha":"off","enough_stop_words":"off"}"#,
        )
        .unwrap();
        assert_eq!(failed(&off, ""), None);
        let json = serde_json::to_value(&off).unwrap();
        assert_eq!(serde_json::from_value::<GopherQuality>(json).unwrap(), off);
    }

    #[test]
    fn a_bound_is_a_number_or_off() {
        let refused =
            |json: &str| serde_json::from_str::<GopherQuality>(json).unwrap_err().to_string();
        assert!(refused(r#"{"short_doc":0.5}"#).contains("expected a whole number, or \"off\""));
        assert!(
            refused(r#"{"below_avg":-1}"#).contains("expected a number of at least 0, or \"off\"")
        );
        assert!(refused(r#"{"below_avg":"none"}"#).contains("invalid value: string \"none\""));
        assert!(refused(r#"{"shortdoc":1}"#).contains("expected one of `short_doc`"));
    }
}

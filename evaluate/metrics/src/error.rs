/// Why a number could not be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// There is nothing to measure.
    #[error("no {what} to measure")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// Two lists that belong together differ in length.
    #[error("{found} {what}, but {expected} are expected")]
    Length {
        /// What the list holds.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length of the list it belongs to.
        expected: usize,
    },
    /// A label outside the label list.
    #[error("row {row} has label {found}, but there are {expected} labels")]
    UnknownLabel {
        /// The row, from zero.
        row: usize,
        /// The label found.
        found: u32,
        /// Number of labels.
        expected: u32,
    },
    /// A tag without a name.
    #[error("the tag \"\" has no prefix")]
    EmptyTag,
    /// A tag whose prefix the scheme lacks.
    #[error("the tag {found:?} has none of the prefixes {expected}")]
    BadPrefix {
        /// Name of the tag.
        found: String,
        /// The prefixes of the scheme.
        expected: &'static str,
    },
    /// A tag outside the list of tags.
    #[error("token {token} has tag {found}, but there are {expected} tags")]
    UnknownTag {
        /// The token of its sentence, from zero.
        token: usize,
        /// The tag found.
        found: u32,
        /// Number of tags.
        expected: usize,
    },
    /// A number outside its range.
    #[error("{what} is {found}, expected {expected}")]
    OutOfRange {
        /// What the number is.
        what: &'static str,
        /// The number.
        found: f64,
        /// The range.
        expected: &'static str,
    },
    /// A statistic has no finite value, as a ratio over nothing has none.
    #[error("{what} has no finite value")]
    NotFinite {
        /// The statistic.
        what: &'static str,
    },
}

impl MetricsError {
    /// Whether `found` is as long as `expected`.
    pub(crate) fn check_length(
        what: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<(), Self> {
        if found == expected { Ok(()) } else { Err(Self::Length { what, found, expected }) }
    }

    /// `value`, if it is finite.
    pub(crate) fn check_finite(what: &'static str, value: f64) -> Result<f64, Self> {
        if value.is_finite() { Ok(value) } else { Err(Self::NotFinite { what }) }
    }

    /// Whether `level` can be a level of confidence.
    pub(crate) fn check_level(level: f64) -> Result<(), Self> {
        if level > 0.0 && level < 1.0 {
            return Ok(());
        }
        Err(Self::OutOfRange { what: "level", found: level, expected: "above 0 and below 1" })
    }
}

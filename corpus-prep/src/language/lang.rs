//! Languages by their codes.

use super::table::LANGS;
use std::fmt;

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lang {
    code: &'static str,
    iso_639_3: &'static str,
    name: &'static str,
}

/// The mark of a label in models of fastText.
const LABEL_PREFIX: &str = "__label__";

/// Labels of models that are trained on Wikipedias, which name some languages otherwise than ISO 639 does.
///
/// `als` is Alemannic there, but Tosk Albanian in ISO 639-3; `eml` was cut in two; the Wikipedia `no` is in Bokmål.
const OF_WIKIPEDIA: [(&str, &str); 3] = [("als", "gsw"), ("eml", "egl"), ("no", "nb")];

/// Languages of ISO 639-3 that are the written form of a wider one, by which they go here.
const WITHIN: [(&str, &str); 20] = [
    ("arb", "ar"),
    ("azj", "az"),
    ("bho", "bh"),
    ("cmn", "zh"),
    ("ekk", "et"),
    ("gug", "gn"),
    ("khk", "mn"),
    ("kmr", "ku"),
    ("lvs", "lv"),
    ("nor", "nb"),
    ("npi", "ne"),
    ("ory", "or"),
    ("pbt", "ps"),
    ("pes", "fa"),
    ("plt", "mg"),
    ("quy", "qu"),
    ("swh", "sw"),
    ("uzn", "uz"),
    ("ydd", "yi"),
    ("zsm", "ms"),
];

impl Lang {
    /// The language with a code of ISO 639-1 or ISO 639-3, in lower case.
    ///
    /// A language that is the common written form of a wider one, such as `cmn` (Mandarin) or `pes` (Iranian Persian), is
    /// the wider one, `zh` or `fa`. `None` for codes that neither [`identify`](super::identify()) nor `lid.176` gives.
    pub fn from_code(code: &str) -> Option<Self> {
        let code =
            WITHIN.iter().find(|(within, _)| *within == code).map_or(code, |(_, wider)| wider);
        let (code, iso_639_3, name) =
            LANGS.iter().find(|(short, long, _)| *short == code || *long == code)?;
        Some(Self { code, iso_639_3, name })
    }

    /// The language of a label of fastText: of `lid.176` such as `__label__en`, or with a script behind it, such as
    /// `__label__eng_Latn` of GlotLID.
    pub fn from_label(label: &str) -> Option<Self> {
        let label = label.strip_prefix(LABEL_PREFIX)?;
        match label.split_once('_') {
            Some((code, _script)) => Self::from_code(code),
            None => {
                let of_wikipedia = OF_WIKIPEDIA.iter().find(|(theirs, _)| *theirs == label);
                Self::from_code(of_wikipedia.map_or(label, |(_, ours)| ours))
            }
        }
    }

    /// Its code of ISO 639-1, or that of ISO 639-3 where there is none of two letters; as in `lang` of an HTML page.
    pub fn code(self) -> &'static str {
        self.code
    }

    /// Its code of ISO 639-3, or of ISO 639-5 for the two that are groups: Bihari and Nahuatl languages.
    pub fn iso_639_3(self) -> &'static str {
        self.iso_639_3
    }

    /// Its name in English.
    pub fn name(self) -> &'static str {
        self.name
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

//! Wikitext, in which the pages of MediaWiki are written, to plain text.
//!
//! Templates, tables, references, comments, formulas, files and categories are left out; of links the label is kept, of
//! headings and items of lists the words. Templates are not expanded, so what they would say is missing. Every character is
//! looked at a bounded number of times: nothing is parsed by recursion, and what is nested more than [`MAX_DEPTH`] deep loses
//! its marks and keeps its words.
//!
//! Source: the grammar in words at <https://www.mediawiki.org/wiki/Help:Formatting>, and which parts to leave out as
//! WikiExtractor does.

mod entity;
mod scan;
mod tag;
mod tidy;

use self::scan::Scanner;
use std::collections::BTreeSet;

/// Deepest nesting of templates, tables and links that is understood.
pub const MAX_DEPTH: usize = 64;

/// Names of the namespaces whose links show nothing in a text, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden(BTreeSet<String>);

/// The names that every wiki knows.
impl Default for Hidden {
    fn default() -> Self {
        Self(["file", "image", "media", "category"].map(String::from).into())
    }
}

impl Hidden {
    /// Adds the name that a wiki has for such a namespace.
    pub fn add(&mut self, name: &str) {
        self.0.insert(name.trim().to_lowercase());
    }

    /// Whether a link to `target` shows nothing: it names a hidden namespace, or the same page in another language.
    fn hides(&self, target: &str, has_label: bool) -> bool {
        let Some((prefix, _)) = target.split_once(':') else { return false };
        let prefix = prefix.trim();
        self.0.contains(&prefix.to_lowercase()) || !has_label && is_language(prefix)
    }
}

/// Whether `prefix` is written as the code of a language is: `de`, `als`, `zh-min-nan`, `simple`.
fn is_language(prefix: &str) -> bool {
    let mut parts = prefix.split('-');
    let is_lower =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    prefix == "simple"
        || parts.next().is_some_and(|first| matches!(first.len(), 2 | 3) && is_lower(first))
            && parts.all(is_lower)
}

/// The plain text of `wikitext`.
pub fn text(wikitext: &str, hidden: &Hidden) -> String {
    tidy::tidy(&Scanner::new(wikitext, hidden).scan())
}

#[cfg(test)]
mod tests;

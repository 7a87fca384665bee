//! Pages to their main text.
//!
//! The text is what crate `trafilatura` finds, which follows go-trafilatura and so Barbaresi 2021,
//! doi:10.18653/v1/2021.acl-demo.15; comments of readers are left out.

mod tree;

use self::tree::Size;
use super::charset;
use encoding_rs::Encoding;
use std::panic::{AssertUnwindSafe, catch_unwind};
use trafilatura::{HtmlDateMode, Options, TrafilaturaError, extract};

/// Largest page. Real ones are some ten levels deep; the extractor leaves out what stands below some hundred. They have
/// some thousand nodes; the extractor's time grows faster than their number.
const MAX: Size = Size { depth: 200, nodes: 100_000 };

/// A page as it was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The main text; empty if there is none.
    pub text: String,
    /// The title, if there is one.
    pub title: Option<String>,
    /// Bytes that are not of the page's charset and became U+FFFD, about.
    pub replaced_bytes: u64,
}

/// Why a page cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPage {
    /// Elements are nested too deeply.
    #[error("elements nested more than {} deep, which are left unread", MAX.depth)]
    TooDeep,
    /// There are too many elements.
    #[error("a page of more than {} elements, which is left unread", MAX.nodes)]
    TooManyNodes,
    /// The extractor panicked, or gave up.
    #[error("the extractor of main text gave up: {message}")]
    GaveUp {
        /// What it said.
        message: String,
    },
}

/// The main text of a page. `marked` is the charset of a byte order mark that stood before it, and `said` the one that whoever
/// sent it says; without both the page's own word counts.
///
/// # Errors
/// [`BadPage`] when it is not to be read in bounded time and memory.
pub fn read(
    bytes: &[u8],
    marked: Option<&'static Encoding>,
    said: Option<&'static Encoding>,
) -> Result<Page, BadPage> {
    let said = said.or_else(|| charset::declared(bytes));
    let (html, replaced_bytes) = charset::decode(bytes, marked, said);
    let Size { depth, nodes } = tree::size(&html, MAX);
    if depth > MAX.depth {
        return Err(BadPage::TooDeep);
    }
    if nodes > MAX.nodes {
        return Err(BadPage::TooManyNodes);
    }
    let options = Options::default()
        .with_fallback(true)
        .with_exclude_comments(true)
        .with_html_date_mode(HtmlDateMode::Disabled);
    // One page that the extractor stumbles over must not take the others with it.
    let extracted = catch_unwind(AssertUnwindSafe(|| extract(&html, &options)));
    let gave_up = |message: String| BadPage::GaveUp { message };
    match extracted {
        Ok(Ok(found)) => {
            let title = Some(found.metadata.title).filter(|title| !title.trim().is_empty());
            Ok(Page { text: found.content_text, title, replaced_bytes })
        }
        Ok(Err(TrafilaturaError::InsufficientContent { .. })) => {
            Ok(Page { replaced_bytes, ..Page::default() })
        }
        Ok(Err(error)) => Err(gave_up(error.to_string())),
        Err(_) => Err(gave_up("it panicked".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_text_and_the_title_are_found() {
        let words =
            "The river carries the old letters past the quiet garden every winter. ".repeat(9);
        let html = format!(
            "<html><head><title>Letters</title></head><body><nav><a href='/'>Home</a></nav>\
             <article><h1>Letters</h1><p>{words}</p></article><footer>Imprint</footer></body></html>"
        );
        let page = read(html.as_bytes(), None, None).unwrap();
        assert_eq!(page.title.as_deref(), Some("Letters"));
        assert!(page.text.contains(words.trim()) && !page.text.contains("Imprint"), "{page:?}");
    }

    #[test]
    fn a_page_without_main_text_is_empty() {
        for html in ["", "<html></html>", "<script>var a</script>"] {
            assert_eq!(read(html.as_bytes(), None, None), Ok(Page::default()), "{html}");
        }
    }

    #[test]
    fn a_bomb_is_refused_and_what_is_just_allowed_takes_seconds() {
        let nested = |tag: &str, times| read(tag.repeat(times).as_bytes(), None, None);
        assert_eq!(nested("<div>", 1_000_000), Err(BadPage::TooDeep));
        assert_eq!(nested("<b>", 1_000_000), Err(BadPage::TooDeep));
        assert_eq!(nested("<p>", 1_000_000), Err(BadPage::TooManyNodes));
        let started = std::time::Instant::now();
        for tag in ["<p>x", "<br>", "<a>", "<table><tr><td>x</table>", "<p><b>x</b>"] {
            let times = MAX.nodes / 2 / tag.matches("<").count();
            assert!(nested(tag, times).is_ok(), "{tag}");
        }
        for tag in ["<div>", "<b>", "<ul><li>", "<font><p>"] {
            assert!(nested(tag, MAX.depth / 3).is_ok(), "{tag}");
        }
        // Seconds on a quiet machine; the bound tells only whether it grows out of hand.
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    }
}

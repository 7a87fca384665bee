//! A page of a dump, as a document.

use super::site::{Site, attribute};
use crate::read::record::{Parsed, Record, Unreadable};
use crate::read::skip::{Skip, Skipped};
use crate::read::utf8::{self, InvalidByte, InvalidUtf8};
use crate::read::wikitext;
use pipelines::key::canonical;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Deepest nesting of elements in a page.
const MAX_DEPTH: usize = 16;

/// A page that is not parsed yet.
#[derive(Debug)]
pub struct PageEntry {
    /// From `<page>` to `</page>`.
    pub bytes: Vec<u8>,
    /// Its wiki.
    pub site: Arc<Site>,
}

/// Why a page cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPage {
    /// It is no XML.
    #[error("found broken XML at byte {at} of a page, expected elements that end")]
    BrokenXml {
        /// Where, from the first byte of the page.
        at: u64,
    },
    /// It lacks an element.
    #[error("no element `{name}` in a page")]
    NoElement {
        /// The element.
        name: &'static str,
    },
}

/// What a page says.
#[derive(Default)]
struct Page {
    title: Option<String>,
    namespace: Option<i64>,
    id: Option<String>,
    is_redirect: bool,
    /// The newest one that was met.
    revision: Option<Revision>,
}

#[derive(Default)]
struct Revision {
    id: Option<String>,
    timestamp: Option<String>,
    model: Option<String>,
    text: Option<String>,
    is_deleted: bool,
}

impl PageEntry {
    /// The text of the page's newest revision, if the page is in one of `namespaces`.
    ///
    /// # Errors
    /// [`InvalidByte`] where invalid UTF-8 is refused; its offset is from the start of the page.
    pub fn parse(
        self,
        namespaces: &BTreeSet<i64>,
        invalid: InvalidUtf8,
    ) -> Result<Parsed, InvalidByte> {
        let (xml, replaced_bytes) = utf8::decode(self.bytes, invalid)?;
        let unreadable = |problem| Ok(Parsed::Unreadable(Unreadable::WikiPage(problem)));
        let page = match Page::parse(&xml) {
            Ok(page) => page,
            Err(problem) => return unreadable(problem),
        };
        let Some(title) = &page.title else {
            return unreadable(BadPage::NoElement { name: "title" });
        };
        let url = self.site.url(title);
        if let Some(why) = page.skip(namespaces) {
            return Ok(Parsed::Skipped(Skipped { source_id: page.id, url, why }));
        }
        let Some(text) = page.text() else {
            return unreadable(BadPage::NoElement { name: "text" });
        };
        Ok(Parsed::Record(Record {
            text: wikitext::text(text, &self.site.hidden),
            metadata: Some(page.metadata()),
            source_id: page.id,
            source: None,
            url,
            lang: self.site.lang.clone(),
            replaced_bytes,
        }))
    }
}

impl Page {
    fn parse(xml: &str) -> Result<Self, BadPage> {
        let (mut page, mut revision) = (Self::default(), Revision::default());
        let (mut path, mut text) = (Vec::<String>::new(), String::new());
        let mut reader = Reader::from_str(xml);
        loop {
            let broken = BadPage::BrokenXml { at: reader.buffer_position() };
            let event = reader.read_event().map_err(|_| broken.clone())?;
            match event {
                Event::Start(element) => {
                    if path.len() >= MAX_DEPTH {
                        return Err(broken);
                    }
                    path.push(element.name().0.to_owned());
                    text.clear();
                    page.begin(&path, &mut revision, attribute(&element, "deleted").is_some());
                }
                Event::Empty(element) => {
                    path.push(element.name().0.to_owned());
                    page.begin(&path, &mut revision, attribute(&element, "deleted").is_some());
                    page.end(&path, &mut revision, String::new());
                    path.pop();
                }
                Event::Text(piece) => text.push_str(&piece),
                Event::CData(piece) => text.push_str(&piece),
                Event::GeneralRef(piece) => text.push_str(&resolved(&piece).ok_or(broken)?),
                Event::End(_) => {
                    page.end(&path, &mut revision, std::mem::take(&mut text));
                    path.pop();
                }
                Event::Eof if path.is_empty() => return Ok(page),
                Event::Eof => return Err(broken),
                _ => {}
            }
        }
    }

    fn begin(&mut self, path: &[String], revision: &mut Revision, is_deleted: bool) {
        match names(path).as_slice() {
            ["page", "redirect"] => self.is_redirect = true,
            ["page", "revision"] => *revision = Revision::default(),
            ["page", "revision", "text"] => revision.is_deleted = is_deleted,
            _ => {}
        }
    }

    fn end(&mut self, path: &[String], revision: &mut Revision, text: String) {
        match names(path).as_slice() {
            ["page", "title"] => self.title = Some(text),
            ["page", "ns"] => self.namespace = text.trim().parse().ok(),
            ["page", "id"] => self.id = Some(text),
            ["page", "revision", "id"] => revision.id = Some(text),
            ["page", "revision", "timestamp"] => revision.timestamp = Some(text),
            ["page", "revision", "model"] => revision.model = Some(text),
            ["page", "revision", "text"] => revision.text = Some(text),
            ["page", "revision"] => {
                let revision = std::mem::take(revision);
                let newest = self.revision.as_ref().map(|newest| &newest.timestamp);
                if newest.is_none_or(|newest| *newest <= revision.timestamp) {
                    self.revision = Some(revision);
                }
            }
            _ => {}
        }
    }

    fn text(&self) -> Option<&str> {
        self.revision.as_ref()?.text.as_deref()
    }

    fn metadata(&self) -> String {
        let revision = self.revision.as_ref();
        let id = revision.and_then(|revision| revision.id.as_deref());
        let timestamp = revision.and_then(|revision| revision.timestamp.as_deref());
        let mut metadata = json!({ "title": self.title, "namespace": self.namespace.unwrap_or(0) });
        for (name, value) in [("revision_id", id), ("timestamp", timestamp)] {
            if let Some(value) = value {
                metadata[name] = value.into();
            }
        }
        canonical(&metadata)
    }

    /// Why it is no document.
    fn skip(&self, namespaces: &BTreeSet<i64>) -> Option<Skip> {
        let revision = self.revision.as_ref();
        let model = revision.and_then(|revision| revision.model.as_deref()).unwrap_or("wikitext");
        let found = self.namespace.unwrap_or(0);
        if !namespaces.contains(&found) {
            Some(Skip::Namespace { found })
        } else if self.is_redirect || is_redirect(self.text().unwrap_or_default()) {
            Some(Skip::Redirect)
        } else if revision.is_some_and(|revision| revision.is_deleted) {
            Some(Skip::DeletedText)
        } else if model != "wikitext" {
            Some(Skip::ContentModel { found: model.to_owned() })
        } else {
            None
        }
    }
}

/// Dumps of old say of a redirect nothing but its text.
fn is_redirect(text: &str) -> bool {
    let start = text.trim_start().as_bytes();
    start.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"#REDIRECT"))
}

fn names(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

fn resolved(reference: &BytesRef<'_>) -> Option<String> {
    match reference.resolve_char_ref() {
        Ok(Some(char)) => Some(char.to_string()),
        Ok(None) => resolve_predefined_entity(reference).map(String::from),
        Err(_) => None,
    }
}

//! Dumps of MediaWiki: pages as XML, one behind the other.
//!
//! A dump is cut at its marks `<page>` and `</page>`, which can stand nowhere else in it, since texts are escaped; each page is
//! then parsed alone. So damage costs the pages that it falls on.
//!
//! Source: <https://www.mediawiki.org/xml/export-0.11.xsd>.

mod page;
mod site;

pub use self::page::{BadPage, PageEntry};
pub use self::site::Site;

use super::ahead::Ahead;
use super::decompress::Decoder;
use super::raw::RawContent;
use super::record::Unreadable;
use super::records::{Content, Found};
use memchr::memmem;
use std::io;
use std::sync::Arc;

/// Longest head of a dump, in bytes.
const MAX_HEAD_BYTES: usize = 1 << 20;

const BEGIN: &[u8] = b"<page>";
const END: &[u8] = b"</page>";
const CLOSE: &[u8] = b"</mediawiki>";

const SITE_END: &[u8] = b"</siteinfo>";

/// How a dump begins.
const HEADS: [&[u8]; 3] = [b"<mediawiki", b"<?xml", b"\xef\xbb\xbf"];

/// Bytes that are looked at first.
const LOOK_BYTES: usize = 1 << 14;

/// Why a stretch of a dump holds no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDump {
    /// It does not begin like one.
    #[error("found no `<mediawiki`, expected a dump of MediaWiki")]
    NoDump,
    /// Something else stands where a page should begin.
    #[error("found something else between pages, expected `<page>` or `</mediawiki>`")]
    NoPage,
    /// A page does not end.
    #[error("a page that does not end, expected `</page>`")]
    OpenPage,
    /// The file ends.
    #[error("found the end of the file, expected `</mediawiki>`")]
    Open,
}

/// The pages of a dump, one at a time: memory holds one page, at most `max_record_bytes` long.
pub struct DumpRecords<'a> {
    bytes: Ahead<'a>,
    max_record_bytes: u64,
    site: Arc<Site>,
    at: At,
}

/// Where in a file reading is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before a dump, or behind one.
    Outside,
    /// Between pages.
    Within,
    /// At the end.
    End,
}

impl<'a> DumpRecords<'a> {
    /// Reads what `decoder` gives.
    pub fn new(decoder: Decoder<'a>, max_record_bytes: u64) -> Self {
        let bytes = Ahead::new(decoder);
        Self { bytes, max_record_bytes, site: Arc::default(), at: At::Outside }
    }

    /// Bytes of the file read so far, as they are compressed.
    pub fn file_bytes(&self) -> u64 {
        self.bytes.file_bytes()
    }

    fn next_record(&mut self) -> io::Result<Option<Found>> {
        loop {
            while self.bytes.look(1)?.first().is_some_and(u8::is_ascii_whitespace) {
                self.bytes.take(1);
            }
            let offset = self.bytes.offset();
            if let Some(content) = self.content()? {
                return Ok(Some(Found { line: None, offset, content }));
            }
            if self.at == At::End {
                return Ok(None);
            }
        }
    }

    /// What stands next, if that is a record: not the head of a dump or its end.
    fn content(&mut self) -> io::Result<Option<Content>> {
        let begin = self.bytes.offset();
        let there = self.bytes.look(LOOK_BYTES)?;
        if there.is_empty() {
            return self.end();
        }
        if there.starts_with(BEGIN) && self.at == At::Within {
            return self.page(begin).map(Some);
        }
        if there.starts_with(CLOSE) {
            self.bytes.take(CLOSE.len());
            self.at = At::Outside;
            return Ok(None);
        }
        if HEADS.iter().any(|head| there.starts_with(head)) && self.head()? {
            return Ok(None);
        }
        let problem = if self.at == At::Outside { BadDump::NoDump } else { BadDump::NoPage };
        self.lost(begin, problem).map(Some)
    }

    /// A gap, or the end of the file.
    fn end(&mut self) -> io::Result<Option<Content>> {
        if let Some(fault) = self.bytes.take_gap() {
            self.find_page()?;
            return Ok(Some(Content::Bytes(RawContent::Broken(fault))));
        }
        let is_open = self.at == At::Within;
        self.at = At::End;
        let bad = Unreadable::Dump { problem: BadDump::Open, lost: 0 };
        Ok(is_open.then_some(Content::Bad(bad)))
    }

    /// Takes the head of a dump, if it is one.
    fn head(&mut self) -> io::Result<bool> {
        let there = self.bytes.look(MAX_HEAD_BYTES)?;
        let there = &there[..there.len().min(MAX_HEAD_BYTES)];
        let Some(length) = head_length(there) else { return Ok(false) };
        self.site = Arc::new(Site::parse(&String::from_utf8_lossy(&there[..length])));
        self.bytes.take(length);
        self.at = At::Within;
        Ok(true)
    }

    /// Takes the page that stands next, which begins at decoded byte `begin`.
    fn page(&mut self, begin: u64) -> io::Result<Content> {
        let mut looked = BEGIN.len();
        loop {
            let passed = self.bytes.offset() - begin;
            let there = self.bytes.look(looked + LOOK_BYTES)?;
            let length = there.len();
            match next_mark(there, looked) {
                Some((Mark::End, at)) => {
                    let bytes = passed + at as u64;
                    if bytes > self.max_record_bytes {
                        self.bytes.take(at);
                        return Ok(Content::Bytes(RawContent::TooLong { bytes }));
                    }
                    let bytes = there[..at].to_vec();
                    self.bytes.take(at);
                    let site = Arc::clone(&self.site);
                    return Ok(Content::Page(Box::new(PageEntry { bytes, site })));
                }
                Some((Mark::Begin, at)) => {
                    self.bytes.take(at);
                    return self.lost(begin, BadDump::OpenPage);
                }
                None if length < looked + LOOK_BYTES => {
                    self.bytes.take(length);
                    return self.open_page(begin);
                }
                None => looked = length + 1 - END.len(),
            }
            // What is too long is not held.
            if passed + looked as u64 > self.max_record_bytes {
                self.bytes.take(looked);
                looked = 0;
            }
        }
    }

    /// A page that a gap or the end of the file cuts.
    fn open_page(&mut self, begin: u64) -> io::Result<Content> {
        match self.bytes.take_gap() {
            Some(fault) => {
                self.find_page()?;
                Ok(Content::Bytes(RawContent::Broken(fault)))
            }
            None => self.lost(begin, BadDump::OpenPage),
        }
    }

    /// Passes over what is no page.
    fn lost(&mut self, begin: u64, problem: BadDump) -> io::Result<Content> {
        self.find_page()?;
        Ok(Content::Bad(Unreadable::Dump { problem, lost: self.bytes.offset() - begin }))
    }

    /// Passes over bytes up to the next page, the end of the dump, a gap, or the end of the file, which then is expected.
    fn find_page(&mut self) -> io::Result<()> {
        self.at = At::Within;
        loop {
            let there = self.bytes.look(LOOK_BYTES)?;
            let found = [BEGIN, CLOSE].iter().filter_map(|mark| memmem::find(there, mark)).min();
            let length = there.len();
            if let Some(at) = found {
                self.bytes.take(at);
                return Ok(());
            }
            if length < LOOK_BYTES {
                self.at = At::Outside;
                self.bytes.take(length);
                return Ok(());
            }
            self.bytes.take(length + 1 - CLOSE.len());
        }
    }
}

/// Length of the head that `bytes` begin with: what XML says of itself, the tag `mediawiki`, and what that says of its wiki.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if rest.starts_with(b"<?xml") {
        rest = rest[memmem::find(rest, b"?>")? + 2..].trim_ascii_start();
    }
    if !rest.starts_with(b"<mediawiki") {
        return None;
    }
    let behind = &rest[memchr::memchr(b'>', rest)? + 1..];
    let site = behind.trim_ascii_start();
    let rest = match site.starts_with(b"<siteinfo") {
        true => &site[memmem::find(site, SITE_END)? + SITE_END.len()..],
        false => behind,
    };
    Some(bytes.len() - rest.len())
}

enum Mark {
    /// Of the next page.
    Begin,
    /// Of this one.
    End,
}

/// The first mark of a page in `bytes` from byte `from` on: where one begins, or behind which this one ends.
fn next_mark(bytes: &[u8], from: usize) -> Option<(Mark, usize)> {
    memmem::find_iter(&bytes[from..], b"page>").find_map(|at| match &bytes[from..from + at] {
        [.., b'<', b'/'] => Some((Mark::End, from + at + 5)),
        [.., b'<'] => Some((Mark::Begin, from + at - 1)),
        _ => None,
    })
}

impl Iterator for DumpRecords<'_> {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == At::End {
            return None;
        }
        let record = self.next_record().transpose();
        if !matches!(record, Some(Ok(_))) {
            self.at = At::End;
        }
        record
    }
}

#[cfg(test)]
mod tests;

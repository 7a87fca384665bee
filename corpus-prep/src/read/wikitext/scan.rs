//! One pass over wikitext, with a stack of what is open.

use super::tag::{self, Meaning, Tag};
use super::{Hidden, MAX_DEPTH, entity};
use memchr::{memchr, memmem};
use std::collections::BTreeSet;

/// How addresses begin that a single bracket may link to.
const SCHEMES: [&str; 8] =
    ["http://", "https://", "//", "ftp://", "mailto:", "news:", "irc://", "git://"];

/// Longest end tag, in bytes.
const MAX_END_BYTES: usize = 64;

/// Bytes that may mean something other than themselves.
const MARKS: &[u8] = b"{}[]|<&'_\n";

/// What is open.
struct Frame {
    kind: Kind,
    /// Where in the output its mark stands.
    start: usize,
    /// Length of that mark in bytes.
    mark: usize,
    /// Where in the output the label of a link begins, behind its first `|`.
    label: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `{{`, or `{{{`.
    Template,
    /// `{|`.
    Table,
    /// `[[`.
    Link,
    /// `[` and an address, of which the output has nothing.
    External,
}

/// Text that is being read.
pub struct Scanner<'a> {
    text: &'a str,
    hidden: &'a Hidden,
    at: usize,
    /// What is read so far; marks of what is open stand in it until it is closed.
    out: String,
    open: Vec<Frame>,
    /// End tags, in lower case, that do not come any more.
    exhausted: BTreeSet<String>,
}

impl<'a> Scanner<'a> {
    /// Begins with `text`. Links into the namespaces `hidden` show nothing.
    pub fn new(text: &'a str, hidden: &'a Hidden) -> Self {
        let out = String::with_capacity(text.len());
        Self { text, hidden, at: 0, out, open: Vec::new(), exhausted: BTreeSet::new() }
    }

    /// Reads to the end.
    pub fn scan(mut self) -> String {
        self.line_start();
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|byte| MARKS.contains(&byte)).unwrap_or(rest.len());
            self.keep(plain);
            if let Some(mark) = self.text.as_bytes().get(self.at) {
                self.mark(*mark);
            }
        }
        self.without_open_marks()
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Copies the next `bytes` bytes.
    fn keep(&mut self, bytes: usize) {
        self.out.push_str(&self.text[self.at..self.at + bytes]);
        self.at += bytes;
    }

    /// How often `byte` stands next.
    fn run(&self, byte: u8) -> usize {
        self.rest().bytes().take_while(|next| *next == byte).count()
    }

    fn mark(&mut self, mark: u8) {
        match mark {
            b'{' => self.braces(),
            b'}' => self.end_braces(),
            b'[' => self.bracket(),
            b']' => self.end_bracket(),
            b'|' => self.pipe(),
            b'<' => self.tag(),
            b'&' => self.entity(),
            b'\'' => self.quotes(),
            b'_' => self.switch(),
            _ => self.line_end(),
        }
    }

    /// Opens something whose mark is the next `mark` bytes; too deep, the mark is left out.
    fn push(&mut self, kind: Kind, mark: usize) {
        if self.open.len() < MAX_DEPTH {
            self.open.push(Frame { kind, start: self.out.len(), mark, label: None });
            self.keep(mark);
        } else {
            self.at += mark;
        }
    }

    /// Closes the innermost open template or table, and what is open in it.
    fn drop_block(&mut self, kind: Kind) -> Option<Frame> {
        let at = self.open.iter().rposition(|frame| frame.kind == kind)?;
        let frame = self.open.drain(at..).next()?;
        self.out.truncate(frame.start);
        Some(frame)
    }

    fn braces(&mut self) {
        let mut braces = self.run(b'{');
        while braces >= 2 {
            let mark = if braces == 3 { 3 } else { 2 };
            self.push(Kind::Template, mark);
            braces -= mark;
        }
        self.keep(braces);
    }

    fn end_braces(&mut self) {
        let mut braces = self.run(b'}');
        while braces >= 2 {
            let Some(frame) = self.drop_block(Kind::Template) else { break };
            let mark = frame.mark.min(braces);
            braces -= mark;
            self.at += mark;
        }
        match braces {
            1 => self.keep(1),
            more => self.at += more,
        }
    }

    fn bracket(&mut self) {
        let rest = self.rest();
        if rest.starts_with("[[") {
            return self.push(Kind::Link, 2);
        }
        let is_address = |scheme: &str| {
            let begin = rest.as_bytes().get(1..1 + scheme.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(scheme.as_bytes()))
        };
        if !SCHEMES.iter().any(|scheme| is_address(scheme)) {
            return self.keep(1);
        }
        let is_end = |byte: u8| byte.is_ascii_whitespace() || b"[]<>\"".contains(&byte);
        let address = rest.bytes().skip(1).position(is_end).unwrap_or(rest.len() - 1);
        self.at += 1 + address;
        self.push(Kind::External, 0);
    }

    fn end_bracket(&mut self) {
        let is_link = self.rest().starts_with("]]");
        match self.open.pop_if(|frame| matches!(frame.kind, Kind::Link | Kind::External)) {
            Some(Frame { kind: Kind::External, .. }) => self.at += 1,
            Some(frame) if is_link => {
                self.at += 2;
                self.end_link(&frame);
            }
            other => {
                self.open.extend(other);
                match is_link {
                    true => self.at += 2,
                    false => self.keep(1),
                }
            }
        }
    }

    /// Leaves the label of a link, or where it leads.
    fn end_link(&mut self, frame: &Frame) {
        let label = frame.label.unwrap_or(self.out.len());
        let begin = frame.start + frame.mark;
        let target = self.out[begin..label].trim_end_matches('|');
        let shown = match self.out[label..].trim() {
            _ if self.hidden.hides(target, frame.label.is_some()) => begin..begin,
            "" => {
                let colon = usize::from(target.starts_with(':'));
                begin + colon..begin + target.len()
            }
            _ => label..self.out.len(),
        };
        self.out.truncate(shown.end);
        self.out.drain(frame.start..shown.start);
    }

    fn pipe(&mut self) {
        self.keep(1);
        let length = self.out.len();
        if let Some(frame) = self.open.last_mut()
            && frame.kind == Kind::Link
        {
            frame.label = frame.label.or(Some(length));
        }
    }

    fn tag(&mut self) {
        if self.rest().starts_with("<!--") {
            return self.comment();
        }
        let Some(Tag { name, meaning, length }) = tag::parse(self.rest()) else {
            return self.keep(1);
        };
        self.at += length;
        match meaning {
            Meaning::Nothing => {}
            Meaning::Line => self.out.push('\n'),
            Meaning::Dropped => {
                if let Some((content, end)) = self.content(name) {
                    self.at += content + end;
                }
            }
            Meaning::Verbatim => {
                if let Some((content, end)) = self.content(name) {
                    self.verbatim(content);
                    self.at += end;
                }
            }
        }
    }

    /// Text in which nothing but references means something.
    fn verbatim(&mut self, bytes: usize) {
        let end = self.at + bytes;
        while let Some(plain) = memchr(b'&', &self.text.as_bytes()[self.at..end]) {
            self.keep(plain);
            self.entity();
        }
        self.keep(end.saturating_sub(self.at));
    }

    /// Lengths of what stands before the end tag `name`, and of that tag. Without one the text goes on.
    fn content(&mut self, name: &str) -> Option<(usize, usize)> {
        let name = name.to_ascii_lowercase();
        if self.exhausted.contains(&name) {
            return None;
        }
        let rest = self.rest().as_bytes();
        let found = memmem::find_iter(rest, b"</").find_map(|at| {
            let behind = rest.get(at + 2..at + 2 + name.len())?;
            let tag = behind.eq_ignore_ascii_case(name.as_bytes()).then(|| &rest[at..])?;
            Some((at, memchr(b'>', &tag[..tag.len().min(MAX_END_BYTES)])? + 1))
        });
        if found.is_none() {
            self.exhausted.insert(name);
        }
        found
    }

    fn comment(&mut self) {
        let has_end = !self.exhausted.contains("--");
        let end = has_end.then(|| memmem::find(self.rest().as_bytes(), b"-->")).flatten();
        match end {
            Some(length) => self.at += length + 3,
            None => {
                self.exhausted.insert("--".to_owned());
                self.at += 4;
            }
        }
    }

    fn entity(&mut self) {
        match entity::decode(self.rest()) {
            Some((decoded, length)) => {
                self.out.push_str(&decoded);
                self.at += length;
            }
            None => self.keep(1),
        }
    }

    /// Italic is two, bold three, both five.
    fn quotes(&mut self) {
        let quotes = self.run(b'\'');
        let kept = match quotes {
            1 => 1,
            2 | 3 | 5 => 0,
            4 => 1,
            more => more - 5,
        };
        self.at += quotes - kept;
        self.keep(kept);
    }

    /// Words such as `__NOTOC__`, which say how a page is laid out.
    fn switch(&mut self) {
        let rest = self.rest().as_bytes();
        let letters = rest.iter().skip(2).take_while(|byte| byte.is_ascii_uppercase()).count();
        let is_switch =
            rest.starts_with(b"__") && letters > 0 && rest[2 + letters..].starts_with(b"__");
        match is_switch {
            true => self.at += letters + 4,
            false => self.keep(self.run(b'_')),
        }
    }

    fn line_end(&mut self) {
        while let Some(
            Frame { kind: Kind::External, .. } | Frame { kind: Kind::Link, label: None, .. },
        ) = self.open.last()
        {
            self.close_without_mark();
        }
        self.keep(1);
        self.line_start();
    }

    /// Forgets the innermost thing that is open, and its mark.
    fn close_without_mark(&mut self) {
        if let Some(frame) = self.open.pop() {
            self.out.drain(frame.start..frame.start + frame.mark);
        }
    }

    /// Tables begin and end where lines do.
    fn line_start(&mut self) {
        let rest = self.rest();
        let indented = rest.bytes().take_while(|byte| b" \t:".contains(byte)).count();
        let line = &rest[indented..];
        if line.starts_with("{|") {
            self.at += indented;
            self.push(Kind::Table, 2);
        } else if line.starts_with("|}")
            && (self.is_in_table() || !line.starts_with("|}}"))
            && self.drop_block(Kind::Table).is_some()
        {
            self.at += indented + 2;
        }
    }

    fn is_in_table(&self) -> bool {
        let blocks = |frame: &&Frame| matches!(frame.kind, Kind::Table | Kind::Template);
        self.open.iter().rfind(blocks).is_some_and(|frame| frame.kind == Kind::Table)
    }

    /// What is read, without the marks of what was never closed.
    fn without_open_marks(self) -> String {
        let mut text = String::with_capacity(self.out.len());
        let mut from = 0;
        for frame in &self.open {
            text.push_str(&self.out[from..frame.start]);
            from = frame.start + frame.mark;
        }
        text.push_str(&self.out[from..]);
        text
    }
}

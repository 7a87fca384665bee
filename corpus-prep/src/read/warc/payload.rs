//! What a WARC record holds, as a document.

use super::http::Answer;
use super::{Entry, Fields, fields};
use crate::read::charset;
use crate::read::html::{self, BadPage, Page};
use crate::read::record::{Parsed, Record, Unreadable};
use crate::read::skip::{Skip, Skipped};
use crate::read::utf8::{self, InvalidByte, InvalidUtf8};
use encoding_rs::Encoding;
use pipelines::key::canonical;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The types of records that hold a document.
pub(super) const TYPES: [&str; 3] = ["response", "resource", "conversion"];

/// Fields of the header that are kept in `metadata`, and their names there.
const KEPT: [(&str, &str); 3] =
    [("warc-date", "date"), ("warc-refers-to", "refers_to"), ("warc-truncated", "truncated")];

/// Why what a record holds cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPayload {
    /// A `response` is no answer of HTTP, though it says so.
    #[error("found no answer of HTTP, expected one that begins with `HTTP/`")]
    NoAnswer,
    /// Its encoding is not read.
    #[error("content encoding `{found}`, expected `gzip`, `deflate`, `br` or `zstd`")]
    Encoding {
        /// The encoding.
        found: String,
    },
    /// It is encoded again and again.
    #[error("{found} content encodings one within the other, which are left unread")]
    ManyEncodings {
        /// How many.
        found: usize,
    },
    /// It does not decode.
    #[error("a body that is damaged or cut, expected all of its `{coding}`")]
    Damaged {
        /// Its encoding.
        coding: String,
    },
    /// It is longer than records may be.
    #[error("a body of over {max_bytes} bytes once it is decoded (`max_record_bytes`)")]
    TooLong {
        /// The bound.
        max_bytes: u64,
    },
}

/// What a record holds.
pub struct Document<'a> {
    header: &'a Fields,
    media: String,
    charset: Option<&'static Encoding>,
    status: Option<u16>,
    body: Cow<'a, [u8]>,
}

impl Entry {
    /// The document that the record holds. Bytes of texts that others made (`conversion`) must be UTF-8, and `invalid` says
    /// what happens if they are not; those of fetched ones are read by their charset.
    ///
    /// # Errors
    /// [`InvalidByte`] where invalid UTF-8 is refused; its offset is from the start of the record.
    pub fn parse(&self, max_bytes: u64, invalid: InvalidUtf8) -> Result<Parsed, InvalidByte> {
        let document = match self.document(max_bytes) {
            Ok(Ok(document)) => document,
            Ok(Err(why)) => return Ok(Parsed::Skipped(self.skipped(why))),
            Err(problem) => return Ok(Parsed::Unreadable(Unreadable::Payload(problem))),
        };
        let is_made = self.header.get("warc-type").is_some_and(|kind| {
            kind.eq_ignore_ascii_case("conversion") && document.media == "text/plain"
        });
        if is_made && document.charset.is_none() {
            let (text, replaced_bytes) = utf8::decode(self.block.clone(), invalid)
                .map_err(|bad| InvalidByte { offset: bad.offset + self.block_at, ..bad })?;
            return Ok(Parsed::Record(document.record(text, None, replaced_bytes)));
        }
        Ok(match document.read() {
            Ok(record) => Parsed::Record(record),
            Err(problem) => Parsed::Unreadable(Unreadable::Page(problem)),
        })
    }

    fn skipped(&self, why: Skip) -> Skipped {
        Skipped { source_id: self.header.record_id(), url: self.header.target(), why }
    }

    fn document(&self, max_bytes: u64) -> Result<Result<Document<'_>, Skip>, BadPayload> {
        let content_type = self.header.get("content-type").unwrap_or_default();
        let (media, _) = fields::media_type(content_type);
        if media != "application/http" {
            return self.of_type(content_type, None, || Ok(Cow::Borrowed(&*self.block)));
        }
        let answer = Answer::parse(&self.block).ok_or(BadPayload::NoAnswer)?;
        if !(200..300).contains(&answer.status) {
            return Ok(Err(Skip::Status { found: answer.status }));
        }
        let identified = self.header.get("warc-identified-payload-type");
        let content_type = answer.header.get("content-type").or(identified).unwrap_or_default();
        let is_cut = self.header.get("warc-truncated").is_some();
        self.of_type(content_type, Some(answer.status), || {
            answer.payload(max_bytes, is_cut).map(Cow::Owned)
        })
    }

    /// The document of type `content_type`, whose bytes `body` gives: nothing else is unpacked.
    fn of_type<'a>(
        &'a self,
        content_type: &str,
        status: Option<u16>,
        body: impl FnOnce() -> Result<Cow<'a, [u8]>, BadPayload>,
    ) -> Result<Result<Document<'a>, Skip>, BadPayload> {
        let (media, charset) = fields::media_type(content_type);
        if !matches!(&*media, "text/html" | "application/xhtml+xml" | "text/plain") {
            return Ok(Err(Skip::MediaType { found: media }));
        }
        let charset = charset.and_then(|label| Encoding::for_label(label.as_bytes()));
        Ok(Ok(Document { header: &self.header, media, charset, status, body: body()? }))
    }
}

impl Document<'_> {
    fn read(&self) -> Result<Record, BadPage> {
        if self.media == "text/plain" {
            let (text, replaced) = charset::decode(&self.body, None, self.charset);
            return Ok(self.record(text, None, replaced));
        }
        let Page { text, title, replaced_bytes } = html::read(&self.body, None, self.charset)?;
        Ok(self.record(text, title, replaced_bytes))
    }

    fn record(&self, text: String, title: Option<String>, replaced_bytes: u64) -> Record {
        let mut metadata: Map<String, Value> = KEPT
            .iter()
            .filter_map(|(field, name)| Some(((*name).to_owned(), self.header.get(field)?.into())))
            .collect();
        metadata.insert("media_type".to_owned(), self.media.clone().into());
        metadata.extend(self.status.map(|status| ("status".to_owned(), status.into())));
        metadata.extend(title.map(|title| ("title".to_owned(), title.into())));
        Record {
            text,
            source_id: self.header.record_id(),
            url: self.header.target(),
            lang: self.header.get("warc-identified-content-language").map(String::from),
            metadata: Some(canonical(&Value::Object(metadata))),
            replaced_bytes,
            ..Record::default()
        }
    }
}

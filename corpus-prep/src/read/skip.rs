//! Records that are no documents by what they are.

/// A record that is counted and whose text is not kept, with what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its own name.
    pub source_id: Option<String>,
    /// Its address.
    pub url: Option<String>,
    /// Why it is no document.
    pub why: Skip,
}

/// Why a record is no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// A WARC record that holds no answer: a request, or what the archive says of itself.
    #[error("a WARC record of type `{found}`, expected `response`, `resource` or `conversion`")]
    WarcType {
        /// Its type, in lower case.
        found: String,
    },
    /// An answer that is no page: an error, or where the page stands now.
    #[error("an answer with HTTP status {found}, expected 200 to 299")]
    Status {
        /// The status.
        found: u16,
    },
    /// Neither HTML nor plain text.
    #[error("media type `{found}`, expected `text/html`, `application/xhtml+xml` or `text/plain`")]
    MediaType {
        /// The type, in lower case.
        found: String,
    },
    /// A page of a wiki that is no article, or what else was asked for.
    #[error("a page in namespace {found}, which is not in `namespaces`")]
    Namespace {
        /// Its number.
        found: i64,
    },
    /// A page of a wiki that leads to another one.
    #[error("a page that leads to another one")]
    Redirect,
    /// A page of a wiki in another language than wikitext.
    #[error("a page of the content model `{found}`, expected `wikitext`")]
    ContentModel {
        /// Its content model.
        found: String,
    },
    /// A page of a wiki whose text was deleted.
    #[error("a page whose text was deleted")]
    DeletedText,
}

/// Types of WARC records that have counts of their own.
const WARC_TYPES: [&str; 5] = ["warcinfo", "request", "metadata", "revisit", "continuation"];

/// Kinds of media types that have counts of their own: those of IANA that crawls meet.
const MEDIA: [&str; 8] =
    ["application", "audio", "font", "image", "message", "multipart", "text", "video"];

impl Skip {
    /// A word for counts. There are few of them, whatever is read.
    pub fn name(&self) -> String {
        let one_of = |names: &[&str], found: &str| {
            (if names.contains(&found) { found } else { "other" }).to_owned()
        };
        match self {
            Self::WarcType { found } => format!("warc_{}", one_of(&WARC_TYPES, found)),
            Self::Status { found: found @ 100..600 } => format!("http_{}xx", found / 100),
            Self::Status { .. } => "http_other".to_owned(),
            Self::Namespace { .. } => "wiki_namespace".to_owned(),
            Self::Redirect => "wiki_redirect".to_owned(),
            Self::ContentModel { .. } => "wiki_model".to_owned(),
            Self::DeletedText => "wiki_deleted".to_owned(),
            Self::MediaType { found } => {
                let (kind, _) = found.split_once('/').unwrap_or((found, ""));
                format!("media_{}", one_of(&MEDIA, kind))
            }
        }
    }
}

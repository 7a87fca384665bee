//! What a dump says of its wiki.

use super::super::wikitext::Hidden;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::fmt::Write;

/// Namespaces whose links show nothing in a text: media, files, categories.
const HIDDEN: [&str; 3] = ["-2", "6", "14"];

/// A wiki.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// What addresses of its pages begin with.
    base: Option<String>,
    /// Its language.
    pub lang: Option<String>,
    /// Its names of namespaces that texts do not show.
    pub hidden: Hidden,
}

impl Site {
    /// What the head of a dump says, as far as it can be read.
    pub fn parse(head: &str) -> Self {
        let (mut site, mut reader) = (Self::default(), Reader::from_str(head));
        let (mut is_hidden, mut is_base, mut name) = (false, false, String::new());
        loop {
            match reader.read_event() {
                Ok(Event::Start(element)) => {
                    name.clear();
                    is_base = element.name().0 == "base";
                    is_hidden = element.name().0 == "namespace"
                        && attribute(&element, "key").is_some_and(|key| HIDDEN.contains(&&*key));
                    if element.name().0 == "mediawiki" {
                        site.lang = attribute(&element, "xml:lang");
                    }
                }
                Ok(Event::Text(text)) => name.push_str(&text),
                Ok(Event::End(_)) => {
                    if is_hidden && !name.trim().is_empty() {
                        site.hidden.add(&name);
                    }
                    if is_base {
                        site.base =
                            name.rsplit_once('/').map(|(base, _)| format!("{}/", base.trim()));
                    }
                    (is_hidden, is_base) = (false, false);
                }
                Ok(Event::Eof) | Err(_) => return site,
                Ok(_) => {}
            }
        }
    }

    /// The address of the page `title`, written as MediaWiki does.
    pub fn url(&self, title: &str) -> Option<String> {
        let mut url = self.base.clone()?;
        for byte in title.bytes() {
            match byte {
                b' ' => url.push('_'),
                byte if byte.is_ascii_alphanumeric() || b"-_.~;@$!*(),/:".contains(&byte) => {
                    url.push(char::from(byte));
                }
                byte => write!(url, "%{byte:02X}").expect("a string takes all that is written"),
            }
        }
        Some(url)
    }
}

/// The value of the attribute `name`.
pub fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.try_get_attribute(name).ok()??;
    Some(found.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
}

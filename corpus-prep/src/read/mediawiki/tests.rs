use super::*;
use crate::read::format::Compression;
use crate::read::record::Parsed;
use crate::read::utf8::InvalidUtf8;
use proptest::prelude::*;
use std::collections::BTreeSet;

const HEAD: &str = "<mediawiki xml:lang=\"de\">\n<siteinfo>\n<base>https://a.org/wiki/Main_Page</base>\n\
                    <namespaces><namespace key=\"0\" /><namespace key=\"6\" case=\"x\">Datei</namespace></namespaces>\n\
                    </siteinfo>\n";
const CLOSED: &str = "</mediawiki>\n";

fn page(id: u32, namespace: i64, more: &str, text: &str) -> String {
    format!(
        "  <page>\n<title>Title {id}</title>\n<ns>{namespace}</ns>\n<id>{id}</id>{more}\n<revision>\n<id>7</id>\n\
         <timestamp>2020-01-02T03:04:05Z</timestamp>\n<contributor><id>9</id></contributor>\n<text>{text}</text></revision>\n\
         </page>\n"
    )
}

fn found(raw: &[u8], max: u64) -> Vec<Found> {
    let decoder = Decoder::new(raw, Compression::Plain).unwrap();
    DumpRecords::new(decoder, max).collect::<Result<_, _>>().unwrap()
}

fn parsed(content: Content) -> Parsed {
    match content {
        Content::Page(page) => page.parse(&BTreeSet::from([0]), InvalidUtf8::Repair).unwrap(),
        Content::Bad(problem) => Parsed::Unreadable(problem),
        other => panic!("{other:?}"),
    }
}

/// What becomes of each record.
fn read(dump: &str) -> Vec<String> {
    let shown = |found: Found| match parsed(found.content) {
        Parsed::Record(record) => record.text,
        Parsed::Skipped(skipped) => format!("skipped {}", skipped.why.name()),
        Parsed::Unreadable(problem) => format!("unreadable {problem}"),
    };
    found(dump.as_bytes(), 1 << 20).into_iter().map(shown).collect()
}

fn dump(pages: &[String]) -> String {
    format!("{HEAD}{}{CLOSED}", pages.concat())
}

#[test]
fn a_page_keeps_what_it_says_of_itself() {
    let raw =
        dump(&[page(12, 0, "", "&lt;b&gt;'''A'''&lt;/b&gt; &amp;amp; b [[Datei:c.png]]&#33;")]);
    let Parsed::Record(record) = parsed(found(raw.as_bytes(), 1 << 20).remove(0).content) else {
        panic!("{raw}")
    };
    assert_eq!(record.text, "A & b !");
    assert_eq!((record.source_id.as_deref(), record.lang.as_deref()), (Some("12"), Some("de")));
    assert_eq!(record.url.as_deref(), Some("https://a.org/wiki/Title_12"));
    let metadata = r#"{"namespace":0,"revision_id":"7","timestamp":"2020-01-02T03:04:05Z","title":"Title 12"}"#;
    assert_eq!(record.metadata.as_deref(), Some(metadata));
}

#[test]
fn addresses_are_written_as_the_wiki_does() {
    let site = Site::parse(HEAD);
    assert_eq!(site.url("C++ (é)?").as_deref(), Some("https://a.org/wiki/C%2B%2B_(%C3%A9)%3F"));
    assert_eq!(Site::parse("<mediawiki>").url("a"), None);
}

#[test]
fn what_is_no_article_is_skipped_by_what_it_is() {
    let pages = [
        page(1, 0, "", "one"),
        page(2, 10, "", "template"),
        page(3, 0, "<redirect title=\"x\" />", "#REDIRECT [[x]]"),
        page(4, 0, "", "#redirect [[x]]"),
        page(5, 0, "", "x").replace("<text>", "<model>json</model><text>"),
        page(6, 0, "", "").replace("<text></text>", "<text deleted=\"deleted\" />"),
        page(7, 0, "", ""),
    ];
    let expected = [
        "one",
        "skipped wiki_namespace",
        "skipped wiki_redirect",
        "skipped wiki_redirect",
        "skipped wiki_model",
        "skipped wiki_deleted",
        "",
    ];
    assert_eq!(read(&dump(&pages)), expected);
    assert_eq!(read(HEAD).len(), 1);
    assert_eq!(read(&dump(&[])), [""; 0]);
}

#[test]
fn of_several_revisions_the_newest_counts() {
    let older = "<revision><timestamp>2019-01-01T00:00:00Z</timestamp><text>old</text></revision>";
    let first = page(1, 0, older, "new");
    let last = page(2, 0, "", "new").replace("</revision>\n", &format!("</revision>{older}"));
    assert_eq!(read(&dump(&[first, last])), ["new", "new"]);
}

#[test]
fn damage_costs_the_pages_that_it_falls_on() {
    let [one, two, three] = [1, 2, 3].map(|id| page(id, 0, "", &format!("text {id}")));
    let with = |two: String| read(&dump(&[one.clone(), two, three.clone()]));
    let check = |two: String, problem: &str| {
        let read = with(two);
        assert_eq!((&*read[0], &*read[2], read.len()), ("text 1", "text 3", 3), "{read:?}");
        assert!(read[1].starts_with(&format!("unreadable {problem}")), "{read:?}");
    };
    check(two.replace("</page>", ""), "a page that does not end, expected `</page>`; ");
    check(two.replace("<page>", "<pace>"), "found something else between pages");
    check(two.replace("</title>", ""), "found broken XML at byte ");
    check(two.replace("title", "titel"), "no element `title` in a page");
    check(two.replace("<text>text 2</text>", ""), "no element `text` in a page");
    check(two.replace("text 2", "&nosuch;"), "found broken XML at byte ");
    check(two.replace("text 2", &"<a>".repeat(100)), "found broken XML at byte ");
    let whole = dump(&[one.clone(), two]);
    for cut in HEAD.len() + one.len() + 9..whole.len() - CLOSED.len() {
        let read = read(&whole[..cut]);
        let last = read.last().unwrap();
        assert_eq!(read[0], "text 1");
        assert!(
            last.starts_with("unreadable a page that does not")
                || last.starts_with("unreadable found the end")
        );
    }
    let first = dump(&[one.replace("<page>", "<pace>"), three.clone()]);
    assert!(read(&first)[0].starts_with("unreadable found something else between pages"));
    assert_eq!(
        read(&format!("\u{feff}<?xml version=\"1.0\"?>\n{}", dump(std::slice::from_ref(&three)))),
        ["text 3"]
    );
    assert!(read("<html><body>no dump")[0].starts_with("unreadable found no `<mediawiki`"));
}

#[test]
fn a_page_that_is_too_long_is_passed_over() {
    let long = page(2, 0, "", &"word ".repeat(100_000));
    let raw = dump(&[page(1, 0, "", "a"), long.clone(), page(3, 0, "", "b")]);
    let found = found(raw.as_bytes(), 10_000);
    let bytes = long.trim().len() as u64;
    let content = &found[1].content;
    assert!(
        matches!(content, Content::Bytes(RawContent::TooLong { bytes: b }) if *b == bytes),
        "{content:?}"
    );
    assert_eq!(found.len(), 3);
}

proptest! {
    #[test]
    fn whatever_stands_there_is_a_page_or_said_to_be_lost(
        pieces in prop::collection::vec(prop_oneof![
            Just(HEAD.to_owned()), Just(CLOSED.to_owned()), Just("<page>".to_owned()), Just("</page>".to_owned()),
            Just(page(1, 0, "", "a")), Just(" \n".to_owned()), ".{0,9}",
        ], 0..12),
    ) {
        let raw = pieces.concat();
        let read = read(&raw);
        let is_silent = raw.replace(HEAD, "").replace(CLOSED, "").replace(CLOSED.trim(), "").trim_ascii().is_empty();
        prop_assert!(is_silent || !read.is_empty(), "{raw:?}");
    }
}

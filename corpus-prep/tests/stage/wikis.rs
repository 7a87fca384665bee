//! Dumps of MediaWiki.

use crate::lab::{Lab, good, gzip};

const HEAD: &str =
    "<mediawiki xml:lang=\"en\"><siteinfo><base>https://a.org/wiki/Main</base></siteinfo>\n";

fn page(id: usize, namespace: i64, text: &str) -> String {
    format!(
        "<page><title>Page {id}</title><ns>{namespace}</ns><id>{id}</id><revision><id>{id}</id><text>{text}</text></revision>\
         </page>\n"
    )
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The stretches of a dump: its head, its pages, its end.
fn dump() -> Vec<String> {
    vec![
        HEAD.to_owned(),
        page(1, 0, &format!("'''One''' {}\n\n== Heading ==\n{{{{t}}}}", good(1))),
        page(2, 10, "a template"),
        page(3, 0, "#REDIRECT [[Page 1]]"),
        page(4, 1, &format!("{} [[talk]]", good(2))),
        "</mediawiki>\n".to_owned(),
    ]
}

#[test]
fn pages_of_the_namespaces_asked_for_become_documents() {
    let lab = Lab::new();
    let streams = dump().iter().map(|stretch| bzip2(stretch.as_bytes())).collect::<Vec<_>>();
    lab.write("a.xml.bz2", streams.concat());
    let ran = lab.run(r#"{"inputs":"*"}"#).unwrap();
    let counts = ran.counts("extract");
    let names = ["read", "kept", "dropped", "dropped/wiki_namespace", "dropped/wiki_redirect"];
    assert_eq!(names.map(|name| counts[name]), [4, 1, 3, 2, 1]);
    let document = ran.documents().remove(0);
    assert_eq!(document.text, format!("One {}", good(1)));
    assert_eq!(document.origin.url.as_deref(), Some("https://a.org/wiki/Page_1"));
    let metadata = r#"{"namespace":0,"revision_id":"1","title":"Page 1"}"#;
    assert_eq!(document.origin.metadata.as_deref(), Some(metadata));
    let config = r#"{"inputs":"*","namespaces":[0,1]}"#;
    let texts: Vec<_> =
        lab.run(config).unwrap().documents().into_iter().map(|row| row.text).collect();
    assert_eq!(texts, [format!("One {}", good(1)), format!("{} talk", good(2))]);
    let error = lab.run(r#"{"inputs":"*","namespaces":[]}"#).err().unwrap();
    assert!(error.contains("`namespaces` is empty, expected at least one number"), "{error}");
}

#[test]
fn however_a_dump_is_compressed_its_rows_are_the_same() {
    let rows = |name: &str, bytes: Vec<u8>| {
        let lab = Lab::new();
        lab.write(name, bytes);
        let rows = lab.run(r#"{"inputs":"*"}"#).unwrap().extracted();
        rows.into_iter().map(|row| (row.origin, row.reading)).collect::<Vec<_>>()
    };
    let plain = rows("a.xml", dump().concat().into_bytes());
    assert_eq!(rows("a.xml.gz", gzip(dump().concat().as_bytes())), plain);
    assert_eq!(rows("a.xml.bz2", bzip2(dump().concat().as_bytes())), plain);
    assert_eq!(rows("a.xml.zst", zstd::encode_all(dump().concat().as_bytes(), 1).unwrap()), plain);
}

#[test]
fn a_damaged_stream_costs_its_pages_and_no_other() {
    let lab = Lab::new();
    let pages =
        |ids: std::ops::Range<usize>| ids.map(|id| page(id, 0, &good(id))).collect::<String>();
    let [head, first, mut second, third] =
        [HEAD.to_owned(), pages(0..3), pages(3..6), pages(6..9) + "</mediawiki>"]
            .map(|stretch| bzip2(stretch.as_bytes()));
    let middle = second.len() / 2;
    second[middle] ^= 0x55;
    lab.write("a.xml.bz2", [head, first, second, third].concat());
    let ran = lab.run(r#"{"inputs":"*","unreadable":"count"}"#).unwrap();
    let texts: Vec<_> = ran.documents().into_iter().map(|row| row.text).collect();
    assert_eq!(texts, [0, 1, 2, 6, 7, 8].map(good));
    assert_eq!((ran.extracted().len(), ran.counts("extract")["unreadable"]), (7, 1));
    let error = lab.fresh().run(r#"{"inputs":"*"}"#).err().unwrap();
    assert!(error.contains("expected a sound bzip2 stream from compressed byte"), "{error}");
}

/// The start of English Wikipedia: what marks are left in its texts, and how much of them there is.
#[test]
#[ignore = "needs a dump: `SEEDBED_WIKI=FILE` (.xml.bz2); `SEEDBED_WIKI_TEXTS=DIR` keeps the texts"]
fn few_marks_of_wikitext_are_left_in_a_real_dump() {
    let lab = Lab::new();
    let file = std::env::var("SEEDBED_WIKI").expect("SEEDBED_WIKI");
    lab.write("a.xml.bz2", std::fs::read(file).unwrap());
    let started = std::time::Instant::now();
    let ran = lab.run(r#"{"inputs":"*","filters":"none"}"#).unwrap();
    println!("{:?} in {:?}", ran.counts("extract"), started.elapsed());
    let documents = ran.documents();
    let chars: usize = documents.iter().map(|row| row.text.chars().count()).sum();
    println!("{} documents, {chars} characters", documents.len());
    for mark in ["[[", "]]", "{{", "}}", "|", "''", "==", "<", "&", "http", "()", "__"] {
        let with = documents.iter().filter(|row| row.text.contains(mark)).count();
        let all: usize = documents.iter().map(|row| row.text.matches(mark).count()).sum();
        println!("{mark:4} {all} in {with} documents");
    }
    if let Ok(dir) = std::env::var("SEEDBED_WIKI_TEXTS") {
        for row in &documents {
            let name = format!("{dir}/{}.txt", row.origin.source_id.as_deref().unwrap());
            std::fs::write(name, &row.text).unwrap();
        }
    }
    let has_marks = |text: &str| ["[[", "]]", "{{", "}}"].iter().any(|mark| text.contains(mark));
    let with_marks = documents.iter().filter(|row| has_marks(&row.text)).count();
    assert!(with_marks * 20 <= documents.len(), "{with_marks} of {}", documents.len());
}

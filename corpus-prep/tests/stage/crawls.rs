//! WARC files.

use crate::lab::{Lab, Ran, good, gzip};
use pipelines::table::decisions::Outcome;
use pipelines::table::documents::Reading;

const COUNT: &str = r#"{"inputs":"*","unreadable":"count"}"#;

/// A record of type `kind` with these further lines in its header.
fn record(kind: &str, lines: &[&str], block: impl AsRef<[u8]>) -> Vec<u8> {
    let block = block.as_ref();
    let header = format!("WARC/1.0\r\nWARC-Type: {kind}\r\n{}\r\n", lines.join("\r\n"));
    let length = format!("Content-Length: {}\r\n\r\n", block.len());
    [header.as_bytes(), length.as_bytes(), block, b"\r\n\r\n"].concat()
}

fn conversion(id: &str, text: impl AsRef<[u8]>) -> Vec<u8> {
    let lines = ["Content-Type: text/plain", &format!("WARC-Record-ID: <urn:{id}>")];
    record("conversion", &lines, text)
}

fn answer(status: &str, media: &str, body: &str) -> Vec<u8> {
    let block = format!("HTTP/1.1 {status}\r\nContent-Type: {media}\r\n\r\n{body}");
    let lines = ["Content-Type: application/http", "WARC-Target-URI: http://a/"];
    record("response", &lines, block)
}

/// A crawl with records of every kind.
fn crawl() -> Vec<Vec<u8>> {
    let page = format!("<title>T</title><body><article><p>{}</p></article>", good(1));
    vec![
        record("warcinfo", &["Content-Type: application/warc-fields"], "software: x"),
        record("request", &["Content-Type: application/http"], "GET / HTTP/1.1\r\n\r\n"),
        answer("200 OK", "text/html", &page),
        answer("301 Moved Permanently", "text/html", ""),
        answer("200 OK", "application/pdf", "%PDF"),
        answer("200 OK", "text/html", "<script>var a</script>"),
        conversion("made", good(2)),
        record("resource", &["Content-Type: text/plain"], good(3)),
    ]
}

#[track_caller]
fn check_conserved(ran: &Ran, read: u64) {
    for phase in ["extract", "measure", "decide", "write"] {
        let counts = ran.counts(phase);
        let count = |name: &str| counts.get(name).copied().unwrap_or(0);
        assert_eq!(count("read"), read, "{phase}");
        let sum = count("kept") + count("dropped") + count("unreadable");
        assert_eq!(sum, read, "{phase}");
    }
}

#[test]
fn every_record_of_a_crawl_has_one_outcome() {
    let lab = Lab::new();
    lab.write("a.warc.gz", crawl().iter().flat_map(|record| gzip(record)).collect::<Vec<_>>());
    let ran = lab.run(r#"{"inputs":"*"}"#).unwrap();
    check_conserved(&ran, 8);
    let counts = ran.counts("extract");
    let names = ["warc_warcinfo", "warc_request", "http_3xx", "media_application"];
    let dropped = names.map(|name| counts[&format!("dropped/{name}")]);
    assert_eq!((dropped, counts["dropped"], counts["no_main_text"]), ([1; 4], 4, 1));
    assert_eq!(ran.counts("decide")["dropped/excluded"], 4);
    let documents = ran.documents();
    let mut texts: Vec<_> = documents.iter().map(|row| row.text.as_str()).collect();
    texts.sort_unstable();
    let mut expected = [1, 2, 3].map(good);
    expected.sort_unstable();
    assert_eq!(texts, expected);
    let page = documents.iter().find(|row| row.text == good(1)).unwrap();
    assert_eq!((page.key.record, page.origin.url.as_deref()), (2, Some("http://a/")));
    let metadata = r#"{"media_type":"text/html","status":200,"title":"T"}"#;
    assert_eq!(page.origin.metadata.as_deref(), Some(metadata));
    let reasons = ran.decisions().into_iter().filter_map(|row| match row.outcome {
        Outcome::Excluded { reason } => Some(reason),
        _ => None,
    });
    assert!(reasons.into_iter().any(|reason| reason.starts_with("media type `application/pdf`")));
    let moved = &ran.extracted()[3].origin;
    assert_eq!(moved.url.as_deref(), Some("http://a/"));
}

#[test]
fn however_a_crawl_is_compressed_its_rows_are_the_same() {
    let rows = |name: &str, bytes: Vec<u8>| {
        let lab = Lab::new();
        lab.write(name, bytes);
        let rows = lab.run(COUNT).unwrap().extracted();
        rows.into_iter().map(|row| (row.origin, row.reading)).collect::<Vec<_>>()
    };
    let records = crawl();
    let plain = rows("a.warc", records.concat());
    let members = records.iter().flat_map(|record| gzip(record)).collect();
    let frames = records.iter().flat_map(|record| zstd::encode_all(&record[..], 1).unwrap());
    assert_eq!(rows("a.warc.gz", members), plain);
    assert_eq!(rows("a.wet.gz", gzip(&records.concat())), plain);
    assert_eq!(rows("a.warc.zst", frames.collect()), plain);
}

#[test]
fn bad_records_are_told_with_file_record_and_place() {
    let lab = Lab::new();
    let [first, last] = [conversion("1", good(1)), conversion("3", good(3))];
    let second = conversion("2", [good(2).as_bytes(), b" caf\xe9"].concat());
    let raw = [&first[..], &second, &last].concat();
    lab.write("a.warc", &raw);
    let error = |lab: &Lab| lab.run(r#"{"inputs":"*"}"#).err().unwrap().replace(&lab.prefix(), "");
    let place = raw.iter().position(|byte| *byte == 0xe9).unwrap();
    let expected = format!(
        "a.warc: record 2 at decoded byte {}: byte {place} of the file is 0xe9, expected UTF-8",
        first.len()
    );
    assert!(error(&lab).contains(&expected), "{}\n{expected}", error(&lab));
    let broken = Lab::new();
    let second = b"WARC/1.1\r\nContent-Length: 0\r\n\r\n\r\n\r\n";
    broken.write("a.warc", [&first[..], second, &last].concat());
    let expected = format!(
        "a.warc: record 2 at decoded byte {}: no field `WARC-Type` in the header of a WARC record",
        first.len()
    );
    assert!(error(&broken).contains(&expected), "{}\n{expected}", error(&broken));
}

#[test]
fn damage_costs_what_is_damaged_and_is_counted() {
    let lab = Lab::new();
    let [first, mut second, third] = [1, 2, 3].map(|at| gzip(&conversion("x", good(at))));
    let middle = second.len() / 2;
    second[middle] ^= 0x55;
    lab.write("a.wet.gz", [&first[..], &second, &third, &third[..20]].concat());
    let ran = lab.run(COUNT).unwrap();
    check_conserved(&ran, 4);
    let rows = ran.extracted();
    let texts: Vec<_> = rows.iter().map(|row| row.text()).collect();
    let (one, three) = (good(1), good(3));
    assert_eq!(texts, [Some(one.as_str()), None, Some(three.as_str()), None]);
    let reasons: Vec<_> = rows
        .iter()
        .filter_map(|row| match &row.reading {
            Reading::Unreadable { reason, .. } => Some(reason.as_str()),
            _ => None,
        })
        .collect();
    let expected = format!(
        "found corrupt data, expected a sound gzip member from compressed byte {} on; the records from decoded byte {} up to \
         compressed byte {} are lost",
        first.len(),
        conversion("x", good(1)).len(),
        first.len() + second.len()
    );
    assert_eq!(reasons[0], expected);
    assert!(reasons[1].contains("found the end of the file, expected the rest of a gzip member"));
    let error = lab.run(r#"{"inputs":"*"}"#).err().unwrap();
    let member = format!("expected a sound gzip member from compressed byte {} on", first.len());
    assert!(error.contains("a.wet.gz: record ") && error.contains(&member), "{error}");
}

/// Archives of Common Crawl and of dolma's tests, with the numbers of answers that those name.
#[test]
#[ignore = "needs archives: `SEEDBED_CRAWLS=DIR` with `commoncrawl-whirlwind.warc[.wet|.wat].gz` and `dolma-sample-000[01].warc.gz`"]
fn archives_of_others_are_read_whole() {
    let dir = std::path::PathBuf::from(std::env::var("SEEDBED_CRAWLS").expect("SEEDBED_CRAWLS"));
    let read = |file: &str| {
        let lab = Lab::new();
        lab.write(file, std::fs::read(dir.join(file)).unwrap());
        let started = std::time::Instant::now();
        let ran = lab.run(r#"{"inputs":"*","filters":"none"}"#).unwrap();
        println!("{file} {:?} {:?}", ran.counts("extract"), started.elapsed());
        (lab, ran)
    };
    let answers = |(_lab, ran): (Lab, Ran)| {
        let rows = ran.extracted();
        let has_status = |row: &&pipelines::table::documents::Extracted| {
            row.origin.metadata.as_ref().is_some_and(|metadata| metadata.contains("\"status\""))
        };
        rows.iter().filter(has_status).count()
    };
    assert_eq!(answers(read("dolma-sample-0000.warc.gz")), 22);
    assert_eq!(answers(read("dolma-sample-0001.warc.gz")), 15);
    let [(_page, page), (_made, made), (_known, known)] = ["warc", "warc.wet", "warc.wat"]
        .map(|form| read(&format!("commoncrawl-whirlwind.{form}.gz")));
    check_conserved(&page, 4);
    check_conserved(&made, 2);
    check_conserved(&known, 2);
    let (page, made) = (page.documents().remove(0), made.documents().remove(0));
    assert_eq!(page.origin.url, made.origin.url);
    assert_eq!((page.origin.lang, made.origin.lang.as_deref()), (None, Some("spa")));
    assert!(known.documents().is_empty());
}

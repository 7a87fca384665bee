use super::*;
use crate::read::format::Compression;
use crate::read::record::{Parsed, Record};
use crate::read::utf8::InvalidUtf8;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;
use std::io::Write;

const MAX: u64 = 1 << 20;

/// A record of type `kind` with these further lines in its header.
fn record(kind: &str, lines: &[&str], block: &[u8]) -> Vec<u8> {
    let mut header = vec!["WARC/1.0".to_owned(), format!("WARC-Type: {kind}")];
    header.extend(lines.iter().map(|line| (*line).to_owned()));
    header.push(format!("Content-Length: {}", block.len()));
    [header.join("\r\n").as_bytes(), b"\r\n\r\n", block, b"\r\n\r\n"].concat()
}

fn conversion(text: &str) -> Vec<u8> {
    record("conversion", &["Content-Type: text/plain"], text.as_bytes())
}

/// An answer with status 200 and these lines in its header.
fn answer(lines: &[&str], body: &[u8]) -> Vec<u8> {
    let header = format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n", lines.join("\r\n"));
    let lines =
        ["Content-Type: application/http; msgtype=response", "WARC-Target-URI: <http://a/>"];
    record("response", &lines, &[header.as_bytes(), body].concat())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn found(raw: &[u8], compression: Compression, max: u64) -> Vec<Found> {
    let decoder = Decoder::new(raw, compression).unwrap().scouted(raw, true).unwrap();
    WarcRecords::new(decoder, max).collect::<Result<_, _>>().unwrap()
}

/// What becomes of a record: its text, why it is none, or why it cannot be read.
fn shown(found: Found) -> String {
    match found.content {
        Content::Warc(entry) => match entry.parse(MAX, InvalidUtf8::Repair).unwrap() {
            Parsed::Record(record) => record.text,
            Parsed::Skipped(skipped) => format!("skipped {}", skipped.why.name()),
            Parsed::Unreadable(problem) => format!("unreadable {problem}"),
        },
        Content::Skipped(skipped) => format!("skipped {}", skipped.why.name()),
        Content::Bad(problem) => format!("lost {problem}"),
        Content::Bytes(RawContent::Broken(fault)) => format!("broken {:?}", fault.resumed),
        other => format!("{other:?}"),
    }
}

fn plain(raw: &[u8]) -> Vec<String> {
    found(raw, Compression::Plain, MAX).into_iter().map(shown).collect()
}

fn read(raw: &[u8]) -> Record {
    let content = found(raw, Compression::Plain, MAX).remove(0).content;
    let Content::Warc(entry) = content else { panic!("{content:?}") };
    match entry.parse(MAX, InvalidUtf8::Refuse).unwrap() {
        Parsed::Record(record) => record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_of_every_type_are_told_apart() {
    let kinds = ["warcinfo", "request", "metadata", "revisit", "continuation", "Conversion", "new"];
    let raw: Vec<u8> =
        kinds.iter().flat_map(|kind| record(kind, &["Content-Type: text/plain"], b"x")).collect();
    let expected = [
        "skipped warc_warcinfo",
        "skipped warc_request",
        "skipped warc_metadata",
        "skipped warc_revisit",
        "skipped warc_continuation",
        "x",
        "skipped warc_other",
    ];
    assert_eq!(plain(&raw), expected);
    assert_eq!(plain(b""), [""; 0]);
    assert_eq!(plain(b"\r\n\r\n"), [""; 0]);
}

#[test]
fn a_record_keeps_what_its_header_says() {
    let lines = [
        "Content-Type: text/plain",
        "warc-target-uri: http://a/b",
        "WARC-Record-ID: <urn:uuid:1>",
        "WARC-Date: 2024-05-18T01:58:10Z",
        "WARC-Identified-Content-Language: eng",
    ];
    let made = read(&record("conversion", &lines, "né".as_bytes()));
    assert_eq!((made.text.as_str(), made.url.as_deref()), ("né", Some("http://a/b")));
    assert_eq!(
        (made.source_id.as_deref(), made.lang.as_deref()),
        (Some("<urn:uuid:1>"), Some("eng"))
    );
    let metadata = r#"{"date":"2024-05-18T01:58:10Z","media_type":"text/plain"}"#;
    assert_eq!(made.metadata.as_deref(), Some(metadata));
}

#[test]
fn answers_are_read_by_their_media_type_and_charset() {
    let page = "<title>T</title><body><p>Gr\u{fc}\u{df}e aus K\u{f6}ln</p></body>";
    let latin: Vec<u8> = page.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect();
    let html = read(&answer(&["content-type: text/html; charset=ISO-8859-1"], &latin));
    assert_eq!(html.text, "Grüße aus Köln");
    assert_eq!(html.url.as_deref(), Some("http://a/"));
    assert_eq!(
        html.metadata.as_deref(),
        Some(r#"{"media_type":"text/html","status":200,"title":"T"}"#)
    );
    assert_eq!(
        read(&answer(&["Content-Type: application/xhtml+xml"], page.as_bytes())).text,
        html.text
    );
    assert_eq!(
        read(&answer(&["Content-Type: text/plain;charset=latin1"], b"caf\xe9")).text,
        "café"
    );
    assert_eq!(plain(&answer(&["Content-Type: image/png"], b"x")), ["skipped media_image"]);
    assert_eq!(plain(&answer(&["Content-Type: x-odd/y"], b"x")), ["skipped media_other"]);
    assert_eq!(plain(&answer(&[], b"x")), ["skipped media_other"]);
    assert_eq!(
        plain(&record("response", &["Content-Type: text/dns"], b"x")),
        ["skipped media_text"]
    );
    let not_found =
        record("response", &["Content-Type: application/http"], b"HTTP/1.1 404 Not Found\r\n\r\n");
    assert_eq!(plain(&not_found), ["skipped http_4xx"]);
    let no_answer = record("response", &["Content-Type: application/http"], b"<html>");
    assert_eq!(
        plain(&no_answer),
        ["unreadable found no answer of HTTP, expected one that begins with `HTTP/`"]
    );
}

#[test]
fn bodies_are_unpacked_however_they_were_sent() {
    let plain_text = ["Content-Type: text/plain"];
    let with = |line, body: &[u8]| plain(&answer(&[plain_text[0], line], body)).remove(0);
    assert_eq!(
        with("Transfer-Encoding: chunked", b"4\r\none \r\n3;x=y\r\ntwo\r\n0\r\n\r\n"),
        "one two"
    );
    assert_eq!(with("Transfer-Encoding: chunked", b"not in chunks"), "not in chunks");
    let broken = with("Transfer-Encoding: chunked", b"4\r\none \r\n9\r\ntwo");
    assert_eq!(broken, "unreadable a body that is damaged or cut, expected all of its `chunked`");
    assert_eq!(with("Content-Encoding: gzip", &gzip(b"text")), "text");
    assert_eq!(with("Content-Encoding: gzip", b"unpacked text"), "unpacked text");
    assert_eq!(with("Content-Encoding: identity", b"text"), "text");
    let mut zlib = ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(b"text").unwrap();
    assert_eq!(with("Content-Encoding: deflate", &zlib.finish().unwrap()), "text");
    let mut deflate = DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    deflate.write_all(b"text").unwrap();
    assert_eq!(with("Content-Encoding: deflate", &deflate.finish().unwrap()), "text");
    let zstd = zstd::encode_all(&b"text"[..], 1).unwrap();
    assert_eq!(with("Content-Encoding: zstd", &zstd), "text");
    // A brotli stream of one block that is not compressed.
    assert_eq!(with("Content-Encoding: br", b"\x8b\x01\x80text\x03"), "text");
    assert_eq!(with("Content-Encoding: gzip, gzip", &gzip(&gzip(b"text"))), "text");
    let many = with("Content-Encoding: br, br, br, br, br", b"x");
    assert_eq!(many, "unreadable 5 content encodings one within the other, which are left unread");
    let unknown = with("Content-Encoding: compress", b"x");
    assert_eq!(
        unknown,
        "unreadable content encoding `compress`, expected `gzip`, `deflate`, `br` or `zstd`"
    );
    let bomb = with("Content-Encoding: gzip", &gzip(&vec![b'x'; 1 << 21]));
    assert_eq!(
        bomb,
        "unreadable a body of over 1048576 bytes once it is decoded (`max_record_bytes`)"
    );
}

#[test]
fn a_body_that_is_known_to_be_cut_is_read_up_to_the_cut() {
    let text = "some words that are cut somewhere ".repeat(50);
    let packed = gzip(text.as_bytes());
    let block = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n\r\n",
        &packed[..packed.len() - 9],
    ]
    .concat();
    let cut = |lines: &[&str]| {
        plain(&record("response", &[&["Content-Type: application/http"], lines].concat(), &block))
            .remove(0)
    };
    assert!(cut(&["WARC-Truncated: length"]).starts_with("some words"));
    assert!(cut(&[]).starts_with("unreadable a body that is damaged or cut"));
}

#[test]
fn a_broken_header_or_length_costs_one_record() {
    let [a, b, c] = ["alpha", "beta", "gamma"].map(conversion);
    let changed = |from: &str, to: &str| {
        let b = String::from_utf8(b.clone()).unwrap().replace(from, to).into_bytes();
        plain(&[&a[..], &b, &c].concat())
    };
    let check = |from, to, problem: &str| {
        let [first, lost, last] = <[String; 3]>::try_from(changed(from, to)).unwrap();
        assert_eq!((first.as_str(), last.as_str()), ("alpha", "gamma"), "{problem}");
        let bytes = b.len() + to.len() - from.len();
        assert_eq!(lost, format!("lost {problem}; {bytes} bytes from here on are lost"));
    };
    check(
        "WARC/1.0",
        "WXRC/1.0",
        "found no header of a WARC record, expected `WARC/1.0` or `WARC/1.1`",
    );
    check("Content-Length: 4", "X: 4", "no field `Content-Length` in the header of a WARC record");
    check(
        "Length: 4",
        "Length: four",
        "field `Content-Length` of a WARC record is no number of bytes",
    );
    let wrong = |length| {
        format!(
            "field `Content-Length` is {length}, behind which no record ends; is a byte missing?"
        )
    };
    check("Length: 4", "Length: 2", &wrong(2));
    check("Length: 4", "Length: 40", &wrong(40));
    check("Length: 4", "Length: 400", "a WARC record that is cut, expected 303 more bytes");
    assert_eq!(
        changed("WARC-Type", "Type")[1],
        "lost no field `WARC-Type` in the header of a WARC record; 79 bytes from here on are lost"
    );
    let open = [&a[..], b"WARC/1.0\r\n", &b"A: b\r\n".repeat(20_000), &c].concat();
    assert_eq!(plain(&open).len(), 3);
    assert!(
        plain(&open)[1]
            .starts_with("lost a header without end, expected a blank line within 65536 bytes")
    );
}

#[test]
fn a_cut_file_gives_all_records_before_the_cut() {
    let [a, b] = ["alpha", "beta"].map(conversion);
    let whole = [&a[..], &b].concat();
    for cut in a.len() + 1..whole.len() - 4 {
        let read = plain(&whole[..cut]);
        assert_eq!((read.len(), read[0].as_str()), (2, "alpha"), "{cut}");
        assert!(read[1].starts_with("lost "), "{cut}: {read:?}");
    }
    // The line ends behind the last record say nothing.
    assert_eq!(plain(&whole[..whole.len() - 3]), ["alpha", "beta"]);
    let packed = [gzip(&a), gzip(&b)].concat();
    for cut in gzip(&a).len() + 1..packed.len() {
        let read: Vec<_> =
            found(&packed[..cut], Compression::Gzip, MAX).into_iter().map(shown).collect();
        assert_eq!(
            (read[0].as_str(), read[read.len() - 1].as_str()),
            ("alpha", "broken None"),
            "{cut}"
        );
    }
}

#[test]
fn a_damaged_member_costs_its_records_and_no_other() {
    let [a, b, c] = ["alpha", "beta", "gamma"].map(|text| gzip(&conversion(text)));
    for at in 0..b.len() {
        let mut damaged = b.clone();
        damaged[at] ^= 0x55;
        let raw = [&a[..], &damaged, &c].concat();
        let read: Vec<_> = found(&raw, Compression::Gzip, MAX).into_iter().map(shown).collect();
        let broken = format!("broken Some({})", a.len() + b.len());
        assert!(
            read == ["alpha", "beta", "gamma"] || read == ["alpha", &broken, "gamma"],
            "{at}: {read:?}"
        );
    }
}

#[test]
fn a_damaged_member_within_a_record_costs_that_record() {
    let raw = [conversion("alpha"), conversion(&"beta ".repeat(200)), conversion("gamma")].concat();
    let mut pieces: Vec<_> = raw.chunks(150).map(gzip).collect();
    pieces[3][20] ^= 0x55;
    let read: Vec<_> =
        found(&pieces.concat(), Compression::Gzip, MAX).into_iter().map(shown).collect();
    assert_eq!((read[0].as_str(), read[2].as_str(), read.len()), ("alpha", "gamma", 3), "{read:?}");
    assert!(read[1].starts_with("broken Some"), "{read:?}");
}

#[test]
fn a_record_that_is_too_long_is_passed_over() {
    let raw = [conversion("alpha"), conversion(&"x".repeat(100)), conversion("gamma")].concat();
    let read = found(&raw, Compression::Plain, 99);
    let content = &read[1].content;
    assert!(matches!(content, Content::Bytes(RawContent::TooLong { bytes: 100 })), "{content:?}");
    assert_eq!((read.len(), read[1].offset), (3, conversion("alpha").len() as u64));
}

proptest! {
    #[test]
    fn whatever_stands_there_is_a_record_or_said_to_be_lost(
        pieces in prop::collection::vec(prop_oneof![
            Just(b"WARC/1.0\r\n".to_vec()),
            Just(b"Content-Length: 5\r\n".to_vec()),
            Just(b"WARC-Type: response\r\n".to_vec()),
            Just(b"\r\n\r\n".to_vec()),
            Just(conversion("text")),
            Just(answer(&["Content-Type: text/html", "Content-Encoding: gzip"], b"<p>x")),
            prop::collection::vec(any::<u8>(), 0..20),
        ], 0..12),
        split in 1usize..200,
        flip in any::<prop::sample::Index>(),
    ) {
        let raw = pieces.concat();
        let whole = found(&raw, Compression::Plain, 64);
        let is_blank = raw.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        prop_assert_eq!(whole.is_empty(), is_blank);
        let mut packed: Vec<u8> = raw.chunks(split).flat_map(gzip).collect();
        let packed_whole: Vec<_> = found(&packed, Compression::Gzip, 64).into_iter().map(shown).collect();
        let broken = packed.is_empty().then(|| "broken None".to_owned());
        let whole: Vec<_> = whole.into_iter().map(shown).chain(broken).collect();
        prop_assert_eq!(&packed_whole, &whole);
        if !packed.is_empty() {
            let at = flip.index(packed.len());
            packed[at] ^= 0x10;
            let read: Vec<_> = found(&packed, Compression::Gzip, 64).into_iter().map(shown).collect();
            let is_told = read.iter().any(|record| record.starts_with("broken"));
            prop_assert!(is_told || read == whole);
        }
    }
}

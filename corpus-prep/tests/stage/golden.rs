//! Configs and bytes of every phase. A phase whose bytes change must raise its version; then this is written anew.

use crate::lab::{Lab, Ran, good, jsonl};
use crate::readers::{every_type, written};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use corpus_prep::Config;
use laboratory::keys;
use parquet::basic::Compression;
use pipelines::digest::Digest;
use pipelines::table::documents::Extracted;
use serde_json::json;
use std::sync::Arc;

const CORPUS: &str =
    r#"{"inputs":"*","unreadable":"count","exclude":{"source_id_prefixes":["test/"]}}"#;

const EXAMPLES: &str =
    r#"{"examples":{"files":"a.csv","task":"sequence-classification","id":"id"}}"#;

fn config(json: &str) -> Config {
    serde_json::from_str(json).unwrap()
}

#[test]
fn phases_have_the_keys_of_their_version() {
    let corpus = [
        "extract 3 1cc341f0a46e",
        "measure 2 70e55238f8f0",
        "deduplicate 1 4fcbfcffe605",
        "decide 2 985cf71eb726",
        "write 2 80a073770d78",
    ];
    assert_eq!(keys(&config(CORPUS)), corpus);
    assert_eq!(keys(&config(EXAMPLES)), ["read-examples 3 e6d8e46b1fe7", "label 1 3969b6bf7216"]);
}

#[test]
fn phases_of_a_corpus_write_the_bytes_of_their_version() {
    let lab = Lab::new();
    let rows = [
        json!({"id":1,"text":good(1),"url":"u","more":{"b":1,"a":2}}),
        json!({"text":"short"}),
        json!({"id":"x","text":good(1)}),
        json!({"id":"test/1","text":"gone"}),
        json!({"id":"y"}),
        json!({"id":"z","text":good(1)}),
    ];
    lab.write("a.jsonl", jsonl(&rows));
    lab.write("b.md", good(2) + " -- né\n");
    assert_eq!(
        lab.run(CORPUS).unwrap().golden(),
        [
            "extract 325d41761f89",
            "measure c5a0275ba265",
            "deduplicate 2ef3b669d36e",
            "decide 8e9c4b9a2f4c",
            "write c3468e264e24",
        ]
    );
}

const EDITED: &str = r#"{"inputs":"*","filters":"c4","words":"datatrove-0.10","rules":{"c4":{"too_few_sentences":1}}}"#;

#[test]
fn phases_that_edit_have_the_keys_and_write_the_bytes_of_their_version() {
    let keys = keys(&config(EDITED));
    let lab = Lab::new();
    lab.write("a.txt", "Mr. Wu didn't come.\r\nMenu\nHe left [1] us here.\n");
    lab.write("b.txt", "No end");
    let golden = lab.run(EDITED).unwrap().golden();
    let of = |all: &[String]| -> Vec<String> {
        let edited = |line: &&String| !line.starts_with("extract") && !line.starts_with("dedup");
        all.iter().filter(edited).cloned().collect()
    };
    let expected = [
        "measure 2 563521fe27e8",
        "remeasure 1 d43115b079bf",
        "decide 2 1278f1a8d2af",
        "write 2 5a5d6c740ed3",
    ];
    assert_eq!(of(&keys), expected);
    let expected = [
        "measure 90f6ea79cdb3",
        "remeasure 25f1bc612fac",
        "decide d5e7aaf254e3",
        "write a08198956267",
    ];
    assert_eq!(of(&golden), expected);
}

#[test]
fn rows_of_csv_and_pages_are_the_bytes_of_their_version() {
    let lab = Lab::new();
    lab.write("a.csv", "id,text,n\n1,\"a\nb\",2\n,c,\n4\n");
    let page =
        "<title>T</title><body><nav>Menu</nav><article><h1>Head</h1><p>PARAGRAPH</p></article>";
    lab.write("b.html", page.replace("PARAGRAPH", &good(1)));
    let ran = lab.run(r#"{"inputs":"*","unreadable":"count"}"#).unwrap();
    assert_eq!(ran.golden()[0], "extract 512c00ce3a27");
}

#[test]
fn records_of_crawls_and_pages_of_wikis_are_the_bytes_of_their_version() {
    let lab = Lab::new();
    let record = |kind: &str, more: &str, block: &str| {
        let header =
            format!("WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:{kind}>\r\n{more}\r\n");
        format!("{header}Content-Length: {}\r\n\r\n{block}\r\n\r\n", block.len())
    };
    let page = format!("<title>T</title><article><p>{}</p></article>", good(1));
    let answer = |status: &str, body: &str| {
        let block = format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\n\r\n{body}");
        record("response", "Content-Type: application/http\r\nWARC-Target-URI: http://a/", &block)
    };
    let crawl = [
        record("warcinfo", "Content-Type: application/warc-fields", "a: b"),
        answer("200 OK", &page),
        answer("404 Not Found", ""),
        record(
            "conversion",
            "Content-Type: text/plain\r\nWARC-Date: 2024-01-02T03:04:05Z",
            &good(2),
        ),
        "no record\r\n".to_owned(),
    ];
    lab.write("a.warc", crawl.concat());
    let page = |id: u32, text: &str| {
        format!(
            "<page><title>P {id}</title><ns>0</ns><id>{id}</id><revision><text>{text}</text></revision></page>"
        )
    };
    let text = format!("{{{{t|u}}}}\'\'\'One\'\'\' [[a|b]]\n== H ==\n* {}", good(3));
    let wiki = [page(1, &text), page(2, "#REDIRECT [[P 1]]"), "<page>".to_owned()];
    lab.write("b.xml", format!("<mediawiki xml:lang=\"en\">{}", wiki.concat()));
    let ran = lab.run(r#"{"inputs":"*","unreadable":"count"}"#).unwrap();
    assert_eq!(ran.golden()[0], "extract 692d6d62fccb");
}

#[test]
fn phases_of_examples_write_the_bytes_of_their_version() {
    let lab = Lab::new();
    let row = |at: usize| format!("{at},\"note\n{at}\",{}\n", ["x", "y"][at % 2]);
    lab.write("a.csv", format!("id,text,label\n{}", (0..40).map(row).collect::<String>()));
    let golden = lab.run(EXAMPLES).unwrap().golden();
    assert_eq!(golden, ["read-examples 16b38c123ea2", "label ceea6c72a8f9"]);
}

#[test]
fn phases_of_tokens_write_the_bytes_of_their_version() {
    let lab = Lab::new();
    let sentence = |at: usize| format!("Ada{at} I-PER\nwrote O\n\n");
    let text = (0..20).map(|at| format!("-DOCSTART- O\n\n{}{}", sentence(at), sentence(at + 1)));
    lab.write("a.conll", text.collect::<String>());
    let config = r#"{"examples":{"files":"a.conll","task":"token-classification"}}"#;
    let golden = lab.run(config).unwrap().golden();
    assert_eq!(golden, ["read-examples 369a57a4c197", "label 4b2494356ca7"]);
}

/// What a run read of its rows. Their keys are left out: they are digests of the file, and the library that writes Parquet
/// here may change its bytes.
fn content(ran: &Ran) -> String {
    let corpus =
        ran.extracted().into_iter().map(|row| format!("{:?} {:?}\n", row.origin, row.reading));
    let examples = ran.examples().into_iter().map(|row| {
        let named = (row.split, row.id, row.source_id, row.group, row.text, row.text_pair);
        format!("{named:?} {:?}\n", (row.labels, row.tokens, row.tags))
    });
    Digest::of(corpus.chain(examples).collect::<String>().as_bytes()).short()
}

#[test]
fn rows_of_parquet_are_the_rows_of_their_version() {
    let lab = Lab::new();
    let batch = RecordBatch::try_from_iter_with_nullable(
        every_type().into_iter().map(|(name, column)| (name, column, true)),
    );
    lab.write("a.parquet", written(&batch.unwrap(), 1, Compression::SNAPPY));
    assert_eq!(content(&lab.run(r#"{"inputs":"*"}"#).unwrap()), "2f9a4ce6ac53");
}

#[test]
fn labels_of_parquet_are_the_rows_of_their_version() {
    let lab = Lab::new();
    let texts: ArrayRef = Arc::new((0..9).map(|at| Some(good(at))).collect::<StringArray>());
    let labels: ArrayRef = Arc::new((0..9).map(|at| Some(at % 2)).collect::<Int64Array>());
    let groups: ArrayRef = Arc::new((0..9).map(|at| Some(at / 3)).collect::<Int64Array>());
    let batch = RecordBatch::try_from_iter([("text", texts), ("label", labels), ("g", groups)]);
    lab.write("a.parquet", written(&batch.unwrap(), 4, Compression::GZIP(Default::default())));
    let config = r#"{"examples":{"files":"*","task":"sequence-classification","group":"g"}}"#;
    assert_eq!(content(&lab.run(config).unwrap()), "6d46f83b1e1c");
}

/// The golden digest of reading labelled files.
fn labelled(files: &[(&str, &[u8])], fields: &str) -> String {
    let lab = Lab::new();
    files.iter().for_each(|(name, bytes)| lab.write(name, bytes));
    let ran = lab.run(&format!(r#"{{"examples":{{{fields}}}}}"#)).unwrap();
    ran.golden().swap_remove(0)
}

#[test]
fn labelled_files_of_every_format_are_the_bytes_of_their_version() {
    let read = |files: &[(&str, &[u8])], fields: &str| {
        labelled(files, &format!(r#""train":"**/*","task":"sequence-classification"{fields}"#))
    };
    let tsv = b"label\ttext\tid\nx\t\"a\tb\"\t1\ny\tc, \"d\"\t2\n";
    let jsonl = b"{\"text\":\"a\",\"label\":1,\"g\":7}\n\n{\"text\":\"b\",\"label\":0.5}\n";
    let folder = [("spam/1.txt", &b"buy\n"[..]), ("ham/1.txt", b"hello\n"), ("ham/2", b"\xc3\xa9")];
    let latin_1 = b"Gr\xf6\xdfe,label\ncaf\xe9,na\xefve\n";
    let found = [
        read(&[("a.tsv", tsv)], r#","id":"id""#),
        read(&[("a.jsonl", jsonl)], r#","group":"g""#),
        read(&folder, r#","format":"folder""#),
        read(&[("a.csv", latin_1)], r#","encoding":"latin-1","text":"Gr\u00f6\u00dfe""#),
        read(&[("a.label", b"good a text\nbad  another\n")], r#","format":"label-text""#),
    ];
    let expected = ["1a25ef9d162a", "3108f543d319", "b77b8f4823e0", "e3234e6412ea", "bf3d598bff28"];
    assert_eq!(found, expected.map(|digest| format!("read-examples {digest}")));
}

#[test]
fn tags_of_every_scheme_are_the_bytes_of_their_version() {
    let read = |scheme: &str, tags: [&str; 6]| {
        let tokens = ["Ada", "Byron", "met", "Babbage", "London", "."];
        let line = |(token, tag): (&str, &str)| format!("{token}\tX\t{tag}\n");
        let sentence: String = tokens.into_iter().zip(tags).map(line).collect();
        let file = format!("-DOCSTART-\tX\tO\n\n{sentence}\n{sentence}");
        let fields = format!(r#""train":"*","task":"token-classification","scheme":"{scheme}""#);
        labelled(&[("a.conll", file.as_bytes())], &fields)
    };
    let found = [
        read("iob1", ["I-PER", "I-PER", "O", "I-PER", "I-LOC", "O"]),
        read("iob2", ["B-PER", "I-PER", "O", "B-PER", "B-LOC", "O"]),
        read("bioes", ["B-PER", "E-PER", "O", "S-PER", "S-LOC", "O"]),
    ];
    let expected = ["e69668f0e069", "4a0ea7938894", "bfe665ba2870"];
    assert_eq!(found, expected.map(|digest| format!("read-examples {digest}")));
}

/// An article as news sites have it.
const ARTICLE: &str = r##"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Harbour ferry returns after ten years | The Coast Courier</title>
<meta name="author" content="R. Lind"><script>window.analytics = {page: 1};</script>
<style>nav { display: flex }</style></head>
<body>
<header><a href="/"><img src="/logo.svg" alt="The Coast Courier"></a>
<nav><ul><li><a href="/news">News</a></li><li><a href="/sport">Sport</a></li><li><a href="/weather">Weather</a></li></ul></nav>
</header>
<div class="cookie-banner"><p>We use cookies. <button>Accept all</button></p></div>
<main><article>
<h1>Harbour ferry returns after ten years</h1>
<p class="byline">By <a rel="author" href="/staff/lind">R. Lind</a>, <time datetime="2021-05-03">3 May 2021</time></p>
<p>The small ferry between the old harbour and the island of Grasholm will sail again from June, the council said on Monday.
It had been laid up for ten years, since the bridge to the north was opened.</p>
<p>“We counted the cars on the bridge for a <em>whole</em> summer,” said the harbour master, Anna Holm. “Most of them only go to
the beach &amp; back.” The crossing takes twelve minutes and will cost 4&nbsp;€.</p>
<figure><img src="ferry.jpg" alt="The ferry at its pier"><figcaption>The ferry at its pier. Photo: T. Berg</figcaption></figure>
<h2>Timetable</h2>
<ul><li>Weekdays: every hour from six in the morning</li><li>Weekends: every half hour from eight</li>
<li>Bicycles and dogs travel free of charge</li></ul>
<p>Those who live on the island asked for a late boat as well. <a href="/news/late-boat">The council will decide on it</a> in autumn,
when the numbers of the first summer are known.</p>
<blockquote><p>It is not only a boat. It is how our grandparents went to school.</p></blockquote>
</article>
<aside><h3>Most read</h3><ol><li><a href="/1">Storm closes the pier</a></li><li><a href="/2">New bakery in Quay Street</a></li></ol></aside>
</main>
<section id="comments"><h3>2 comments</h3><p>At last!</p><p>Too dear for what it is.</p></section>
<footer><p>© 2021 The Coast Courier. <a href="/imprint">Imprint</a> · <a href="/privacy">Privacy</a></p></footer>
</body></html>"##;

/// A page as manuals of programs have it.
const MANUAL: &str = r##"<html><head><title>Sorting lines</title></head><body>
<div id="sidebar"><ul><li><a href="install.html">Install</a></li><li><a href="sort.html">Sorting lines</a></li>
<li><a href="faq.html">Questions</a></li></ul></div>
<div id="content" class="content">
<h1>Sorting lines</h1>
<p>The command <code>order</code> writes the lines of all its files in the order of their bytes. It reads the standard input when no
file is named, and never holds more than a given share of the memory.</p>
<pre><code>order --memory 64M names.txt   &gt; sorted.txt
# lines that are equal stay as they stood
order --stable names.txt</code></pre>
<h2>Options</h2>
<dl><dt><code>--stable</code></dt><dd>Lines with equal keys keep the order in which they were read.</dd>
<dt><code>--memory</code></dt><dd>How many bytes are sorted at once; larger files are merged from temporary ones.</dd></dl>
<table><tr><th>Lines</th><th>Seconds</th></tr><tr><td>one million</td><td>0.4</td></tr><tr><td>ten millions</td><td>5.1</td></tr></table>
<ol><li>Read a block of lines and sort it.</li><li>Write it to a temporary file.</li><li>Merge the files, two at a time.</li></ol>
<p>The order of bytes is not that of a dictionary: capital letters come before small ones, and letters with marks come last.</p>
</div>
<div class="footer">Generated on a quiet afternoon | <a href="#top">Back to top</a></div>
</body></html>"##;

#[test]
fn main_texts_of_pages_are_the_bytes_of_their_version() {
    let lab = Lab::new();
    lab.write("article.html", ARTICLE);
    lab.write("manual.html", MANUAL);
    let ran = lab.run(r#"{"inputs":"*"}"#).unwrap();
    let texts: String = ran.extracted().iter().filter_map(Extracted::text).collect();
    for kept in ["The small ferry between", "Weekdays: every hour", "The command order writes"] {
        assert!(texts.contains(kept), "{kept}: {texts}");
    }
    for left_out in ["We use cookies", "Most read", "Imprint", "Too dear", "analytics"] {
        assert!(!texts.contains(left_out), "{left_out}: {texts}");
    }
    assert_eq!(ran.golden()[0], "extract 28c2816522b8");
}

#[test]
fn reasons_of_unreadable_records_are_the_bytes_of_their_version() {
    let lab = Lab::new();
    lab.write(
        "a.jsonl",
        "{\"text\":\"a\n{\"text\":1}\n[]\n{\"text\":\"a\",\"id\":1.5}\n{\"b\":1}\n",
    );
    lab.write("b.csv", "id,text\n1,\"a\"b\n2\n3,\"c\n");
    lab.write("c.html", "<div>".repeat(300));
    let ran = lab.run(r#"{"inputs":"*","unreadable":"count"}"#).unwrap();
    assert_eq!(ran.golden()[0], "extract 6e2f5d9d83bc");
}

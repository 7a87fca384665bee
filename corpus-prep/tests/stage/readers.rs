//! Raw files of every format but JSON lines and plain text.

use crate::lab::{Lab, good, gzip};
use arrow::array::{
    ArrayRef, BinaryArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray,
    Float32Array, Float64Array, Int32Array, Int32Builder, Int64Array, IntervalDayTimeArray,
    LargeStringArray, ListArray, MapBuilder, RecordBatch, StringArray, StringBuilder, StructArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, IntervalDayTime, Schema, i256};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, ZstdLevel};
use parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::WriterProperties;
use pipelines::table::documents::{Extracted, Reading};
use std::sync::Arc;

const COUNT: &str = r#"{"inputs":"*","unreadable":"count"}"#;

fn texts(rows: &[Extracted]) -> Vec<&str> {
    rows.iter().map(|row| row.text().unwrap_or("-")).collect()
}

fn reasons(rows: &[Extracted]) -> Vec<String> {
    let reason = |row: &Extracted| match &row.reading {
        Reading::Unreadable { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    rows.iter().filter_map(reason).collect()
}

#[track_caller]
fn check_error(file: &str, bytes: impl AsRef<[u8]>, expected: &str) {
    let lab = Lab::new();
    lab.write(file, bytes);
    let error = lab.run(r#"{"inputs":"*"}"#).err().expect("an error").replace(&lab.prefix(), "");
    assert!(error.contains(expected), "{error}\nexpected {expected}");
}

#[test]
fn columns_of_csv_are_fields_and_metadata() {
    let lab = Lab::new();
    let rows = "id,text,year,lang,note\n7,\"two\nlines, \"\"quoted\"\"\",1897,de,\n,plain,,,x\n";
    lab.write("a.csv", rows);
    lab.write("b.tsv.gz", gzip(b"text\tid\none, two\tt\n"));
    let mut rows = lab.run(r#"{"inputs":"*"}"#).unwrap().extracted();
    rows.sort_by(|a, b| a.text().cmp(&b.text()));
    assert_eq!(texts(&rows), ["one, two", "plain", "two\nlines, \"quoted\""]);
    let origin = &rows[2].origin;
    assert_eq!((origin.source_id.as_deref(), origin.lang.as_deref()), (Some("7"), Some("de")));
    assert_eq!(origin.metadata.as_deref(), Some(r#"{"year":"1897"}"#));
    assert_eq!(rows[1].origin.metadata.as_deref(), Some(r#"{"note":"x"}"#));
    let named = Lab::new();
    named.write("a.csv", "body;n\na;1\n");
    let config = r#"{"inputs":"*","delimiter":";","fields":{"text":"body","id":"n"}}"#;
    let rows = named.run(config).unwrap().extracted();
    assert_eq!((texts(&rows), rows[0].origin.source_id.as_deref()), (vec!["a"], Some("1")));
}

#[test]
fn rows_of_csv_that_are_none_are_counted_and_the_others_are_read() {
    let lab = Lab::new();
    lab.write("a.csv", "id,text\n1,a\n2\n3,c\n4,\"d\n5,e\n6,f\n");
    let ran = lab.run(COUNT).unwrap();
    let rows = ran.extracted();
    assert_eq!(texts(&rows), ["a", "-", "c", "-"]);
    assert_eq!(
        reasons(&rows),
        [
            "1 fields, expected 2 as in the header; is a quote missing?",
            "a quoted field that does not end, expected a closing quote"
        ]
    );
    let counts = ran.counts("extract");
    assert_eq!((counts["read"], counts["kept"], counts["unreadable"]), (4, 2, 2));
    let cut = Lab::new();
    let whole = gzip(format!("id,text\n{}", "1,some text\n".repeat(500)).as_bytes());
    cut.write("a.csv.gz", &whole[..whole.len() - 12]);
    let rows = cut.run(COUNT).unwrap().extracted();
    assert!(rows.len() > 1 && rows.iter().rev().skip(1).all(|row| row.text() == Some("some text")));
    assert!(reasons(&rows)[0].contains("the rest of a gzip member"), "{:?}", reasons(&rows));
}

#[test]
fn an_unclosed_quote_takes_no_sound_row_with_it() {
    let lab = Lab::new();
    let text = "id,text\n1,\"ok one\"\n2,\"not closed\n3,swallowed\n4,\"ok four\"\n5,\"fine\"\n";
    lab.write("a.csv", text);
    let ran = lab.run(COUNT).unwrap();
    assert_eq!(texts(&ran.extracted()), ["ok one", "-", "fine"]);
    assert!(reasons(&ran.extracted())[0].starts_with("a stray quote on line 5: "));
    let sound = Lab::new();
    sound.write("a.csv", "id,text\n1,5\" pipe\n2,\"multi\nline\"\n");
    let rows = sound.run(r#"{"inputs":"*"}"#).unwrap().extracted();
    assert_eq!(texts(&rows), ["5\" pipe", "multi\nline"]);
}

#[test]
fn bad_csv_is_told_with_file_and_line() {
    check_error("a.csv", "id,body\n1,a\n", "a.csv: no column `text`; found `id`, `body`");
    check_error("a.csv", "", "a.csv: no column `text`; found ``");
    check_error("a.csv", "text,n,n\n", "a.csv: two columns `n`, expected different names");
    check_error("a.csv", "text,n\na,1\n\nb\n", "a.csv:4: 1 fields, expected 2 as in the header");
    check_error(
        "a.csv",
        "n,text\n1,\"a\"\n2,\"not closed\n3,swallowed\n4,\"d\"\n5,\"e\"\n",
        "a.csv:3: a stray quote on line 5",
    );
    check_error("a.csv", b"text,\xff\n", "a.csv:1: a name of a column has 0xff, expected UTF-8");
    check_error("a.csv", "n,text\n1,a\n2,\"b\n3,c\n", "a.csv:3: a quoted field that does not end");
    check_error(
        "a.tsv",
        b"text\tn\na\tcaf\xe9\n",
        "a.tsv:2: column `n` has 0xe9, expected UTF-8 (`invalid_utf8 = \"repair\"`",
    );
}

/// The text of record `at`.
fn text(at: i32) -> String {
    format!("{} {at}", good(usize::try_from(at % 7).unwrap()))
}

/// `rows` records in row groups of `group` rows, with a column of every kind of type.
fn parquet(rows: std::ops::Range<i32>, group: usize, compression: Compression) -> Vec<u8> {
    let at = || rows.clone();
    let texts: LargeStringArray = at().map(|at| Some(text(at))).collect();
    let ids = Int32Array::from_iter(at().map(|at| (at % 5 != 0).then_some(at)));
    let langs: DictionaryArray<Int32Type> =
        at().map(|at| if at % 2 == 0 { "de" } else { "en" }).collect();
    let scores =
        Float64Array::from_iter(at().map(|at| (at % 2 == 0).then_some(f64::from(at) / 4.0)));
    let tags = ListArray::from_iter_primitive::<Int32Type, _, _>(
        at().map(|at| Some((0..at % 3).map(Some))),
    );
    let years: ArrayRef =
        Arc::new(Int64Array::from_iter_values(at().map(|at| i64::from(at) + 1800)));
    let field = Arc::new(Field::new("year", DataType::Int64, false));
    let facts = StructArray::from(vec![(field, years)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(ids)),
        ("facts", Arc::new(facts)),
        ("text", Arc::new(texts)),
        ("lang", Arc::new(langs)),
        ("score", Arc::new(scores)),
        ("tags", Arc::new(tags)),
    ];
    written(&RecordBatch::try_from_iter(columns).unwrap(), group, compression)
}

pub fn written(batch: &RecordBatch, group: usize, compression: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(group))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn one_column(name: &str, column: ArrayRef) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable([(name, column, true)]).unwrap();
    written(&batch, 100, Compression::UNCOMPRESSED)
}

#[test]
fn columns_of_parquet_are_fields_and_metadata_whatever_their_types() {
    let lab = Lab::new();
    lab.write("a.parquet", parquet(0..5, 2, Compression::SNAPPY));
    let rows = lab.run(r#"{"inputs":"*"}"#).unwrap().extracted();
    assert_eq!(texts(&rows), (0..5).map(text).collect::<Vec<_>>());
    let origin = &rows[4].origin;
    assert_eq!((origin.source_id.as_deref(), origin.lang.as_deref()), (Some("4"), Some("de")));
    assert_eq!(
        origin.metadata.as_deref(),
        Some(r#"{"facts":{"year":1804},"score":1.0,"tags":[0]}"#)
    );
    assert_eq!(rows[0].origin.source_id, None);
    assert_eq!(rows[3].origin.metadata.as_deref(), Some(r#"{"facts":{"year":1803},"tags":[]}"#));
}

/// Two rows with a column of every other type that Parquet has, text aside; the second row is null in most.
pub fn every_type() -> Vec<(&'static str, ArrayRef)> {
    let instant = || TimestampMicrosecondArray::from(vec![Some(1_600_000_000_123_456), None]);
    let decimal = Decimal128Array::from(vec![Some(-12_345), None]);
    let digits = "123456789012345678901234567890123456789012345678901234567890";
    let long = Decimal256Array::from(vec![i256::from_string(digits), None]);
    let mut counts = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    let mut names = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
    for row in 0..2 {
        if row == 0 {
            counts.keys().append_value("b");
            counts.values().append_value(1);
            counts.keys().append_value("a");
            counts.values().append_null();
            names.keys().append_value(7);
            names.values().append_value("seven");
        }
        counts.append(true).unwrap();
        names.append(true).unwrap();
    }
    let utc = Field::new(
        "at",
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into())),
        true,
    );
    let inner: ArrayRef = Arc::new(instant().with_timezone("UTC"));
    let spans = vec![Some(IntervalDayTime::new(1, 500)), None];
    vec![
        ("text", Arc::new(StringArray::from(vec!["a", "b"]))),
        ("utc", Arc::new(instant().with_timezone("UTC"))),
        ("berlin", Arc::new(instant().with_timezone("Europe/Berlin"))),
        ("local", Arc::new(TimestampNanosecondArray::from(vec![Some(1), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(-1), None]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![Some(3_600_000_001), None]))),
        ("span", Arc::new(IntervalDayTimeArray::from(spans))),
        ("decimal", Arc::new(decimal.with_precision_and_scale(38, 4).unwrap())),
        ("long", Arc::new(long.with_precision_and_scale(76, 10).unwrap())),
        ("float", Arc::new(Float32Array::from(vec![0.1, f32::INFINITY]))),
        ("nan", Arc::new(Float64Array::from(vec![f64::NAN, 0.1]))),
        ("big", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None]))),
        ("counts", Arc::new(counts.finish())),
        ("names", Arc::new(names.finish())),
        ("nested", Arc::new(StructArray::from(vec![(Arc::new(utc), inner)]))),
    ]
}

#[test]
fn every_type_of_parquet_is_kept_as_json() {
    let lab = Lab::new();
    let batch = RecordBatch::try_from_iter_with_nullable(
        every_type().into_iter().map(|(name, column)| (name, column, true)),
    );
    lab.write("a.parquet", written(&batch.unwrap(), 2, Compression::UNCOMPRESSED));
    let rows = lab.run(r#"{"inputs":"*"}"#).unwrap().extracted();
    assert_eq!(texts(&rows), ["a", "b"]);
    let metadata = |at: usize| rows[at].origin.metadata.as_deref().unwrap();
    let expected = [
        r#""berlin":"2020-09-13T12:26:40.123456Z""#,
        r#""big":18446744073709551615"#,
        r#""bytes":"00ff""#,
        r#""counts":{"b":1}"#,
        r#""day":"1969-12-31""#,
        r#""decimal":"-1.2345""#,
        r#""float":0.1"#,
        r#""local":"1970-01-01T00:00:00.000000001""#,
        r#""long":"12345678901234567890123456789012345678901234567890.1234567890""#,
        r#""names":[{"key":7,"value":"seven"}]"#,
        r#""nan":null"#,
        r#""nested":{"at":"2020-09-13T12:26:40.123456Z"}"#,
        r#""span":"1 days 0.500 secs""#,
        r#""time":"01:00:00.000001""#,
        r#""utc":"2020-09-13T12:26:40.123456Z""#,
    ];
    assert_eq!(metadata(0), format!("{{{}}}", expected.join(",")));
    assert_eq!(metadata(1), r#"{"counts":{},"float":null,"names":[],"nan":0.1,"nested":{}}"#);
}

#[test]
fn a_time_that_no_calendar_has_is_an_unreadable_record() {
    let times = TimestampMicrosecondArray::from(vec![1, i64::MAX, 2]).with_timezone("UTC");
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let columns: [(&str, ArrayRef); 2] = [("text", texts), ("when", Arc::new(times))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let bytes = written(&batch, 9, Compression::UNCOMPRESSED);
    let problem =
        "column `when` holds a timestamp out of range, expected one that can be written as text";
    check_error("a.parquet", &bytes, &format!("a.parquet: row 2: {problem}"));
    let lab = Lab::new();
    lab.write("a.parquet", bytes);
    let rows = lab.run(COUNT).unwrap().extracted();
    assert_eq!(self::texts(&rows), ["a", "-", "c"]);
    assert_eq!(reasons(&rows), [problem]);
}

/// The same file, but for a footer that says that it is compressed so.
fn claimed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let (rest, tail) = bytes.split_at(bytes.len() - 8);
    let footer_bytes = u32::from_le_bytes(tail[..4].try_into().unwrap());
    let footer = &rest[rest.len() - usize::try_from(footer_bytes).unwrap()..];
    let metadata = ParquetMetaDataReader::decode_metadata(footer).unwrap();
    let groups = metadata.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(|column| {
            column.clone().into_builder().set_compression(compression).build().unwrap()
        });
        let columns = columns.collect();
        group.clone().into_builder().set_column_metadata(columns).build().unwrap()
    });
    let groups = groups.collect::<Vec<_>>();
    let metadata = metadata.into_builder().set_row_groups(groups).build();
    let mut claimed = bytes.to_vec();
    ParquetMetaDataWriter::new(&mut claimed, &metadata).finish().unwrap();
    claimed
}

#[test]
fn a_compression_that_is_not_read_is_an_error_and_no_damage() {
    let bytes = claimed(
        &one_column("text", Arc::new(StringArray::from(vec!["a"]))),
        Compression::BROTLI(BrotliLevel::default()),
    );
    let expected = "a.parquet: column `text` is compressed with Brotli, expected Snappy, gzip, LZ4, zstd or nothing";
    check_error("a.parquet", &bytes, expected);
    let lab = Lab::new();
    lab.write("a.parquet", bytes);
    assert!(lab.run(COUNT).err().unwrap().ends_with(expected));
}

#[test]
fn equal_names_of_columns_are_refused_in_parquet() {
    let column = || -> ArrayRef { Arc::new(StringArray::from(vec!["a"])) };
    let field = |name: &str| Field::new(name, DataType::Utf8, false);
    let schema = Schema::new(vec![field("text"), field("n"), field("n")]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![column(), column(), column()]);
    let bytes = written(&batch.unwrap(), 1, Compression::UNCOMPRESSED);
    let twins =
        StructArray::from(vec![(Arc::new(field("m")), column()), (Arc::new(field("m")), column())]);
    let nested = one_column("text", Arc::new(twins));
    check_error("a.parquet", nested, "a.parquet: two columns `m`, expected different names");
    let expected = "a.parquet: two columns `n`, expected different names; found `text`, `n`, `n`";
    check_error("a.parquet", &bytes, expected);
    let lab = Lab::new();
    lab.write("a.parquet", bytes);
    let config =
        r#"{"examples":{"train":"a.parquet","task":"sequence-classification","label":"n"}}"#;
    assert!(lab.run(config).err().unwrap().ends_with(expected));
}

#[test]
fn compressions_of_parquet_make_no_difference() {
    let read = |compression| {
        let lab = Lab::new();
        lab.write("a.parquet", parquet(0..50, 20, compression));
        let rows = lab.run(r#"{"inputs":"*"}"#).unwrap().extracted();
        rows.into_iter().map(|row| (row.origin, row.reading)).collect::<Vec<_>>()
    };
    let plain = read(Compression::UNCOMPRESSED);
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).unwrap());
    for compression in [Compression::SNAPPY, zstd, Compression::LZ4, Compression::LZ4_RAW] {
        assert!(read(compression) == plain, "{compression}");
    }
    assert!(read(Compression::GZIP(Default::default())) == plain);
}

#[test]
fn a_large_file_of_parquet_is_cut_between_row_groups() {
    let lab = Lab::new();
    lab.write("a.parquet", parquet(0..400, 50, Compression::SNAPPY));
    let whole = lab.run(r#"{"inputs":"*"}"#).unwrap();
    assert_eq!(parts(&whole), 1);
    let cut = lab.run(r#"{"inputs":"*","part_size":"12 kB"}"#).unwrap();
    assert!((2..=8).contains(&parts(&cut)), "{}", parts(&cut));
    let sorted = |rows: Vec<Extracted>| {
        let mut rows: Vec<_> =
            rows.into_iter().map(|row| (row.text().unwrap().to_owned(), row.origin)).collect();
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        rows
    };
    assert!(sorted(cut.extracted()) == sorted(whole.extracted()));
    let again = lab.fresh().run(r#"{"inputs":"*","part_size":"12 kB"}"#).unwrap();
    assert_eq!(cut.digests(), again.digests());
}

fn parts(ran: &crate::lab::Ran) -> usize {
    ran.started().iter().filter(|task| task.contains("extract/")).count()
}

#[test]
fn bad_parquet_is_told_with_file_and_place() {
    let whole = parquet(0..40, 10, Compression::SNAPPY);
    check_error("a.parquet", &whole[..whole.len() / 2], "a.parquet: found ");
    check_error("a.parquet", "", "expected a Parquet file");
    check_error("a.parquet", "text\na\n", "expected a Parquet file");
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    check_error(
        "a.parquet",
        one_column("body", texts.clone()),
        "a.parquet: no column `text`; found `body`",
    );
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    check_error(
        "a.parquet",
        one_column("text", numbers),
        "a.parquet: column `text` is of type Int64, expected strings",
    );
    check_error(
        "a.parquet",
        one_column("text", texts),
        "a.parquet: row 2: field `text` is null, expected a string",
    );
}

#[test]
fn a_damaged_row_group_is_one_unreadable_record() {
    let mut bytes = parquet(0..40, 10, Compression::SNAPPY);
    bytes[4..90].fill(0xff);
    check_error("a.parquet", &bytes, "a.parquet: row 1: row group 0 is damaged (");
    let lab = Lab::new();
    lab.write("a.parquet", &bytes);
    let rows = lab.run(COUNT).unwrap().extracted();
    assert_eq!((rows.len(), reasons(&rows).len()), (31, 1));
    assert_eq!(reasons(&rows), ["row group 0 is damaged; its 10 rows from here on are lost"]);
}

#[test]
fn no_flipped_byte_of_parquet_makes_a_panic_or_loses_rows_in_silence() {
    let whole = parquet(0..12, 6, Compression::UNCOMPRESSED);
    for at in (0..whole.len()).step_by(211) {
        let lab = Lab::new();
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        lab.write("a.parquet", &bytes);
        match lab.run(COUNT) {
            Ok(ran) => {
                assert!(ran.extracted().len() >= 12 || !reasons(&ran.extracted()).is_empty())
            }
            Err(error) => assert!(!error.contains("bug in seedbed"), "byte {at}: {error}"),
        }
    }
}

#[test]
fn labelled_rows_of_parquet_are_read() {
    let lab = Lab::new();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let labels: ArrayRef = Arc::new(Int64Array::from(vec![1, 0, 1]));
    let batch = RecordBatch::try_from_iter([("text", texts), ("label", labels)]).unwrap();
    lab.write("a.parquet", written(&batch, 2, Compression::SNAPPY));
    let config = r#"{"examples":{"train":"a.parquet","task":"sequence-classification"}}"#;
    let ran = lab.run(config).unwrap();
    let rows = ran.examples();
    let found: Vec<_> = rows.iter().map(|row| (&*row.text, &*row.labels[0])).collect();
    assert_eq!(found, [("a", "1"), ("b", "0"), ("c", "1")]);
    let grouped = Lab::new();
    let groups: ArrayRef = Arc::new(Float64Array::from(vec![1e19, 2e19, 3e19]));
    let columns =
        [("text", batch.column(0).clone()), ("label", batch.column(1).clone()), ("g", groups)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    grouped.write("a.parquet", written(&batch, 2, Compression::SNAPPY));
    let error = grouped.run(&config.replace("\"task\"", "\"group\":\"g\",\"task\"")).err().unwrap();
    assert!(
        error.contains("a.parquet: row 1: field `g` is a number with a fraction or of"),
        "{error}"
    );
    assert!(error.ends_with("write it as a string"), "{error}");
    let error = lab.run(&config.replace("\"task\"", "\"label\":\"gold\",\"task\"")).err().unwrap();
    assert!(error.ends_with("a.parquet: no column `gold`; found `text`, `label`"), "{error}");
}

fn page(body: &str) -> String {
    format!("<html><head><title>A page</title></head><body>{body}</body></html>")
}

#[test]
fn pages_become_their_main_text() {
    let lab = Lab::new();
    let words = good(3);
    lab.write("a.html", page(&format!("<nav>Home</nav><article><p>{words}</p></article>")));
    let latin: Vec<u8> = page(&format!("<article><p>Caf\u{e9} {words}</p></article>"))
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    lab.write("b.htm.gz", gzip(&latin));
    lab.write("c.html", page("<nav><a href='/'>Home</a></nav>"));
    let ran = lab.run(r#"{"inputs":"*"}"#).unwrap();
    let mut rows = ran.extracted();
    rows.sort_by(|a, b| a.text().cmp(&b.text()));
    let cafe = format!("Caf\u{e9} {words}");
    assert_eq!(texts(&rows), [cafe.as_str(), "Home", words.as_str()]);
    assert_eq!(rows[0].origin.metadata.as_deref(), Some(r#"{"title":"A page"}"#));
}

#[test]
fn a_page_without_main_text_is_counted_and_dropped() {
    let lab = Lab::new();
    lab.write("a.html", "<html><body><script>var a = 1</script></body></html>");
    let ran = lab.run(r#"{"inputs":"*"}"#).unwrap();
    assert_eq!(ran.counts("extract")["no_main_text"], 1);
    assert_eq!(ran.counts("decide")["dropped/short_doc"], 1);
}

#[test]
fn a_bomb_of_html_is_an_unreadable_record() {
    let bomb = "<div>".repeat(1_000_000);
    check_error("a.html", &bomb, "a.html: elements nested more than 200 deep");
    let lab = Lab::new();
    lab.write("a.html", &bomb);
    lab.write("b.html", page(&format!("<article><p>{}</p></article>", good(1))));
    let ran = lab.run(COUNT).unwrap();
    assert_eq!((ran.extracted().len(), ran.documents().len()), (2, 1));
}

/// Pages, each with texts that its main text has and others that it has not, as trafilatura's own evaluation.
#[test]
#[ignore = "needs pages: `SEEDBED_PAGES=DIR` with `evaldata.json` (url -> file, with, without) and the files in `eval` or `cache`"]
fn main_texts_have_what_they_should() {
    let dir = std::path::PathBuf::from(std::env::var("SEEDBED_PAGES").expect("SEEDBED_PAGES"));
    let pages: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("evaldata.json")).unwrap()).unwrap();
    let (mut found, mut missed, mut wrong, mut left_out) = (0u32, 0u32, 0u32, 0u32);
    let (mut empty, mut refused, mut slowest) = (0, Vec::new(), std::time::Duration::ZERO);
    let started = std::time::Instant::now();
    for page in pages.as_object().unwrap().values() {
        let file = page["file"].as_str().unwrap();
        let path = ["eval", "cache"].map(|folder| dir.join(folder).join(file));
        let path = path.iter().find(|path| path.exists()).unwrap();
        let began = std::time::Instant::now();
        let text = match corpus_prep::read::html::read(&std::fs::read(path).unwrap(), None, None) {
            Ok(page) => page.text,
            Err(problem) => {
                refused.push(format!("{file}: {problem}"));
                String::new()
            }
        };
        slowest = slowest.max(began.elapsed());
        empty += u32::from(text.is_empty());
        let has = |segment: &&serde_json::Value| text.contains(segment.as_str().unwrap());
        let count = |name: &str| {
            let segments = page[name].as_array().unwrap();
            let had = u32::try_from(segments.iter().filter(has).count()).unwrap();
            (had, u32::try_from(segments.len()).unwrap() - had)
        };
        let ((with, without_it), (bad, good)) = (count("with"), count("without"));
        (found, missed, wrong, left_out) =
            (found + with, missed + without_it, wrong + bad, left_out + good);
    }
    let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole);
    let (precision, recall) = (share(found, found + wrong), share(found, found + missed));
    let f = 2.0 * precision * recall / (precision + recall);
    let accuracy = share(found + left_out, found + missed + wrong + left_out);
    let elapsed = started.elapsed();
    println!("precision {precision:.3} recall {recall:.3} accuracy {accuracy:.3} F {f:.3}");
    println!("{empty} empty, refused {refused:?}, {elapsed:.1?} in all, slowest {slowest:.2?}");
    assert!(f > 0.9);
}

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[track_caller]
fn check(text: &str, expected: Option<&str>) {
    assert_eq!(identify(text).map(|(lang, _)| lang.code()), expected, "{text:?}");
}

#[test]
fn texts_are_named_by_their_language() {
    check("", None);
    check(" 123 !?\n", None);
    check(
        "The harbour was quiet, and nobody had seen the boat since the evening before.",
        Some("en"),
    );
    check("Der Hafen war still, und niemand hatte das Boot seit dem Vorabend gesehen.", Some("de"));
    check("Гавань была тихой, и никто не видел лодку с прошлого вечера.", Some("ru"));
    check("港は静かで、昨夜から誰もその船を見ていなかった。", Some("ja"));
    check("港口很安静，从昨晚起就没有人见过那条船。", Some("zh"));
    check("بندر آرام بود و از شب گذشته کسی قایق را ندیده بود.", Some("fa"));
}

#[test]
fn a_long_text_is_judged_at_its_begin_middle_and_end() {
    let (english, german) = ("the boat was not seen again. ", "das Boot war nicht mehr zu sehen. ");
    let mostly_german = [english.repeat(14), german.repeat(4000)].concat();
    check(&mostly_german, Some("de"));
    let sample = sample(&mostly_german);
    assert!(sample.len() < 1300 && sample.starts_with(english) && sample.contains("Boot"));
}

#[test]
fn every_language_that_can_be_found_has_a_code() {
    for lang in whatlang::Lang::all() {
        assert!(Lang::from_code(lang.code()).is_some(), "{lang}");
    }
}

#[test]
fn codes_name_one_language_each() {
    let mut codes: Vec<&str> = table::LANGS.iter().map(|(code, ..)| *code).collect();
    assert!(codes.is_sorted_by(|left, right| left < right));
    codes = table::LANGS.iter().flat_map(|(short, long, _)| [*short, *long]).collect();
    codes.sort_unstable();
    codes.dedup();
    let num_short = table::LANGS.iter().filter(|(short, long, _)| short != long).count();
    assert_eq!(codes.len(), table::LANGS.len() + num_short);
}

#[test]
fn labels_of_models_have_the_same_codes() {
    let code = |label| Lang::from_label(label).map(Lang::code);
    assert_eq!(code("__label__en"), Some("en"));
    assert_eq!(code("__label__eng_Latn"), Some("en"));
    assert_eq!(code("__label__ceb"), Some("ceb"));
    assert_eq!(code("__label__no"), Some("nb"));
    assert_eq!(code("__label__als"), Some("gsw"));
    assert_eq!(code("__label__als_Latn"), None, "Tosk Albanian");
    assert_eq!(code("__label__cmn_Hani"), Some("zh"));
    assert_eq!(code("__label__pes_Arab"), Some("fa"));
    assert_eq!(code("en"), None);
    assert_eq!(code("__label__"), None);
    assert_eq!(code("__label__zxx_Zzzz"), None);
    let german = Lang::from_code("deu").unwrap();
    assert_eq!((german.code(), german.iso_639_3(), german.name()), ("de", "deu", "German"));
}

#[test]
fn every_character_alone_has_an_answer() {
    for character in '\0'..='\u{2ffff}' {
        if let Some((_, confidence)) = identify(character.encode_utf8(&mut [0; 4])) {
            assert!((0.0..=1.0).contains(&confidence), "{character:?}: {confidence}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_has_an_answer(text in "(\\PC{0,400}|[a-zäé \n人]{0,3000})") {
        if let Some((_, confidence)) = identify(&text) {
            prop_assert!((0.0..=1.0).contains(&confidence));
        }
    }
}

/// `SEEDBED_LINGUA` names a folder with the test lines of lingua-rs, `CODE/testdata/sentences.txt`, and its
/// `sentences-accuracy-values.csv`. Prints our accuracy on them beside the published ones.
#[test]
#[ignore = "needs `SEEDBED_LINGUA=DIR`"]
fn sentences_are_named_by_their_language() {
    let dir = PathBuf::from(std::env::var("SEEDBED_LINGUA").expect("SEEDBED_LINGUA"));
    let published = published(&dir.join("sentences-accuracy-values.csv"));
    println!(
        "{:16}{:>10}{:>10}{:>10}{:>8}{:>8}{:>11}",
        "language", "ten lines", "a line", "whatlang", "cld2", "lingua", "whichlang"
    );
    let known = |lang: Lang| {
        whatlang::Lang::all().iter().any(|known| Lang::from_code(known.code()) == Some(lang))
    };
    let mut sums = [0.0; 2];
    let mut num_langs = 0.0;
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let lang = Lang::from_code(folder.file_name().unwrap().to_str().unwrap()).unwrap();
        let text = std::fs::read_to_string(folder.join("testdata/sentences.txt")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let found = [10, 1].map(|size| accuracy(lang, &lines, size));
        let shown =
            found.map(|accuracy| if known(lang) { format!("{accuracy:.1}") } else { "-".into() });
        let theirs = &published[match lang.code() {
            "nb" => "Bokmal",
            "st" => "Sotho",
            _ => lang.name(),
        }];
        println!(
            "{:16}{:>10}{:>10}{:>10}{:>8}{:>8}{:>11}",
            lang.name(),
            shown[0],
            shown[1],
            theirs[0],
            theirs[1],
            theirs[2],
            theirs[3]
        );
        if known(lang) {
            num_langs += 1.0;
            sums = [sums[0] + found[0], sums[1] + found[1]];
        }
    }
    let means = sums.map(|sum| sum / num_langs);
    println!(
        "mean of {num_langs} languages: ten lines {:.2} %, a line {:.2} %",
        means[0], means[1]
    );
    assert!(means[1] >= 93.0);
}

/// The share of texts of so many lines that are named by `lang`, in percent.
fn accuracy(lang: Lang, lines: &[&str], size: usize) -> f64 {
    let texts = lines.chunks(size).map(|lines| lines.join("\n"));
    let right = texts.filter(|text| identify(text).is_some_and(|(found, _)| found == lang)).count();
    100.0 * right as f64 / lines.chunks(size).count() as f64
}

/// Of whatlang, cld2, lingua with high accuracy and whichlang, by the name of the language.
fn published(path: &std::path::Path) -> BTreeMap<String, [String; 4]> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let columns = ["whatlang", "cld2", "lingua-high-accuracy", "whichlang"].map(column);
    let short = |cell: &str| match cell.parse::<f64>() {
        Ok(value) if value.is_finite() => format!("{value:.1}"),
        _ => "-".into(),
    };
    let rows = reader.records().map(Result::unwrap);
    rows.map(|row| (row[0].to_owned(), columns.map(|column| short(&row[column])))).collect()
}

/// Prints how fast long texts are named: those of `SEEDBED_LINGUA`, joined to documents of 20 kB and of 200 kB.
#[test]
#[ignore = "needs `SEEDBED_LINGUA=DIR`"]
fn long_texts_are_named_fast() {
    let dir = PathBuf::from(std::env::var("SEEDBED_LINGUA").expect("SEEDBED_LINGUA"));
    for code in ["en", "ru", "ja", "hi", "vi"] {
        let path = dir.join(code).join("testdata/sentences.txt");
        let text = std::fs::read_to_string(path).unwrap().repeat(4);
        for bytes in [1_000, 2_000, 20_000, 200_000] {
            let end = text.ceil_char_boundary(bytes.min(text.len()));
            let began = std::time::Instant::now();
            let mut total = 0.0;
            while total < 2e6 || began.elapsed().as_secs_f64() < 0.2 {
                assert_eq!(identify(&text[..end]).unwrap().0.code(), code);
                total += end as f64;
            }
            let speed = total / 1e6 / began.elapsed().as_secs_f64();
            println!("{code}, {end} bytes: {speed:.1} MB/s");
        }
    }
}

use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

#[track_caller]
fn check(wikitext: &str, expected: &str) {
    assert_eq!(text(wikitext, &Hidden::default()), expected, "{wikitext}");
}

#[test]
fn links_leave_their_label() {
    check("a [[link]] and [[target|another]]s", "a link and anothers");
    check("[[:Category:Birds]] [[a (b)|]] [[a#b]]", "Category:Birds a (b) a#b");
    check("[[Category:Birds]][[image:A.png|thumb|a [[bird]]]][[FILE:b.ogg]]x", "x");
    check("[[de:Vogel]] [[zh-min-nan:X]] [[simple:Bird]] [[de:Vogel|German]]", "German");
    check("[[Star Trek: Picard]] [[wikt:bird|word]]", "Star Trek: Picard word");
    check(
        "see [http://a.org/b?c=d the site] and [https://a.org] and [//a b]",
        "see the site and and b",
    );
    check("[not a link] http://a.org", "[not a link] http://a.org");
    check("[http://a.org ''a'' [[b]]] c", "a b c");
}

#[test]
fn names_of_other_wikis_are_hidden_too() {
    let mut hidden = Hidden::default();
    hidden.add("Datei");
    assert_eq!(text("[[datei:a.png|x]]Vogel", &hidden), "Vogel");
}

#[test]
fn templates_and_tables_leave_nothing() {
    check("a {{t|b={{u|c}}|[[d]]}}b", "a b");
    check("{{{1|x}}} {{{{{1}}}}} {{a}}}} {b} }", "{b} }");
    check("x\n{| class=a\n|-\n! h\n| [[a]]\n{|\n| in\n|}\n|}\ny", "x\n\ny");
    check("{{Infobox\n| a = {|\n| x\n|}\n|}}words", "words");
    check(":{|\n|a\n|}words", "words");
    check("{{a|[[b}}c]]d", "cd");
}

#[test]
fn references_comments_and_formulas_leave_nothing() {
    check("a<ref>b {{c}}</ref> d<ref name=\"x\" /> e<REF name=y>f</Ref >.", "a d e.");
    check("a<!-- [[b -->c<math>x^2</math>", "ac");
    check("<gallery>\na.png|b\n</gallery>c<br/>d<small>e</small>", "c\nde");
    check("<nowiki>[[a]] ''b'' &lt;</nowiki> <nowiki/>c", "[[a]] ''b'' < c");
    check("__NOTOC__a_b __c__", "a_b __c__");
    check("a < b, c <d>e", "a < b, c e");
}

#[test]
fn headings_lists_and_quotes_leave_their_words() {
    check("'''A''' is ''b''; it's '''''c''''' ''''d''''", "A is b; it's c 'd'");
    check("* a\n** b\n# c\n; d : e\n:f\n----\ng", "a\nb\nc\nd : e\nf\n\ng");
    check("a\n== B ==\nc\n=== D ===\n== E ==\n* [[Category:F]]\n", "a\n\nB\n\nc");
    check("a\n\n\n\nb\nc", "a\n\nb\nc");
}

#[test]
fn references_to_characters_are_decoded() {
    check(
        "a&nbsp;b &amp;ndash; &ndash; &#65;&#x42; &nosuch; & c&",
        "a b &ndash; – AB &nosuch; & c&",
    );
    check("&#91;&#91;a]]", "[[a");
}

#[test]
fn brackets_whose_words_are_gone_go_too() {
    check(
        "Aristotle ({{lang|grc|x}}; {{IPA|y}}) was ({{c}}, 384 BC; {{d}}) a man",
        "Aristotle was (384 BC) a man",
    );
}

#[test]
fn what_is_not_closed_keeps_its_words() {
    check("a {{b [[c|d ''e", "a b c|d e");
    check("a [[b\nc]] d", "a b\nc d");
    check("[http://a.org b\nc", "b\nc");
    check("<!-- a <ref>b <math>c", "a b c");
    check("{| a\nb", "a\nb");
    check("]] }} |}", "|}");
}

#[test]
fn hostile_text_takes_time_in_proportion() {
    let pieces = [
        "{{",
        "{",
        "}}",
        "[[",
        "]]",
        "[[a|",
        "{{[[",
        "[http://a ",
        "<ref>",
        "<ref",
        "</ref",
        "<!--",
        "<nowiki>",
        "\n{|",
        "\n|}",
        "&",
        "&amp",
        "'",
        "_",
        "__A",
        "(",
        "( ",
        "=",
        "\n=a=",
        "\n*",
        "{{a}}",
        "[[a]]",
        "<a",
        "|",
        "\n==a==\n",
    ];
    for piece in pieces {
        let hostile = piece.repeat(2_000_000 / piece.len());
        let started = Instant::now();
        text(&hostile, &Hidden::default());
        assert!(started.elapsed() < Duration::from_secs(5), "{piece:?} {:?}", started.elapsed());
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_panic_or_grows(
        pieces in prop::collection::vec(prop_oneof![
            Just("{{"), Just("}}"), Just("[["), Just("]]"), Just("|"), Just("\n"), Just("{|"), Just("|}"), Just("<ref>"),
            Just("</ref>"), Just("<!--"), Just("-->"), Just("''"), Just("&lt;"), Just("[http://a"), Just(" é "), Just("="),
            Just("<nowiki>"), Just("</nowiki>"), Just("File:"), Just("\u{2028}"), Just("__TOC__"),
        ], 0..40),
    ) {
        let wikitext = pieces.concat();
        let read = text(&wikitext, &Hidden::default());
        prop_assert!(read.len() <= wikitext.len() + 1);
    }

    #[test]
    fn text_without_marks_is_kept(words in "[a-zé.,]{1,8}( [a-zé.,]{1,8}){0,9}") {
        prop_assert_eq!(text(&words, &Hidden::default()), words);
    }
}

#!/usr/bin/env python3
"""Writes the tables of src/spacy: the classes of characters and the exceptions of spaCy's English tokenizer.

usage: spacy_tables.py ../../src/spacy
Made with spacy 3.8.18 and Python 3.11, whose unicodedata is version 14.0. Every class is asked of spaCy's own compiled
rules or of `re`, one character at a time."""
import pathlib
import re
import shutil
import sys
import unicodedata

import spacy
from spacy.lang import char_classes as classes
from spacy.lang.en import English
from spacy.pipeline import Sentencizer
from spacy.symbols import ORTH

NOTICE = f"""//! Made by `tests/reference/spacy_tables.py` from spaCy {spacy.__version__}, whose licence stands in `LICENSE.spacy` beside this
//! file, and from Unicode {unicodedata.unidata_version}.
"""
CHARS = "".join(chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000)

tokenizer = English().tokenizer
units = sorted(set((classes.UNITS + "|" + classes.CURRENCY).replace("\\", "").split("|")))
unit_ends = {unit[-1] for unit in units}
before_full_stop = r"[0-9{}%²\-\+{}(?:{})]".format(classes.ALPHA_LOWER, classes.PUNCT, classes.CONCAT_QUOTES)


def matches(pattern):
    return re.compile(pattern).match


CLASSES = [
    ("SPACE", "White space, as by Python's `str.isspace`.", str.isspace),
    ("WORD", "Letters, digits and `_`: `\\w` of Python.", matches(r"\w")),
    ("DIGIT", "Decimal digits of every script: `\\d` of Python.", matches(r"\d")),
    ("PUNCTUATION", "General category P*.", lambda c: unicodedata.category(c)[0] == "P"),
    ("ENDS_SENTENCE", "What spaCy's sentencizer takes for the end of a sentence.", set(Sentencizer.default_punct_chars).__contains__),
    ("ALPHA", "spaCy's `ALPHA`.", matches(f"[{classes.ALPHA}]")),
    ("ALPHA_LOWER", "spaCy's `ALPHA_LOWER`: lower case, or of a script without cases.", matches(f"[{classes.ALPHA_LOWER}]")),
    ("ALPHA_UPPER", "spaCy's `ALPHA_UPPER`: upper case, or of a script without cases.", matches(f"[{classes.ALPHA_UPPER}]")),
    ("QUOTE", "spaCy's `CONCAT_QUOTES`: quotes, and brackets that quote.", matches(f"[{classes.CONCAT_QUOTES}]")),
    ("BEFORE_FULL_STOP", "Behind which a full stop at the end is cut off.", matches(before_full_stop)),
    ("ENDS_UNIT", "The last characters of [`UNITS`].", unit_ends.__contains__),
    ("PREFIX", "Cut off in front, alone.", lambda c: tokenizer.find_prefix(c) == 1),
    ("SUFFIX", "Cut off at the end, alone, whatever stands before.", lambda c: tokenizer.find_suffix(c) == 1),
    ("INFIX", "Cut out of the middle, alone, whatever stands beside.", lambda c: len(tokenizer.find_infix(c)) == 1),
]


def literal(text):
    """A Rust string: what has no shape of its own, or joins what stands beside it, is escaped."""
    plain = lambda c: c.isprintable() and unicodedata.category(c)[0] != "M" and unicodedata.bidirectional(c) not in ("R", "AL")
    escaped = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(escaped.get(c) or (c if plain(c) else f"\\u{{{ord(c):x}}}") for c in text) + '"'


def rows(cells):
    """Lines of at most 120 characters."""
    line = "   "
    for cell in cells:
        if len(line) + len(cell) + 2 > 120:
            yield line
            line = "   "
        line += f" {cell},"
    yield line


def class_table():
    bits = dict.fromkeys(CHARS, 0)
    for bit, (_, _, belongs) in enumerate(CLASSES):
        for char in CHARS:
            bits[char] |= bool(belongs(char)) << bit
    runs, last = [], None
    for char in CHARS:
        if bits[char] != last:
            runs.append(f"(0x{ord(char):x}, 0x{bits[char]:x})")
        last = bits[char]
    yield NOTICE
    for bit, (name, meaning, _) in enumerate(CLASSES):
        yield f"/// {meaning}"
        yield f"pub const {name}: u16 = 1 << {bit};"
    yield ""
    yield "/// First code point and classes of every run of characters of the same classes, in order."
    yield "#[rustfmt::skip]"
    yield f"pub static RUNS: [(u32, u16); {len(runs)}] = ["
    yield from rows(runs)
    yield "];"
    yield ""
    yield "/// Units of measure and of money, which are cut off behind a digit, in order."
    yield "#[rustfmt::skip]"
    yield f"pub static UNITS: [&str; {len(units)}] = ["
    yield from rows(map(literal, sorted(units, key=str.encode)))
    yield "];"


def exception_table():
    cells = []
    for text, tokens in sorted(tokenizer.rules.items(), key=lambda rule: rule[0].encode()):
        ends, end = [], 0
        for token in tokens[:-1]:
            end += len(token[ORTH].encode())
            ends.append(str(end))
        assert "".join(token[ORTH] for token in tokens) == text
        cells.append(f"({literal(text)}, &[{', '.join(ends)}])")
    yield NOTICE
    yield "/// Texts that are cut in their own way, in order, with the places in bytes where they are."
    yield "#[rustfmt::skip]"
    yield f"pub static EXCEPTIONS: [(&str, &[u8]); {len(cells)}] = ["
    yield from rows(cells)
    yield "];"


folder = pathlib.Path(sys.argv[1])
(folder / "class_table.rs").write_text("\n".join(class_table()) + "\n")
(folder / "exception_table.rs").write_text("\n".join(exception_table()) + "\n")
licence = next(pathlib.Path(spacy.__file__).parent.parent.glob("spacy-*.dist-info/**/LICENSE"))
shutil.copyfile(licence, folder / "LICENSE.spacy")

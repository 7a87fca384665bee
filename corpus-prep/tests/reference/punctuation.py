#!/usr/bin/env python3
"""Prints src/signal/punctuation_table.rs: the marks that datatrove's filters go by, and the letters of `str.isalpha`.

usage: punctuation.py > ../../src/signal/punctuation_table.rs
Made with datatrove 0.10.0 under Python 3.11, whose unicodedata is version 14.0."""
import unicodedata

import spacy  # noqa: F401, which datatrove needs to have been imported
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION


def ranges(points):
    runs = []
    for point in points:
        if runs and runs[-1][1] == point - 1:
            runs[-1][1] = point
        else:
            runs.append([point, point])
    return runs


def table(name, doc, points):
    runs = ranges(points)
    print()
    print(f"/// First and last of every run of {doc}, in order.")
    print("#[rustfmt::skip]")
    print(f"pub const {name}: [(char, char); {len(runs)}] = [")
    for first, last in runs:
        print(f"    ('\\u{{{first:x}}}', '\\u{{{last:x}}}'),")
    print("];")


print("//! Made by `tests/reference/punctuation.py` from datatrove 0.10.0 (the facts of its lists, which it has under the Apache")
print(f"//! License 2.0) and Unicode {unicodedata.unidata_version}.")
table("PUNCTUATION", "marks and controls that are no content, those that end sentences among them", sorted(map(ord, PUNCTUATION_SET)))
table("TERMINAL", "marks that end sentences", sorted(map(ord, TERMINAL_PUNCTUATION)))
letters = (point for point in range(0x110000) if chr(point).isalpha())
table("LETTERS", "letters (general category L*)", letters)

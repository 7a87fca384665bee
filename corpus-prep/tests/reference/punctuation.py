#!/usr/bin/env python3
"""Prints src/signal/punctuation_table.rs: the code points above ASCII whose general category is punctuation (P*).

usage: punctuation.py > ../../src/signal/punctuation_table.rs
Made with Python 3.11, whose unicodedata is version 14.0."""
import unicodedata

ranges = []
for point in range(0x80, 0x110000):
    if unicodedata.category(chr(point)).startswith("P"):
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
print(f"//! Made by `tests/reference/punctuation.py` from Unicode {unicodedata.unidata_version}.")
print()
print("/// First and last of every run of code points above ASCII whose general category is punctuation, in order.")
print("#[rustfmt::skip]")
print(f"pub const RANGES: [(char, char); {len(ranges)}] = [")
for first, last in ranges:
    print(f"    ('\\u{{{first:x}}}', '\\u{{{last:x}}}'),")
print("];")

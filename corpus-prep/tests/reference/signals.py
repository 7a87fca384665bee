#!/usr/bin/env python3
"""Writes signals.json: texts with the signals of corpus-prep's README, computed a second time in plain Python.

usage: signals.py > signals.json
Needs the package uniseg for the word boundaries of Unicode Standard Annex #29 and datatrove for its
list of punctuation (made with uniseg 0.10.1, datatrove 0.10.0, Python 3.11)."""
import collections
import json
import re

import spacy  # noqa: F401, which datatrove needs to have been imported
from datatrove.utils.text import PUNCTUATION_SET
from uniseg.wordbreak import words

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}


def is_punctuation(c):
    return c in PUNCTUATION_SET


def ratio(part, whole):
    return part / whole if whole else 0.0


def duplicates(pieces):
    seen, count, chars = set(), 0, 0
    for piece in pieces:
        if piece in seen:
            count, chars = count + 1, chars + len(piece)
        seen.add(piece)
    return count, chars


def top_ngram(tokens, n):
    ngrams = [" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    if not ngrams:
        return 0
    # Counter keeps the order of first occurrence, and most_common that order among equals.
    ngram, count = collections.Counter(ngrams).most_common(1)[0]
    return len(ngram) * count


def dup_ngrams(tokens, n):
    seen, at, chars = set(), 0, 0
    while at + n <= len(tokens):
        ngram = "".join(tokens[at : at + n])
        if ngram in seen:
            chars, at = chars + len(ngram), at + n
        else:
            seen.add(ngram)
            at += 1
    return chars


def tokens_of(text):
    """Segments of the annex without white space; a run of one and the same mark is one."""
    tokens, last = [], None
    for segment in words(text):
        if len(segment) == 1 and is_punctuation(segment) and segment.strip() and segment == last:
            tokens[-1] += segment
            continue
        last = segment
        if segment.strip():
            tokens.append(segment.strip())
    return tokens


def signals(text):
    tokens = tokens_of(text)
    content = [token for token in tokens if not all(map(is_punctuation, token))]
    lines, chars = text.splitlines(), len(text)
    paragraphs, pieces = re.split(r"\n{2,}", text.strip()), re.split(r"\n+", text)
    para, line = duplicates(paragraphs), duplicates(pieces)
    values = [
        chars,
        len(tokens),
        len(content),
        ratio(sum(map(len, content)), len(content)),
        ratio(text.count("#"), len(tokens)),
        ratio(text.count("...") + text.count("\u2026"), len(tokens)),
        ratio(sum(line.lstrip().startswith(("\u2022", "-")) for line in lines), len(lines)),
        ratio(sum(line.rstrip().endswith(("...", "\u2026")) for line in lines), len(lines)),
        ratio(sum(any(map(str.isalpha, token)) for token in tokens), len(tokens)),
        len(STOP_WORDS & set(tokens)),
        ratio(para[0], len(paragraphs)),
        ratio(para[1], chars),
        ratio(line[0], len(pieces)),
        ratio(line[1], chars),
    ]
    values += [ratio(top_ngram(tokens, n), chars) for n in (2, 3, 4)]
    return values + [ratio(dup_ngrams(tokens, n), chars) for n in range(5, 11)]


TEXTS = [
    "",
    "\n\n \t\r\n",
    "One line, that's all.",
    "The cat and the dog, the cat and the dog, the cat and the dog, the cat and the dog.",
    "# Title\n\n- first...\n- second\u2026\n\u2022 third\n\n- first...\n- second\u2026\n",
    "Same line\nSame line\n\nSame paragraph\n\n\nSame paragraph\n",
    "A naïve café\u2014\u00abd\u00e9j\u00e0 vu\u00bb\u2014costs 3.50 \u20ac... or 10\u202f000?\r\nYes!\r\n",
    "\u4eba\u4eba\u751f\u800c\u81ea\u7531\uff0c\u5728\u5c0a\u4e25\u548c\u6743\u5229\u4e0a\u4e00\u5f8b\u5e73\u7b49\u3002 \uff11\uff12",
    "\u0939\u0930 \u092e\u0928\u0941\u0937\u094d\u092f \u0938\u094d\u0935\u0924\u0902\u0924\u094d\u0930 \u0939\u0948\u0964",
    "fn main() {\n    println!(\"{}\", x__y[0]); // #1 ## ...\n}\n" * 4,
    "> quoted\n>> quoted twice\n-- \nJohn\x0bDoe\x0cpage\x1cfile\x85next\u2028line\u2029end",
    "ab c d e f g h i j k l a bc d e f g h i j k l " * 3,
    "\u2018Quote\u2019 \u2022 \u00b7 e\u0301te\u0301 \U0001f469\u200d\U0001f4bb \ufeff can\u2019t",
    "x " * 40,
]
rows = [{"text": text, "values": signals(text)} for text in TEXTS]
print(json.dumps(rows, indent=0))

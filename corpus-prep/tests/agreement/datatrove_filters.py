#!/usr/bin/env python3
"""Compares decisions and signals of corpus-prep with those of datatrove 0.10, document by document.

usage: datatrove_filters.py SEEDBED [--words uax29] [--limit N] FILE...

Runs `SEEDBED corpus-prep` with the filters of FineWeb over the files, then the four filters of datatrove over the texts that it
extracted, and prints how often they agree, every kind of difference with a document to look at, and the largest difference of
every signal. --limit takes the first N records of each part. Needs pyarrow and datatrove 0.10.0 with what its English tokenizer
needs (made with spacy 3.8.18, Python 3.11)."""
import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow.parquet as parquet
import spacy  # noqa: F401, which datatrove needs to have been imported
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters import gopher_repetition_filter as repetition
from datatrove.pipeline.filters.gopher_quality_filter import STOP_WORDS
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_words

FILTERS = [
    GopherRepetitionFilter(),
    GopherQualityFilter(),
    C4QualityFilter(filter_no_terminal_punct=False),
    FineWebQualityFilter(),
]
NAMES = {f"duplicated_{n}_n_grams": f"dup_{n}_gram" for n in range(5, 11)}
NAMES |= {"gopher_below_avg_threshold": "below_avg", "gopher_above_avg_threshold": "above_avg"}
NAMES |= {"gopher_below_alpha_threshold": "below_alpha"}


def decision(text):
    """The first reason, as a rule is called here; "kept" without one. Beside it the text after the filters."""
    document = Document(text=text, id="")
    for each in FILTERS:
        try:
            result = each.filter(document)
        except ZeroDivisionError:
            return "divides by zero", document.text
        if result is not True:
            return NAMES.get(result[1], result[1].removeprefix("gopher_")), document.text
    return "kept", document.text


def ratio(part, whole):
    return part / whole if whole else 0.0


def signals(text):
    words = split_into_words(text)
    content = [word for word in words if any(c not in PUNCTUATION_SET for c in word)]
    lines = text.splitlines()
    values = {
        "num_chars": len(text),
        "num_words": len(words),
        "num_content_words": len(content),
        "mean_word_chars": float(np.mean([len(word) for word in content])) if content else 0.0,
        "hash_ratio": ratio(text.count("#"), len(words)),
        "ellipsis_ratio": ratio(text.count("...") + text.count("…"), len(words)),
        "bullet_line_frac": ratio(sum(line.lstrip().startswith(("•", "-")) for line in lines), len(lines)),
        "ellipsis_line_frac": ratio(sum(line.rstrip().endswith(("...", "…")) for line in lines), len(lines)),
        "alpha_word_frac": ratio(sum(any(c.isalpha() for c in word) for word in words), len(words)),
        "num_stop_words": len(set(STOP_WORDS) & set(words)),
    }
    for name, pieces in (
        ("para", FILTERS[0].paragraph_exp.split(text.strip())),
        ("line", FILTERS[0]._line_splitter.split(text)),
    ):
        count, chars = repetition.find_duplicates(pieces)
        values[f"dup_{name}_frac"] = ratio(count, len(pieces))
        values[f"dup_{name}_char_frac"] = ratio(chars, len(text))
    for n in (2, 3, 4):
        ngrams = repetition.get_n_grams(words, n)
        values[f"top_{n}_gram_frac"] = ratio(repetition.find_top_duplicate(ngrams) if ngrams else 0, len(text))
    for n in range(5, 11):
        values[f"dup_{n}_gram_frac"] = ratio(repetition.find_all_duplicate(words, n), len(text))
    return values


def edited_signals(text):
    lines = [line for line in text.split("\n") if line.strip()]
    words = split_into_words(text)
    return {
        "edited_num_chars": len(text),
        "edited_num_words": len(words),
        "num_lines": len(lines),
        "terminal_line_frac": ratio(sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in lines), len(lines)),
        "short_line_frac": ratio(sum(len(line) <= 30 for line in lines), len(lines)),
        "repeated_line_char_frac": ratio(repetition.find_duplicates(lines)[1], len(text.replace("\n", ""))),
        "line_feed_ratio": ratio(text.count("\n"), len(words)),
    }


def run(program, words, files, out):
    inputs = json.dumps([str(pathlib.Path(file).resolve()) for file in files])
    command = [program, "corpus-prep", f"inputs={inputs}", 'filters="fineweb"', f'words="{words}"']
    command += ['unreadable="count"', "--out", str(out), "--quiet"]
    subprocess.run(command, check=True)
    tables = {}
    for kind in ("extracted", "signals", "decisions", "documents"):
        tables[kind] = {
            path.name: parquet.read_table(path).to_pylist() for path in sorted(out.rglob(f"{kind}/*.parquet"))
        }
    return tables


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("program")
    arguments.add_argument("files", nargs="+")
    arguments.add_argument("--words", default="datatrove-0.10")
    arguments.add_argument("--limit", type=int, default=None)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as out:
        tables = run(given.program, given.words, given.files, pathlib.Path(out))
    documents = {(row["unit"], row["record"]): row for part in tables["documents"].values() for row in part}
    count, same, either, same_reason, same_text, texts = 0, 0, 0, 0, 0, 0
    differences, examples, worst = collections.Counter(), {}, collections.defaultdict(float)
    unequal = collections.Counter()
    for name, part in tables["extracted"].items():
        rows = zip(part, tables["decisions"][name], tables["signals"][name], strict=True)
        for row, ours, measured in list(rows)[: given.limit]:
            if row["outcome"] != "read" or not row["text"]:
                continue
            text = row["text"]
            theirs, left = decision(text)
            found = ours["rule"] if ours["outcome"] == "dropped" else "kept"
            count += 1
            same += (theirs == "kept") == (found == "kept")
            if theirs != "kept" or found != "kept":
                either += 1
                same_reason += theirs == found
            if theirs != found:
                differences[(theirs, found)] += 1
                examples.setdefault((theirs, found), (row["source_id"], text[:200]))
            document = documents.get((row["unit"], row["record"]))
            expected = signals(text)
            if theirs == "kept" and document is not None:
                texts += 1
                same_text += document["text"] == left
                expected |= edited_signals(left)
            for signal, value in expected.items():
                difference = abs(measured[signal] - value)
                unequal[signal] += difference > 1e-12
                worst[signal] = max(worst[signal], difference)
    print(f"documents: {count}")
    print(f"same decision: {same} ({same / count:.4%})")
    print(f"dropped by either: {either}, by both for the same first reason: {same_reason} ({same_reason / either:.4%})")
    print(f"kept by both: {texts}, with the same text after edits: {same_text}")
    for (theirs, found), number in differences.most_common():
        print(f"datatrove {theirs}, here {found}: {number}, such as {examples[theirs, found]}")
    for signal in worst:
        print(f"{signal}: differs in {unequal[signal]} documents, at most by {worst[signal]:.3g}")
    return 0 if same >= 0.995 * count and same_reason >= 0.98 * either else 1


if __name__ == "__main__":
    sys.exit(main())

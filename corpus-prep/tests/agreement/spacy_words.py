#!/usr/bin/env python3
"""Writes JSON lines of texts with the words and the sentences that datatrove finds, and says how fast that is on one core.

usage: spacy_words.py FOLDER > reference.jsonl
then:  SEEDBED_SPACY=$PWD/reference.jsonl cargo test --release --workspace --lib -- --ignored --nocapture real_texts

FOLDER has files `*.jsonl` or `*.jsonl.gz`, a JSON object with a field `text` or `body` a line.
Needs datatrove 0.10.0, spacy 3.8.18 and tldextract."""
import gzip
import json
import pathlib
import sys
import time

import spacy  # Before datatrove, which looks for what this imports.
from datatrove.utils.word_tokenizers import load_word_tokenizer


def texts(folder):
    for path in sorted(folder.glob("*.jsonl*")):
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield row.get("text") or row.get("body") or ""


tokenizer = load_word_tokenizer("en")
size = seconds = 0
for text in texts(pathlib.Path(sys.argv[1])):
    began = time.process_time()
    words = tokenizer.word_tokenize(text)
    seconds += time.process_time() - began
    size += len(text.encode())
    print(json.dumps({"text": text, "words": words, "sentences": tokenizer.sent_tokenize(text)}))
print(f"{size / 1e6:.1f} MB, words at {size / 1e6 / seconds:.2f} MB/s", file=sys.stderr)

#!/usr/bin/env python3
"""Writes what a model of fastText predicts for each line of a file, as JSON lines of `[text, [[label, probability], ...]]`.

usage: fasttext_predictions.py MODEL LINES > predictions.jsonl
Needs fasttext; then `SEEDBED_FASTTEXT=MODEL SEEDBED_FASTTEXT_PREDICTIONS=predictions.jsonl cargo test --release --workspace
--lib -- --ignored --nocapture predictions_of_a_real_model_agree`."""
import json
import sys

import fasttext

model = fasttext.load_model(sys.argv[1])
for line in open(sys.argv[2], encoding="utf-8"):
    text = line.rstrip("\n")
    found = model.f.predict(text + "\n", 5, 0.0, "strict")
    print(json.dumps([text, [[label, probability] for probability, label in found]], ensure_ascii=False))

#!/usr/bin/env python3
"""Trains tiny models into fasttext/ and writes fasttext.json: what the reference predicts with each.

usage: fasttext_models.py     (in this folder)
Needs fasttext; made with fasttext-wheel 0.9.2, numpy 1.26.4, Python 3.11."""
import json
import pathlib
import random
import struct
import tempfile

import fasttext

HERE = pathlib.Path(__file__).parent
OUT = HERE / "fasttext"
OUT.mkdir(exist_ok=True)
WORDS = {
    "sea": "wave tide salt harbour gull réef sail anchor".split(),
    "bread": "flour yeast oven crust dough кухня salt butter".split(),
    "night": "moon star 夜空 dark owl lamp quiet tide".split(),
    "code": "loop branch stack naïve heap value type wave".split(),
    "frost": "ice snow lamp white still quiet breath star".split(),
}


def lines(labels, seed, num=120):
    rng = random.Random(seed)
    names = list(WORDS)
    for at in range(num):
        topic = rng.choice(names) if at % 3 else names[0]
        # With more labels than topics, a label says its topic and a number.
        number = at * labels // num if labels > len(names) else ""
        words = rng.choices(WORDS[topic], k=rng.randrange(2, 9)) + rng.choices("the and of x a".split(), k=2)
        rng.shuffle(words)
        yield f"__label__{topic}{number} " + " ".join(words)


def train(labels=5, seed=1, num=120, **options):
    options = {"dim": 4, "epoch": 20, "lr": 0.5, "thread": 1, "minCount": 1, "bucket": 0, "verbose": 0, **options}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines(labels, seed, num)) + "\n")
        file.flush()
        return fasttext.train_supervised(file.name, seed=seed, **options)


def quantized(quantize, **options):
    model = train(**options)
    model.quantize(**quantize)
    return model


MODELS = {
    "softmax.bin": lambda: train(loss="softmax"),
    "ngrams.bin": lambda: train(loss="softmax", minn=1, maxn=3, wordNgrams=3, bucket=70, seed=2),
    "hs.bin": lambda: train(loss="hs", labels=23, wordNgrams=2, bucket=40, seed=3),
    "ova.bin": lambda: train(loss="ova", wordNgrams=2, bucket=40, lr=4.0, seed=4),
    "ns.bin": lambda: train(loss="ns", minn=2, maxn=4, bucket=50, seed=5),
    "quantized.ftz": lambda: quantized({"qnorm": False}, minn=2, maxn=4, wordNgrams=2, bucket=260, dim=5, seed=6),
    "pruned.ftz": lambda: quantized(
        {"qnorm": True, "cutoff": 260, "retrain": False}, minn=2, maxn=3, wordNgrams=2, bucket=900, dim=4, seed=7),
    "quantized-output.ftz": lambda: quantized(
        {"qnorm": True, "qout": True}, labels=260, num=260, bucket=240, wordNgrams=2, loss="softmax", seed=8),
}
TEXTS = [
    "", " ", "\t", "wave", "wave tide salt", "flour  yeast\toven\rcrust", "the moon and the owl 夜空 star", "unseen words only",
    "кухня flour", "кухней réefs", "\x00wave\x00\x0bsail\x0c", "wave </s> flour yeast dough", "</s>", "__label__sea", "__label__nowhere",
    "flour __label__sea yeast", "__label__sea0 x", "x __labelling y", "nai\u0308ve naïve heap", "a", "x", "é", "夜", "😀 star",
    "loop branch stack heap value type loop branch stack heap value type", "ice snow lamp white still quiet breath star x a of",
    "s" * 300, "wave\u00a0tide", "<wave> <", "still quiet lamp, dark: moon!", "WAVE Tide",
]
CALLS = [(1, 0.0), (25, 0.0), (3, 0.2), (2, 1.0)]

cases = []
for name, make in MODELS.items():
    make().save_model(str(OUT / name))
# Version 11 is laid out as 12, and does without n-grams of characters whatever it says of them.
old = bytearray((OUT / "ngrams.bin").read_bytes())
old[4:8] = struct.pack("<i", 11)
(OUT / "version-11.bin").write_bytes(old)
for path in sorted(OUT.iterdir()):
    model = fasttext.load_model(str(path))
    for text in TEXTS:
        for k, threshold in CALLS:
            # As the package's own `predict` does, but without numpy, whose version 2 it stumbles over.
            found = model.f.predict(text + "\n", k, threshold, "strict")
            cases.append([path.name, text, k, threshold, [[label, probability] for probability, label in found]])
(HERE / "fasttext.json").write_text("[\n" + ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases) + "\n]\n")

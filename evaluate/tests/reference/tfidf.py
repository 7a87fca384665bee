"""Writes tfidf.json: probabilities of scikit-learn for made-up texts, with two labels and with three.

Run: python tfidf.py (scikit-learn 1.x)
"""

import json
import pathlib
import random

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

WORDS = {
    "a": ["Fever", "cough", "don't", "naïve", "x", "42", "snake_case"],
    "b": ["invoice", "payment", "ΟΔΟΣ", "e\u0301te\u0301", "½½", "of", "the"],
    "c": ["日本語", "goal", "match", "team-work", "of", "the", "we're"],
}


def rows(draw, labels, count):
    out = []
    for at in range(count):
        label = labels[at % len(labels)]
        pool = WORDS[label] * 2 + WORDS[draw.choice(labels)]
        out.append([" ".join(draw.choice(pool) for _ in range(draw.randint(1, 9))), label])
    return out


def case(draw, labels):
    train, test = rows(draw, labels, 40), rows(draw, labels, 20)
    test.append(["unknown words only here", labels[0]])
    model = LogisticRegression(tol=1e-10, max_iter=100_000)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    model.fit(vectorizer.fit_transform([text for text, _ in train]), [label for _, label in train])
    probabilities = model.predict_proba(vectorizer.transform([text for text, _ in test])).tolist()
    return {"labels": labels, "train": train, "test": test, "probabilities": probabilities}


draw = random.Random(7)
cases = [case(draw, ["a", "b"]), case(draw, ["a", "b", "c"])]
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")

#!/usr/bin/env python3
"""Writes splitlines.json: what Python's str.splitlines and str.strip make of texts with every end of line and space.

usage: splitlines.py > splitlines.json"""
import json

ENDS = ["\n", "\r", "\r\n", "\n\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u2028", "\u2029", "\u200b",
        "\t", " ", "\xa0", "\u1680", "\u2003", "\u202f", "\u205f", "\u3000", "\ufeff"]
texts = [""] + [form.format(end) for end in ENDS for form in ("a{0}b", "{0}a{0}{0}b{0}")]
rows = [{"text": t, "lines": t.splitlines(), "stripped": t.strip()} for t in texts]
print(json.dumps(rows, indent=0))

"""Byte-level BPE as llama.cpp does it with what a GGUF file holds, and the fixture `gguf_vocabulary.json` of `tests/gguf.rs`.

Run from this folder: `python gguf_vocabulary.py`. Made with gguf 0.19.0 and regex 2026.11.19.

Texts are cut by the patterns of `llama_vocab` one after another, each on what the one before left, and every piece is merged
by rank, pair after pair. The tokens are those of `vocabulary/tokenizer.json`, and a few more: merges of digits and white
space, on which the patterns differ; a token that no merges lead to; one that is user-defined; one that is unused.
"""

import json
from pathlib import Path

import regex

HERE = Path(__file__).parent
GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
LLAMA_3 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = {"gpt-2": [GPT_2], "smollm": [r"\p{N}", GPT_2], "llama-bpe": [LLAMA_3]}
CONTROL, USER_DEFINED, UNUSED = 3, 4, 5
MORE_MERGES = ["1 9", "19 8", "198 7", "4 2", "Ġ 4", "Ġ 42", ". Ċ", "Ċ Ċ", "Ġ Ġ", "ĠĠ ĠĠ", "' S"]
TEXTS = [
    "",
    " ",
    "In 1987, 42 of 198 and 1984219 were 42.",
    "It's SHE'S they'll I'd 'tis ''s We'RE",
    "one.\n\ntwo.\n three \n  four    five\r\n\tsix  \n",
    "the quiet patients patients, patients\n",
    "naïve café — 日本語 😀 Привет ½ ٣٤ Ⅷ\u00a0x\u2003y",
    "<|endoftext|> and <unit> or<unit><unit>42 [PAD]",
    "f(a[i]) != \"q\"; // x=1_000 #include <x.h>",
]


def stand_ins():
    """GPT-2's `bytes_to_unicode`."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + at) for at, byte in enumerate(others)}


class Vocabulary:
    def __init__(self, pre, tokens, kinds, merges):
        self.patterns = [regex.compile(pattern) for pattern in PATTERNS[pre]]
        self.whole = pre == "llama-bpe"
        self.ids = {token: id for id, (token, kind) in enumerate(zip(tokens, kinds)) if kind != UNUSED}
        self.found = [token for token, kind in zip(tokens, kinds) if kind == USER_DEFINED]
        self.special = [token for token, kind in zip(tokens, kinds) if kind == CONTROL]
        self.ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}
        self.stand_ins = stand_ins()

    @staticmethod
    def of_file(path):
        from gguf import GGUFReader

        field = lambda key: reader.fields[f"tokenizer.ggml.{key}"].contents()
        reader = GGUFReader(path)
        return Vocabulary(field("pre"), field("tokens"), field("token_type"), field("merges"))

    def encode(self, text, with_special=False):
        whole = self.found + (self.special if with_special else [])
        pattern = "|".join(regex.escape(token) for token in sorted(whole, key=len, reverse=True))
        ids = []
        for at, stretch in enumerate(regex.split(f"({pattern})", text) if whole else [text]):
            ids += [self.ids[stretch]] if at % 2 else self.encode_plain(stretch)
        return ids

    def encode_plain(self, text):
        pieces = [text]
        for pattern in self.patterns:
            pieces = [part for piece in pieces for part in cut(pattern, piece)]
        return [id for piece in pieces for id in self.merge("".join(self.stand_ins[byte] for byte in piece.encode()))]

    def merge(self, word):
        if self.whole and word in self.ids:
            return [self.ids[word]]
        symbols = list(word)
        while True:
            ranked = [(self.ranks[pair], at) for at, pair in enumerate(zip(symbols, symbols[1:])) if pair in self.ranks]
            if not ranked:
                return [self.ids[symbol] for symbol in symbols]
            _, at = min(ranked)
            symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]


def cut(pattern, text):
    """The matches and what stands between them."""
    last = 0
    for match in pattern.finditer(text):
        yield from filter(None, [text[last : match.start()], match.group()])
        last = match.end()
    if text[last:]:
        yield text[last:]


def main():
    model = json.loads((HERE / "vocabulary/tokenizer.json").read_text())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [" ".join(pair) for pair in model["merges"]]
    more = [merge for merge in MORE_MERGES if merge.replace(" ", "") not in tokens]
    tokens += [merge.replace(" ", "") for merge in more] + ["Ġpatients", "<unit>", "[PAD]"]
    kinds = [CONTROL] + [1] * (len(tokens) - 3) + [USER_DEFINED, UNUSED]
    merges += more
    cases = []
    for pre in PATTERNS:
        vocabulary = Vocabulary(pre, tokens, kinds, merges)
        cases += [{"pre": pre, "text": text, "ids": vocabulary.encode(text)} for text in TEXTS]
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.chat_template": "{{ messages[0]['content'] }}",
    }
    fixture = {"metadata": metadata, "cases": cases}
    (HERE / "gguf_vocabulary.json").write_text(json.dumps(fixture, ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    main()

"""Encodes texts with AutoTokenizer of transformers, for a vocabulary trained by us.

    cargo run --release -p codec --example train_vocabulary -- 400 vocabulary sample.txt
    python transformers_ids.py > transformers_ids.json

in this folder. Made with transformers 5.15.1 and tokenizers 0.22.2.
"""

import json
import pathlib

from transformers import AutoTokenizer

here = pathlib.Path(__file__).parent
tokenizer = AutoTokenizer.from_pretrained(here / "vocabulary")
assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 0, 0)
assert len(tokenizer) == 400

texts = [
    "",
    " ",
    "The patient was seen in the clinic.",
    "It's 2024, they've said; I'LL see: don't we'd 'tis ''s",
    "a  b   c\n\n\td \u00a0 e\r\n",
    "naïve café e\u0301 ½ Ⅷ ٣٤ 日本語 한국어 नमस्ते עברית 😀 👩\u200d👩\u200d👧",
    "aaaaaaaaaaaaaaaaa -------- 00000000000000 ........",
    "fn main() { println!(\"{:?}\", values.iter().map(|v| v * 2)); }",
    "control \u0000\u0001\u007f\ufeff\U0010ffff end",
    *(here / "sample.txt").read_text(encoding="utf-8").split("\n\n"),
]
cases = []
for text in texts:
    ids = tokenizer.encode(text, add_special_tokens=True)
    assert tokenizer.decode(ids) == text, text
    cases.append({"text": text, "ids": ids})
print("[")
print(",\n".join(json.dumps(case, ensure_ascii=False) for case in cases))
print("]")

"""Makes the fixture of `src/tests/answers.rs`: a tiny random BERT, and what the fill-mask pipeline of transformers says.

Run from this folder: `python fill.py`. Made with transformers 5.24.0 and torch 2.15.0 on CPU.

`fill/` holds a model directory with a `vocab.txt`, and `expected.json`: texts, and for each of their masks the five best
tokens with id, probability and text.
"""

import json
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast, pipeline

HERE = Path(__file__).parent / "fill"
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the a cat sat on mat sea ##side ##s . , é zoe".split()
TEXTS = ["The [MASK] sat.", "[MASK]", "the [MASK] sat on [MASK] mat, Zoë [MASK]", "sea[MASK]"]

torch.manual_seed(3)
HERE.mkdir(exist_ok=True)
(HERE / "vocab.txt").write_text("\n".join(WORDS) + "\n")
tokenizer = BertTokenizerFast(vocab=str(HERE / "vocab.txt"))
config = BertConfig(
    vocab_size=len(WORDS),
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=24,
    initializer_range=0.5,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
model = BertForMaskedLM(config).eval()
model.save_pretrained(HERE)
(HERE / "generation_config.json").unlink(missing_ok=True)
fill = pipeline("fill-mask", model=model, tokenizer=tokenizer, top_k=5)
cases = []
for text in TEXTS:
    masks = fill(text)
    masks = masks if isinstance(masks[0], list) else [masks]
    guesses = [[{key: guess[key] for key in ("token", "score", "token_str")} for guess in mask] for mask in masks]
    cases.append({"text": text, "masks": guesses})
(HERE / "expected.json").write_text(json.dumps(cases, ensure_ascii=False) + "\n")

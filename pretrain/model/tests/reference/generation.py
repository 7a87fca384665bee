"""Makes the fixtures of `tests/generation.rs`: what the warpers of transformers keep of logits, and greedy continuations.

Run from this folder after `llama.py` and `gpt2.py`: `python generation.py`. Made with transformers 5.24.0 and torch 2.15.0 on CPU.

`sampling.json` holds `logits` and, for each choice of temperature, top-k and top-p, the probability of every token behind
the warpers that `generate` applies, in its order. `greedy.json` holds prompts for the models in `tied`, `untied`, `gpt2-tied` and `gpt2-untied`, and what
`generate` puts behind them, up to the end of text, to `max_new_tokens`, or to the end of the context.
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM
from transformers.generation.logits_process import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

HERE = Path(__file__).parent


def warped(logits, temperature, top_k, top_p):
    warpers = LogitsProcessorList()
    if temperature != 1.0:
        warpers.append(TemperatureLogitsWarper(temperature))
    if top_k is not None:
        warpers.append(TopKLogitsWarper(top_k=top_k))
    if top_p < 1.0:
        warpers.append(TopPLogitsWarper(top_p=top_p))
    scores = warpers(torch.zeros((1, 1), dtype=torch.long), logits[None])
    return torch.softmax(scores.double(), dim=-1)[0]


def sampling():
    generator = torch.Generator().manual_seed(5)
    rows = [torch.randn(40, generator=generator) * scale for scale in (0.3, 1.0, 4.0)]
    # Ties, where the last of the top k stands. Of ties where top-p ends, the order of `torch.sort` decides, so there are none.
    rows.append(torch.tensor([2.0, 1.0, 3.0, 1.0, 1.0, 0.0, -1.0, 2.0]))
    cases = []
    for row, logits in enumerate(rows):
        for temperature in (0.5, 1.0, 1.7):
            for top_k in (None, 1, 3, 4, 1000):
                for top_p in (0.05, 0.5, 0.9, 1.0) if row < 3 else (1.0,):
                    probabilities = warped(logits, temperature, top_k, top_p)
                    cases.append(
                        {
                            "row": row,
                            "temperature": temperature,
                            "top_k": top_k,
                            "top_p": top_p,
                            "kept": [
                                [id, probability] for id, probability in enumerate(probabilities.tolist()) if probability > 0
                            ],
                        }
                    )
    (HERE / "sampling.json").write_text(json.dumps({"logits": [row.tolist() for row in rows], "cases": cases}) + "\n")


def greedy():
    cases = []
    for name in ("tied", "untied", "gpt2-tied", "gpt2-untied"):
        model = AutoModelForCausalLM.from_pretrained(HERE / name)
        context = model.config.max_position_embeddings
        generator = torch.Generator().manual_seed(6)
        for length, new in ((1, 20), (5, 20), (60, 20), (70, context - 70)):
            prompt = torch.randint(3, model.config.vocab_size, (1, length), generator=generator)
            whole = model.generate(
                prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=new, pad_token_id=0
            )
            cases.append({"model": name, "prompt": prompt[0].tolist(), "max_tokens": new, "text": whole[0, length:].tolist()})
    (HERE / "greedy.json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    sampling()
    greedy()

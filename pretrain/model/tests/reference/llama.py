"""Makes the fixtures of `tests/reference.rs`: tiny random Llamas of transformers, their logits, gradients and training.

Run from this folder: `python llama.py`. Made with transformers 5.15.1 and torch 2.15.0 on CPU, `tokens` with
transformers 5.24.0.

Each folder holds a model directory as transformers saves it (`config.json`, `model.safetensors`) and `expected.safetensors`:
`logits`, every gradient of the mean loss as `gradient.NAME`, and the losses before each of 20 AdamW steps.
`inputs.json` holds the sequences, what is predicted, and the constants of the optimizer.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, LlamaForTokenClassification

HERE = Path(__file__).parent
SHAPE = dict(
    vocab_size=43,
    hidden_size=24,
    intermediate_size=28,
    num_hidden_layers=2,
    num_attention_heads=6,
    num_key_value_heads=3,
    head_dim=6,
    max_position_embeddings=96,
    rms_norm_eps=1e-5,
    rope_theta=500.0,
    initializer_range=0.2,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
    attn_implementation="eager",
)
LENGTHS = [1, 7, 70, 2, 13]
OPTIMIZER = dict(lr=3e-3, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, max_grad_norm=1.0)
STEPS = 20


def sequences(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, SHAPE["vocab_size"], (length + 1,), generator=generator) for length in LENGTHS]


def save(name, model, expected):
    for parameter_name, parameter in model.named_parameters():
        expected[f"gradient.{parameter_name}"] = parameter.grad.clone()
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    return folder


def train(model, loss_of):
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": OPTIMIZER["weight_decay"]},
            {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=OPTIMIZER["lr"],
        betas=(OPTIMIZER["beta1"], OPTIMIZER["beta2"]),
        eps=OPTIMIZER["eps"],
    )
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIMIZER["max_grad_norm"])
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses, dtype=torch.float64)


def randomize_norms(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)


def causal(name, tied, seed):
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE, tie_word_embeddings=tied))
    randomize_norms(model)
    windows = sequences(seed)

    def loss_of(model):
        total = 0.0
        for window in windows:
            logits = model(window[None, :-1]).logits[0]
            total = total + torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum")
        return total / sum(LENGTHS)

    loss = loss_of(model)
    loss.backward()
    with torch.no_grad():
        logits = torch.cat([model(window[None, :-1]).logits[0] for window in windows])
    expected = {"logits": logits}
    folder = save(name, model, expected)
    expected["losses"] = train(model, loss_of)
    save_file(expected, folder / "expected.safetensors")
    (folder / "inputs.json").write_text(
        json.dumps({"windows": [w.tolist() for w in windows], "loss": loss.item(), "optimizer": OPTIMIZER})
    )


def classifier(name, seed):
    torch.manual_seed(seed)
    labels = {0: "low", 1: "high", 2: "none"}
    model = LlamaForSequenceClassification(
        LlamaConfig(**SHAPE, id2label=labels, label2id={label: idx for idx, label in labels.items()})
    )
    randomize_norms(model)
    rows = [window[:-1] for window in sequences(seed)]
    targets = torch.tensor([2, 0, 1, 1, 0])

    def logits_of(model):
        return torch.cat([model(row[None]).logits for row in rows])

    def loss_of(model):
        return torch.nn.functional.cross_entropy(logits_of(model), targets)

    loss = loss_of(model)
    loss.backward()
    with torch.no_grad():
        expected = {"logits": logits_of(model)}
    folder = save(name, model, expected)
    expected["losses"] = train(model, loss_of)
    save_file(expected, folder / "expected.safetensors")
    (folder / "inputs.json").write_text(
        json.dumps(
            {
                "windows": [row.tolist() for row in rows],
                "labels": targets.tolist(),
                "loss": loss.item(),
                "optimizer": OPTIMIZER,
            }
        )
    )


def tokens(name, seed):
    torch.manual_seed(seed)
    labels = {0: "low", 1: "high", 2: "none"}
    model = LlamaForTokenClassification(
        LlamaConfig(**SHAPE, id2label=labels, label2id={label: idx for idx, label in labels.items()})
    )
    randomize_norms(model)
    model.eval()
    rows = [window[:-1] for window in sequences(seed)]
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, len(labels), (sum(LENGTHS),), generator=generator)
    targets = torch.where(torch.rand(targets.shape, generator=generator) < 0.5, targets, -100)

    def logits_of(model):
        return torch.cat([model(row[None]).logits[0] for row in rows])

    def loss_of(model):
        return torch.nn.functional.cross_entropy(logits_of(model), targets)

    loss = loss_of(model)
    loss.backward()
    with torch.no_grad():
        expected = {"logits": logits_of(model)}
    folder = save(name, model, expected)
    expected["losses"] = train(model, loss_of)
    save_file(expected, folder / "expected.safetensors")
    (folder / "inputs.json").write_text(
        json.dumps(
            {
                "windows": [row.tolist() for row in rows],
                "targets": [None if target == -100 else target for target in targets.tolist()],
                "loss": loss.item(),
                "optimizer": OPTIMIZER,
            }
        )
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    causal("untied", tied=False, seed=11)
    causal("tied", tied=True, seed=12)
    classifier("classifier", seed=13)
    tokens("tokens", seed=14)

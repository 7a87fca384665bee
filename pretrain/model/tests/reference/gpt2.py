"""Makes the fixtures `gpt2-*` of `tests/reference.rs`: tiny random GPT-2s of transformers, their logits, gradients and training.

Run from this folder: `python gpt2.py`. Made with transformers 5.24.0 and torch 2.15.0 on CPU.

Each folder holds a model directory as transformers saves it (`config.json`, `model.safetensors`) and `expected.safetensors`:
`logits` (of all tokens, or of the classes), every gradient of the mean loss as `gradient.NAME`, and the losses before each of
20 AdamW steps. Gradients of `Conv1D`, whose matrix is `[in, out]`, are turned to `[out, in]`, as we hold them. `inputs.json`
holds the sequences, what is predicted, and the constants of the optimizer. Dropout is off: `dropout.py` measures it.

`gpt2-sharded` is the model of `gpt2-tied` in several files, as `save_pretrained` cuts it.
"""

import json

import torch
from llama import HERE, LENGTHS, OPTIMIZER, save, sequences, train
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2ForTokenClassification, GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

SHAPE = dict(
    vocab_size=43,
    n_embd=24,
    n_inner=28,
    n_layer=2,
    n_head=4,
    n_positions=96,
    initializer_range=0.2,
    resid_pdrop=0.1,
    embd_pdrop=0.2,
    attn_pdrop=0.3,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
    attn_implementation="eager",
)
LABELS = ["low", "high", "none"]


def config(**changes):
    labels = dict(id2label=dict(enumerate(LABELS)), label2id={label: at for at, label in enumerate(LABELS)})
    return GPT2Config(**{**SHAPE, **labels, **changes})


def randomize_vectors(model):
    """Norms and biases, which transformers makes one and zero."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                is_scale = "ln_" in name and name.endswith("weight")
                parameter.uniform_(0.5, 1.5) if is_scale else parameter.uniform_(-0.3, 0.3)


def fixture(name, model, logits_of, rows, targets, inputs):
    """`targets` are indices of classes, -100 where nothing is predicted."""
    model.eval()
    randomize_vectors(model)

    def logits(model):
        return torch.cat([logits_of(model(row[None])) for row in rows])

    def loss_of(model):
        # A loss close to zero is the difference of numbers that are not.
        return torch.nn.functional.cross_entropy(logits(model).double(), targets)

    loss = loss_of(model)
    loss.backward()
    with torch.no_grad():
        expected = {"logits": logits(model)}
    folder = save(name, model, expected)
    for module_name, module in model.named_modules():
        if isinstance(module, Conv1D):
            gradient = f"gradient.{module_name}.weight"
            expected[gradient] = expected[gradient].T.contiguous()
    if name == "gpt2-tied":
        model.save_pretrained(HERE / "gpt2-sharded", max_shard_size="20KB")
        (HERE / "gpt2-sharded/generation_config.json").unlink()
    expected["losses"] = train(model, loss_of)
    save_file(expected, folder / "expected.safetensors")
    text = json.dumps({**inputs, "loss": loss.item(), "optimizer": OPTIMIZER})
    (folder / "inputs.json").write_text(text)


def causal(name, seed, **changes):
    torch.manual_seed(seed)
    windows = sequences(seed)
    rows, targets = [window[:-1] for window in windows], torch.cat([window[1:] for window in windows])
    inputs = {"windows": [window.tolist() for window in windows]}
    fixture(name, GPT2LMHeadModel(config(**changes)), lambda said: said.logits[0], rows, targets, inputs)


def classifier(name, seed):
    torch.manual_seed(seed)
    rows = [window[:-1] for window in sequences(seed)]
    targets = torch.tensor([2, 0, 1, 1, 0])
    inputs = {"windows": [row.tolist() for row in rows], "targets": targets.tolist()}
    model = GPT2ForSequenceClassification(config(activation_function="gelu"))
    fixture(name, model, lambda said: said.logits, rows, targets, inputs)


def tokens(name, seed):
    torch.manual_seed(seed)
    rows = [window[:-1] for window in sequences(seed)]
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, len(LABELS), (sum(LENGTHS),), generator=generator)
    targets = torch.where(torch.rand(targets.shape, generator=generator) < 0.5, targets, -100)
    inputs = {
        "windows": [row.tolist() for row in rows],
        "targets": [None if target == -100 else target for target in targets.tolist()],
    }
    fixture(name, GPT2ForTokenClassification(config()), lambda said: said.logits[0], rows, targets, inputs)


if __name__ == "__main__":
    torch.set_num_threads(1)
    causal("gpt2-tied", seed=31)
    causal("gpt2-untied", seed=32, n_inner=None, tie_word_embeddings=False)
    classifier("gpt2-classifier", seed=33)
    tokens("gpt2-tokens", seed=34)

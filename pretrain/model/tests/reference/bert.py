"""Makes the fixtures `bert-*` of `tests/reference.rs`: tiny random BERTs of transformers, their logits, gradients and training.

Run from this folder: `python bert.py`. Made with transformers 5.24.0 and torch 2.15.0 on CPU.

Each folder holds a model directory as transformers saves it (`config.json`, `model.safetensors`) and `expected.safetensors`:
`logits` (of all tokens, or of the classes), every gradient of the mean loss as `gradient.NAME`, and the losses before each of
20 AdamW steps. `inputs.json` holds the sequences, their token types, what is predicted, and the constants of the optimizer.
Dropout is off: `dropout.py` measures it.
"""

import json

import torch
from llama import HERE, LENGTHS, OPTIMIZER, save, train
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertForTokenClassification

SHAPE = dict(
    vocab_size=43,
    hidden_size=24,
    intermediate_size=28,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=96,
    type_vocab_size=2,
    initializer_range=0.2,
    pad_token_id=0,
    attn_implementation="eager",
)
LABELS = ["low", "high", "none"]
MASK = 4


def config():
    return BertConfig(**SHAPE, id2label=dict(enumerate(LABELS)), label2id={label: at for at, label in enumerate(LABELS)})


def randomize_vectors(model):
    """Norms and biases, which transformers makes one and zero."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.uniform_(0.5, 1.5) if "LayerNorm.weight" in name else parameter.uniform_(-0.3, 0.3)


def sequences(seed):
    """Ids and token types: the second half of each sequence is of type 1."""
    generator = torch.Generator().manual_seed(seed)
    ids = [torch.randint(5, SHAPE["vocab_size"], (length,), generator=generator) for length in LENGTHS]
    return ids, [torch.arange(length) >= (length + 1) // 2 for length in LENGTHS]


def fixture(name, model, inputs, logits_of, targets):
    """`targets` are indices of classes, -100 where nothing is predicted."""
    ids, types = inputs
    model.eval()
    randomize_vectors(model)

    def logits(model):
        return torch.cat([logits_of(model(row[None], token_type_ids=kind[None].long())) for row, kind in zip(ids, types)])

    def loss_of(model):
        return torch.nn.functional.cross_entropy(logits(model), targets)

    loss = loss_of(model)
    loss.backward()
    with torch.no_grad():
        expected = {"logits": logits(model)}
    folder = save(name, model, expected)
    expected["losses"] = train(model, loss_of)
    save_file(expected, folder / "expected.safetensors")
    text = json.dumps(
        {
            "windows": [row.tolist() for row in ids],
            "types": [kind.long().tolist() for kind in types],
            "targets": [None if target == -100 else target for target in targets.tolist()],
            "loss": loss.item(),
            "optimizer": OPTIMIZER,
        }
    )
    (folder / "inputs.json").write_text(text)


def some(targets, seed):
    """Every third target or so."""
    generator = torch.Generator().manual_seed(seed)
    return torch.where(torch.rand(targets.shape, generator=generator) < 0.35, targets, -100)


def masked(name, seed):
    torch.manual_seed(seed)
    ids, types = sequences(seed)
    targets = some(torch.cat(ids), seed)
    ids = [torch.where(target == -100, row, MASK) for row, target in zip(ids, targets.split(LENGTHS))]
    fixture(name, BertForMaskedLM(config()), (ids, types), lambda said: said.logits[0], targets)


def classifier(name, seed):
    torch.manual_seed(seed)
    targets = torch.tensor([2, 0, 1, 1, 0])
    fixture(name, BertForSequenceClassification(config()), sequences(seed), lambda said: said.logits, targets)


def tokens(name, seed):
    torch.manual_seed(seed)
    targets = some(torch.randint(0, len(LABELS), (sum(LENGTHS),)), seed)
    fixture(name, BertForTokenClassification(config()), sequences(seed), lambda said: said.logits[0], targets)


if __name__ == "__main__":
    torch.set_num_threads(1)
    masked("bert-masked", seed=21)
    classifier("bert-classifier", seed=22)
    tokens("bert-tokens", seed=23)

"""Makes `dropout.json` of `tests/reference.rs`: what models of transformers learn in training mode, where they drop numbers.

Run from this folder, after `llama.py`, `bert.py` and `gpt2.py`: `python dropout.py`. Made with transformers 5.24.0 and torch
2.15.0 on CPU.

torch draws masks of its own. Here `torch.nn.functional.dropout`, which all of transformers' layers call, is replaced by our
masks: Philox (Salmon et al. 2011) keyed by seed, step, site and head, and counting sequences, positions and channels. Which
site a call is of follows from the order of the calls, so a site that is missed, or is at another place, changes every number.
"""

import json
import math

import numpy
import torch
import transformers
from llama import HERE

SEED = [1901148775, 1595282026]
STEP = 7
RATE = 0.25
EMBEDDINGS, CLASSIFIER, ATTENTION, ATTENTION_OUTPUT, FEED_FORWARD = 0, 1, 2, 3, 4
LAYERS = 2
FIXTURES = ["untied", "classifier", "tokens", "bert-masked", "bert-classifier", "bert-tokens", "gpt2-untied"]
FIXTURES += ["gpt2-classifier", "gpt2-tokens"]


def philox(counter, key):
    """Counters are four arrays of words; returns the four words of each."""
    mask, counter, key = 0xFFFFFFFF, [numpy.asarray(word, numpy.uint64) for word in counter], list(key)
    for _ in range(10):
        low, high = counter[0] * numpy.uint64(0xD2511F53), counter[2] * numpy.uint64(0xCD9E8D57)
        counter = [
            (high >> numpy.uint64(32)) ^ counter[1] ^ numpy.uint64(key[0]),
            high & numpy.uint64(mask),
            (low >> numpy.uint64(32)) ^ counter[3] ^ numpy.uint64(key[1]),
            low & numpy.uint64(mask),
        ]
        key = [(key[0] + 0x9E3779B9) & mask, (key[1] + 0xBB67AE85) & mask]
    return counter


def factors(site, part, sequence, positions, channels):
    """What a matrix of these positions and so many channels is multiplied with."""
    drawn = philox([part, site, STEP, 0], SEED)
    channel = numpy.arange(channels)
    draw = channel // 64 * 16 + channel % 16
    shape = (positions, channels)
    counter = [numpy.broadcast_to(draw, shape), numpy.broadcast_to(numpy.arange(positions)[:, None], shape)]
    words = philox(counter + [numpy.full(shape, sequence), numpy.zeros(shape)], [int(drawn[0]), int(drawn[1])])
    bits = numpy.choose(numpy.broadcast_to(channel // 16 % 4, shape), words)
    return torch.tensor(numpy.where(bits < round(RATE * 2**32), 0.0, 1.0 / (1.0 - RATE)), dtype=torch.float32)


def sites(name, architecture):
    """The sites of a forward pass, in order."""
    of_layer = [ATTENTION, ATTENTION_OUTPUT, FEED_FORWARD] if "llama" not in architecture.lower() else [ATTENTION]
    sites = [3 * layer + site for layer in range(LAYERS) for site in of_layer]
    if len(of_layer) > 1:
        sites = [EMBEDDINGS] + sites
    has_classifier = name == "bert-classifier" or name.endswith("tokens")
    return sites + [CLASSIFIER] * has_classifier


class Masks:
    """Stands for `torch.nn.functional.dropout` while a sequence is read."""

    def __init__(self, sites, sequence):
        self.sites, self.sequence = list(sites), sequence

    def __call__(self, x, p=0.5, training=True, inplace=False):
        assert training and p == RATE, (training, p)
        site = self.sites.pop(0)
        if x.dim() == 4:
            masks = [factors(site, head, self.sequence, *x.shape[2:]) for head in range(x.shape[1])]
            return x * torch.stack(masks)[None]
        rows = x.reshape(-1, x.shape[-1])
        return x * factors(site, 0, self.sequence, *rows.shape).reshape(x.shape)


def measure(name):
    inputs = json.loads((HERE / name / "inputs.json").read_text())
    architecture = json.loads((HERE / name / "config.json").read_text())["architectures"][0]
    rates = ["attention_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob", "resid_pdrop", "embd_pdrop"]
    config = transformers.AutoConfig.from_pretrained(HERE / name)
    for rate in rates + ["attn_pdrop", "classifier_dropout"]:
        setattr(config, rate, RATE)
    model_class = getattr(transformers, architecture)
    model = model_class.from_pretrained(HERE / name, config=config, attn_implementation="eager").train()
    targets = inputs.get("targets", inputs.get("labels"))
    loss, unpatched = 0.0, torch.nn.functional.dropout
    for sequence, window in enumerate(inputs["windows"]):
        window = torch.tensor(window)
        row = window[:-1] if targets is None else window
        more = {"token_type_ids": torch.tensor(inputs["types"][sequence])[None]} if "types" in inputs else {}
        masks = torch.nn.functional.dropout = Masks(sites(name, architecture), sequence)
        logits = model(row[None], **more).logits[0]
        torch.nn.functional.dropout = unpatched
        assert not masks.sites, masks.sites
        if targets is None:
            wanted = window[1:]
        elif name.endswith("classifier"):
            logits, wanted = logits[None], torch.tensor([targets[sequence]])
        else:
            wanted, targets = targets[: len(row)], targets[len(row) :]
            wanted = torch.tensor([-100 if target is None else target for target in wanted])
        loss = loss + torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
    loss.backward()
    gradients = {}
    for parameter_name, parameter in model.named_parameters():
        # We hold the matrices of GPT-2's Conv1D as those of other linear layers.
        is_transposed = ".c_" in parameter_name and parameter.dim() == 2
        values = (parameter.grad.T if is_transposed else parameter.grad).double().flatten()
        waves = torch.tensor([math.cos(at) for at in range(len(values))], dtype=torch.float64)
        gradients[parameter_name] = [values.norm().item(), (values * waves).sum().item()]
    return {"loss": loss.item(), "gradients": gradients}


if __name__ == "__main__":
    torch.set_num_threads(1)
    fixtures = {name: measure(name) for name in FIXTURES}
    found = {"seed": f"Seed {{ key: {SEED} }}", "step": STEP, "rate": RATE, "fixtures": fixtures}
    (HERE / "dropout.json").write_text(json.dumps(found, indent=1) + "\n")

"""Writes `optimizers.json`: a few steps of `torch.optim` on a few parameters, for `tests/optimizers.rs`.

    python tests/reference/optimizers.py

Gradients are given, and do not depend on the weights. Matrices decay, vectors do not. `torch.optim.Muon` takes its products
in bf16; the runs called `muon` are of its code with f32 in that place, and one, `muon-bf16`, of its code as it is.
"""

import json
import pathlib
import types

import torch
from torch.optim import _muon

STEPS = 6
LR = 0.03
LR_FACTOR = 4.0
# Name, shape, and the part of a model that it stands for.
PARAMETERS = [
    ("embedding", [4, 3], "embeddings"),
    ("lower.square", [5, 5], 0),
    ("lower.bias", [6], 0),
    ("tall", [7, 3], 1),
    ("wide", [3, 8], 1),
    ("norm", [5], "neck"),
    ("head", [2, 3], "head"),
]
NUM_LAYERS = 2


def numbers(tensor):
    return [float(value) for value in tensor.flatten()]


def rate(part, decay):
    """The factor of a part's learning rate under layer-wise decay."""
    below = {"embeddings": NUM_LAYERS + 1, "neck": 0, "head": 0}
    return decay ** (below[part] if isinstance(part, str) else NUM_LAYERS - part)


def groups(parameters, weight_decay, layer_lr_decay=1.0, lr=LR):
    """Each parameter as a group of its own."""
    return [
        {
            "params": [tensor],
            "lr": lr * rate(part, layer_lr_decay),
            "weight_decay": weight_decay if tensor.ndim > 1 else 0.0,
        }
        for tensor, part in parameters
    ]


def optimizers(config, parameters, layer_lr_decay):
    kind = config.get("kind", "adamw")
    decay = config["weight_decay"]
    if kind == "sgd":
        fields = {"momentum": config["momentum"], "nesterov": config["nesterov"]}
        return [torch.optim.SGD(groups(parameters, decay, layer_lr_decay), **fields)]
    fields = {"betas": (config["beta1"], config["beta2"]), "eps": config["eps"]}
    if kind == "adamw":
        return [torch.optim.AdamW(groups(parameters, decay, layer_lr_decay), **fields)]
    is_hidden = lambda tensor, part: tensor.ndim > 1 and not isinstance(part, str)
    hidden = [pair for pair in parameters if is_hidden(*pair)]
    others = [pair for pair in parameters if not is_hidden(*pair)]
    muon = torch.optim.Muon(
        groups(hidden, decay, layer_lr_decay, LR * config["lr_factor"]),
        momentum=config["momentum"],
        nesterov=config["nesterov"],
        adjust_lr_fn=config["scale"].replace("-", "_"),
    )
    return [muon, torch.optim.AdamW(groups(others, decay, layer_lr_decay), **fields)]


def run(config, weights, gradients, layer_lr_decay=1.0, dtype=torch.float32):
    parts = [part for _, _, part in PARAMETERS]
    tensors = [weight.clone().requires_grad_() for weight in weights]
    steppers = optimizers(config, list(zip(tensors, parts)), layer_lr_decay)
    # `_zeropower_via_newtonschulz` reads the type of its products from the module `torch`.
    _muon.torch = types.SimpleNamespace(**{**vars(torch), "bfloat16": dtype})
    for step in gradients:
        for tensor, gradient in zip(tensors, step):
            tensor.grad = gradient.clone()
        if config["max_grad_norm"] is not None:
            torch.nn.utils.clip_grad_norm_(tensors, config["max_grad_norm"])
        for stepper in steppers:
            stepper.step()
    _muon.torch = torch
    return [numbers(tensor.detach()) for tensor in tensors]


def main():
    torch.manual_seed(3)
    weights = [torch.randn(shape) for _, shape, _ in PARAMETERS]
    gradients = [[torch.randn(shape) for _, shape, _ in PARAMETERS] for _ in range(STEPS)]
    adamw = {"beta1": 0.8, "beta2": 0.9, "eps": 1e-6, "weight_decay": 0.2, "max_grad_norm": None}
    sgd = {"kind": "sgd", "momentum": 0.8, "nesterov": False, "weight_decay": 0.2, "max_grad_norm": 2.5}
    muon = {"kind": "muon", "momentum": 0.9, "nesterov": True, "scale": "original", "lr_factor": LR_FACTOR}
    muon = {**adamw, **muon}
    runs = {
        "adamw": (adamw, {}),
        "adamw-clipped": ({**adamw, "max_grad_norm": 2.5}, {}),
        "adamw-by-layer": (adamw, {"layer_lr_decay": 0.5}),
        "sgd": (sgd, {}),
        "sgd-nesterov": ({**sgd, "nesterov": True}, {}),
        "muon": (muon, {}),
        "muon-plain": ({**muon, "nesterov": False, "max_grad_norm": 2.5}, {"layer_lr_decay": 0.5}),
        "muon-rms": ({**muon, "scale": "match-rms-adamw"}, {}),
        "muon-bf16": (muon, {"dtype": torch.bfloat16}),
    }
    written = {
        "lr": LR,
        "parameters": [
            {"name": name, "shape": shape, "part": part, "values": numbers(weight)}
            for (name, shape, part), weight in zip(PARAMETERS, weights)
        ],
        "gradients": [[numbers(gradient) for gradient in step] for step in gradients],
        "runs": [
            {
                "name": name,
                "config": config,
                "layer_lr_decay": options.get("layer_lr_decay"),
                "weights": run(config, weights, gradients, **options),
            }
            for name, (config, options) in runs.items()
        ],
    }
    path = pathlib.Path(__file__).with_name("optimizers.json")
    path.write_text(json.dumps(written, separators=(",", ":")) + "\n")


main()

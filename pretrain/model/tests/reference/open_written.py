"""Opens models that we have written with transformers, and compares logits.

    python open_written.py PROGRAMS DIR...

PROGRAMS is the folder of the examples `rewrite` and `logits` of the crate `model`. Each model directory DIR (the fixtures
beside this file are some) is read and written by `rewrite`; what it wrote has to load in transformers with no missing and no
unexpected key, and its logits, by `logits`, may differ from those of transformers by at most 1e-5. Prints a line a check;
fails at the first that does not hold.

Versions that it was written against: transformers 5.24, torch 2.15.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers

TOLERANCE = 1e-5


def open_written(programs, source):
    with tempfile.TemporaryDirectory() as written:
        subprocess.run([programs / "rewrite", source, written], check=True)
        architecture = json.loads((Path(written) / "config.json").read_text())["architectures"][0]
        loader = getattr(transformers, architecture)
        model, loading = loader.from_pretrained(written, output_loading_info=True, dtype=torch.float32)
        for keys in ["missing_keys", "unexpected_keys", "mismatched_keys"]:
            assert not loading[keys], f"{source.name}: {keys} {loading[keys]}"
        print(f"ok  {source.name}: {architecture} has no missing and no unexpected keys")
        if architecture.endswith("Model") and not architecture.endswith("LMHeadModel"):
            return
        ids = [1 + at * 7 % (model.config.vocab_size - 1) for at in range(23)]
        said = subprocess.run([programs / "logits", written, *map(str, ids)], check=True, capture_output=True, text=True)
        ours = torch.tensor(json.loads(said.stdout))
        with torch.no_grad():
            theirs = model.eval()(torch.tensor([ids])).logits
    theirs = theirs.reshape(ours.shape)
    difference = (ours - theirs).abs().max().item()
    assert difference <= TOLERANCE, f"{source.name}: logits differ by {difference}"
    print(f"ok  {source.name}: {len(ours)} rows of logits differ by at most {difference:.1e}")


if __name__ == "__main__":
    for directory in sys.argv[2:]:
        open_written(Path(sys.argv[1]), Path(directory))

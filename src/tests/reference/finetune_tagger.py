"""Fine-tunes a BERT on the examples of seedbed with `transformers`, and judges it with `seqeval`: what our tagger is held against.

    python src/tests/reference/finetune_tagger.py MODEL OUT/STEP/examples --epochs 3 --seed 0

The recipe is that of `finetune` with `task = "token-classification"`: the first token of a word learns its tag, AdamW with decay
of matrices, warm-up over a tenth of the steps, then a line to zero, gradients clipped to norm 1, dropout as the model's config
says, but for 0.1 before the head of a Llama or a GPT-2 whose config does not say. Needs torch, transformers, pyarrow and seqeval. Prints a line of JSON.
"""

import argparse
import glob
import json
import random
import time

import pyarrow.parquet as parquet
import torch
from seqeval.metrics import f1_score
from transformers import AutoConfig, AutoModelForTokenClassification, AutoTokenizer

arguments = argparse.ArgumentParser()
arguments.add_argument("model")
arguments.add_argument("examples")
arguments.add_argument("--epochs", type=int, default=3)
arguments.add_argument("--batch", type=int, default=32)
arguments.add_argument("--lr", type=float, default=5e-5)
arguments.add_argument("--max-length", type=int, default=512)
arguments.add_argument("--seed", type=int, default=0)
arguments.add_argument("--scratch", action="store_true")
args = arguments.parse_args()

torch.manual_seed(args.seed)
shuffle = random.Random(args.seed)
with open(f"{args.examples}/artifact.json") as file:
    names = json.load(file)["details"]["labels"]
ids = {name: at for at, name in enumerate(names)}
rows = [row for path in sorted(glob.glob(f"{args.examples}/*.parquet")) for row in parquet.read_table(path).to_pylist()]
train = [row for row in rows if row["split"] == "train"]
test = [row for row in rows if row["split"] == "test"]

tokenizer = AutoTokenizer.from_pretrained(args.model)
labels = dict(num_labels=len(names), id2label=dict(enumerate(names)), label2id=ids)
model = (
    AutoModelForTokenClassification.from_config(AutoConfig.from_pretrained(args.model, **labels))
    if args.scratch
    else AutoModelForTokenClassification.from_pretrained(args.model, **labels)
)


def batch(rows):
    """Model inputs, and for each row the place of the first token of each word that is not cut off."""
    inputs = tokenizer(
        [row["tokens"] for row in rows],
        is_split_into_words=True,
        padding=True,
        truncation=True,
        max_length=args.max_length,
        return_tensors="pt",
    )
    firsts = []
    for at in range(len(rows)):
        first = {}
        for place, word in enumerate(inputs.word_ids(at)):
            if word is not None:
                first.setdefault(word, place)
        firsts.append(first)
    return inputs, firsts


decayed = [p for p in model.parameters() if p.ndim > 1]
plain = [p for p in model.parameters() if p.ndim <= 1]
groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=args.lr)
steps = args.epochs * -(-len(train) // args.batch)
rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min((s + 1) / max(1, 0.1 * steps), 1, (steps - s) / max(1, 0.9 * steps)))
start, model = time.perf_counter(), model.train()
for _ in range(args.epochs):
    shuffle.shuffle(train)
    for at in range(0, len(train), args.batch):
        chosen = train[at : at + args.batch]
        inputs, firsts = batch(chosen)
        wanted = torch.full(inputs["input_ids"].shape, -100)
        for row, (example, first) in enumerate(zip(chosen, firsts)):
            for word, place in first.items():
                wanted[row, place] = ids[example["tags"][word]]
        loss = model(**inputs, labels=wanted).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
seconds = time.perf_counter() - start

model.eval()
gold, found = [], []
with torch.no_grad():
    for at in range(0, len(test), 64):
        chosen = test[at : at + 64]
        inputs, firsts = batch(chosen)
        best = model(**inputs).logits.argmax(-1)
        for row, (example, first) in enumerate(zip(chosen, firsts)):
            gold.append(example["tags"])
            found.append([names[best[row, first[word]]] if word in first else "O" for word in range(len(example["tokens"]))])
print(json.dumps({"f1": f1_score(gold, found), "seed": args.seed, "scratch": args.scratch, "steps": steps, "loss": loss.item(), "train_rows_per_second": len(train) * args.epochs / seconds}))

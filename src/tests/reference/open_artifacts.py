"""Opens what a run left with the programs that are meant to open it, and compares what they say.

    python open_artifacts.py OUT STEP... [--logits PROGRAM]

Tables are opened with pyarrow and DuckDB and their rows compared with `artifact.json`; token shards with megatron-core's
`IndexedDataset`, every value compared with a plain reading of `.bin` and `.idx` and with `.docs.parquet`; checkpoints
with `AutoTokenizer` and the class that `config.json` names, of token classification with `AutoModelForTokenClassification`;
the entity scores of every model and seed in `results.json` are taken anew by seqeval. PROGRAM is the example `logits` of the crate `model`: its logits may differ from
those of transformers by at most 1e-5. Prints a line a check; fails at the first that does not hold.

Versions that it was written against: pyarrow 26, duckdb 2.0, megatron-core 0.16.1, transformers 5.15, torch 2.15, numpy 2.4,
seqeval 1.2.2.
"""

import argparse
import json
import subprocess
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq

TABLES = ["extracted", "signals", "decisions", "documents", "examples", "results"]
TOLERANCE = 1e-5


def check(what, found, expected):
    assert found == expected, f"{what}: found {found}, expected {expected}"
    print(f"ok  {what}: {found}")


def open_tables(name, directory, parts):
    parts = [part for part in parts if part["path"].endswith(".parquet")]
    by_table = {}
    for part in parts:
        path = directory / part["path"]
        table = pq.read_table(path)
        metadata = pq.read_metadata(path).metadata
        assert table.num_rows == part["rows"], f"{path}: {table.num_rows} rows, artifact.json says {part['rows']}"
        by_table.setdefault(metadata[b"seedbed.table"].decode(), []).append((path, part["rows"]))
    for table, files in by_table.items():
        rows = sum(rows for _, rows in files)
        paths = [str(path) for path, _ in files]
        found = duckdb.sql("SELECT count(*) FROM read_parquet($paths)", params={"paths": paths}).fetchall()[0][0]
        check(f"{name}: rows of table {table} in {len(files)} files (pyarrow, DuckDB)", found, rows)


def read_shard(prefix):
    """The documents of a shard, with nothing but numpy."""
    index = Path(f"{prefix}.idx").read_bytes()
    assert index[:9] == b"MMIDIDX\0\0" and int.from_bytes(index[9:17], "little") == 1, prefix
    width = {8: np.dtype("<u2"), 4: np.dtype("<i4")}[index[17]]
    sequences, documents = np.frombuffer(index, "<u8", 2, 18)
    assert documents == sequences + 1 and len(index) == 34 + 12 * sequences + 8 * documents, prefix
    lengths = np.frombuffer(index, "<i4", sequences, 34)
    offsets = np.frombuffer(index, "<i8", sequences, 34 + 4 * int(sequences))
    first = np.frombuffer(index, "<i8", documents, 34 + 12 * int(sequences))
    assert (first == np.arange(documents)).all(), prefix
    tokens = np.fromfile(f"{prefix}.bin", width)
    return [tokens[at // width.itemsize :][:length] for at, length in zip(offsets, lengths)], tokens.size


def open_shards(name, directory, parts):
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    for part in parts:
        if not part["path"].endswith(".bin"):
            continue
        prefix = str(directory / part["path"].removesuffix(".bin"))
        documents, tokens = read_shard(prefix)
        listed = pq.read_table(f"{prefix}.docs.parquet", columns=["tokens"])["tokens"].to_pylist()
        assert [len(document) for document in documents] == listed, prefix
        assert tokens == part["tokens"] == sum(listed), prefix
        if documents:
            dataset = IndexedDataset(prefix)
            assert len(dataset) == len(documents), prefix
            for at, document in enumerate(documents):
                assert np.array_equal(dataset[at], document), f"{prefix}: document {at}"
        check(f"{name}: tokens of {part['path']} (megatron-core, numpy, .docs.parquet)", tokens, part["tokens"])


def open_checkpoint(name, directory, program):
    import torch
    import transformers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    architecture = json.loads((directory / "config.json").read_text())["architectures"][0]
    is_tagger = architecture.endswith("ForTokenClassification")
    loader = transformers.AutoModelForTokenClassification if is_tagger else getattr(transformers, architecture)
    model, loading = loader.from_pretrained(directory, output_loading_info=True, dtype=torch.float32)
    for keys in ["missing_keys", "unexpected_keys", "mismatched_keys"]:
        check(f"{name}: {keys} (transformers, {architecture})", len(loading[keys]), 0)
    check(f"{name}: class (transformers)", type(model).__name__, architecture)
    if is_tagger:
        check(f"{name}: first tag", model.config.id2label[0], "O")
    if not program:
        return
    ids = tokenizer("A small measured model of a few plain words.")["input_ids"]
    ids = ids[: model.config.max_position_embeddings]
    said = subprocess.run([program, str(directory), *map(str, ids)], check=True, capture_output=True, text=True)
    ours = torch.tensor(json.loads(said.stdout))
    with torch.no_grad():
        theirs = model.eval()(torch.tensor([ids])).logits
    if theirs.dim() == 3:
        theirs = theirs[0]
    check(f"{name}: shape of logits", tuple(ours.shape), tuple(theirs.shape))
    difference = (ours - theirs).abs().max().item()
    assert difference <= TOLERANCE, f"{name}: logits differ by {difference}"
    print(f"ok  {name}: logits of {len(ids)} tokens differ by at most {difference:.1e}")


def open_entities(name, directory):
    from seqeval.metrics import f1_score, precision_score, recall_score
    from seqeval.scheme import IOB2

    entities = json.loads((directory / "results.json").read_text()).get("entities")
    if not entities:
        return
    how = {"mode": "strict", "scheme": IOB2} if entities["mode"] == "strict" else {}
    rows = pq.read_table(directory / "tag_predictions.parquet").to_pylist()
    largest = 0.0
    for model in entities["models"]:
        for seed in model["seeds"]:
            said = [row for row in rows if (row["model"], row["seed"]) == (model["model"], seed["seed"])]
            truth, predicted = [row["tags"] for row in said], [row["predicted"] for row in said]
            scores = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
            for average in ["micro", "macro"]:
                for score, function in scores.items():
                    theirs = function(truth, predicted, average=average, zero_division=0, **how)
                    largest = max(largest, abs(seed[average][score] - theirs))
    assert largest <= 1e-12, f"{name}: scores of entities differ by {largest}"
    print(f"ok  {name}: scores of {entities['entities']} entities differ from seqeval by at most {largest:.1e}")
    if entities["decoding"] == "argmax":
        tables = sorted((directory.parent.parent / entities["examples"] / "examples").glob("*.parquet"))
        examples = {(row["unit"], row["record"]): row["tokens"] for path in tables for row in pq.read_table(path).to_pylist()}
        for model in entities["models"]:
            for seed in model["seeds"]:
                said = [row for row in rows if (row["model"], row["seed"]) == (model["model"], seed["seed"])]
                checkpoint = directory.parent.parent / model["model"] / "checkpoint" / f"seed-{seed['seed']}"
                tag_anew(f"{name}: {model['model']}, seed {seed['seed']}", checkpoint, said, examples)


def tag_anew(name, checkpoint, said, examples):
    """Tags the sentences that fit one window as `transformers` does, by the best tag of each word's first token."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForTokenClassification.from_pretrained(checkpoint, dtype=torch.float32).eval()
    is_byte_level = json.loads((checkpoint / "tokenizer.json").read_text())["pre_tokenizer"]["type"] == "ByteLevel"
    found, expected = [], []
    for row in said:
        words = examples[row["unit"], row["record"]]
        # Our byte-level vocabularies were fed every word with the space before it.
        encoded = tokenizer([f" {word}" for word in words] if is_byte_level else words, is_split_into_words=True)
        if len(encoded["input_ids"]) >= model.config.max_position_embeddings:
            continue
        with torch.no_grad():
            best = model(torch.tensor([encoded["input_ids"]])).logits[0].argmax(-1).tolist()
        tags = ["O"] * len(words)
        for word, tag in reversed(list(zip(encoded.word_ids(), best))):
            if word is not None:
                tags[word] = model.config.id2label[tag]
        expected.extend(tags)
        found.extend(row["predicted"])
    differing = sum(ours != theirs for ours, theirs in zip(found, expected, strict=True))
    check(f"{name}: of {len(found)} words tagged otherwise (transformers)", differing, 0)


def open_step(out, step, program):
    for directory in sorted(path for path in (out / step).iterdir() if path.is_dir()):
        name = f"{step}/{directory.name}"
        artifact = json.loads((directory / "artifact.json").read_text())
        check(f"{name}: kind", artifact["kind"], directory.name)
        sizes = [(directory / part["path"]).stat().st_size for part in artifact["parts"]]
        check(f"{name}: bytes of {len(sizes)} files", sum(sizes), sum(part["bytes"] for part in artifact["parts"]))
        if artifact["kind"] in TABLES:
            open_tables(name, directory, artifact["parts"])
        if artifact["kind"] == "results":
            open_entities(name, directory)
        if artifact["kind"] == "token-shards":
            open_shards(name, directory, artifact["parts"])
        if artifact["kind"] == "checkpoint":
            for config in sorted(directory.rglob("config.json")):
                open_checkpoint(f"{name}/{config.parent.relative_to(directory)}", config.parent, program)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("steps", nargs="+")
    parser.add_argument("--logits", help="program that prints logits as JSON")
    arguments = parser.parse_args()
    for step in arguments.steps:
        open_step(arguments.out, step, arguments.logits)


if __name__ == "__main__":
    main()

"""Entities and their scores by seqeval.

    python seqeval.py > seqeval.json

Made with seqeval 1.2.2, NumPy 2.4.6. Ten thousand pairs of random sentences, most of them malformed, are made from a
seed here and in `../seqeval.rs`; the file holds digests of what seqeval finds in them, a thousand at a time, and a few
scores in full. Before that: every sequence of up to four tags, which holds every transition.

    SEQEVAL_TESTS=DIR python seqeval.py > OTHER.json

also stores scores of `ground_truth.txt` in `tests/data` of seqeval's source archive; `../seqeval.rs` reads that
file where the variable SEEDBED_SEQEVAL names it.
"""

import itertools
import json
import os
import pathlib
import sys
import warnings

# The folder of this script holds a file of the same name as the package.
sys.path = [entry for entry in sys.path if pathlib.Path(entry or ".").resolve() != pathlib.Path(__file__).parent]

from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, IOE1, IOE2, Entities

warnings.simplefilter("ignore")
MASK = (1 << 64) - 1

STRICT = {"iob1": IOB1, "iob2": IOB2, "ioe1": IOE1, "ioe2": IOE2, "iobes": IOBES, "bilou": BILOU}
PREFIXES = {"iob1": "IB", "iob2": "IB", "ioe1": "IE", "ioe2": "IE", "iobes": "BIES", "bilou": "BILU"}


def split_mix(state):
    """SplitMix64: the next state, and a number."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return state, z ^ (z >> 31)


class Random:
    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state, number = split_mix(self.state)
        return number % bound


def fnv(text, digest=0xCBF29CE484222325):
    for byte in text.encode():
        digest = ((digest ^ byte) * 0x100000001B3) & MASK
    return digest


def names(mode):
    """The list of tags of a mode; names without a prefix, without a type, and with several hyphens are among them."""
    if mode == "lenient":
        tags = [f"{prefix}-{name}" for prefix in "BIES" for name in ("A", "B-C")]
        return ["O", *tags, "B", "I", "E-", "S-_", "O-A"]
    if mode == "wild":
        return ["O", "B-A", "I-A", "PER", "U-A", "L-A", "U", ".", ".-A", "xA-", "é-A", "B--A", "I-A-", "E", "IA"]
    tags = [f"{prefix}-{name}" for prefix in PREFIXES[mode] for name in ("A", "B-C")]
    return ["O", *tags, PREFIXES[mode][0], f"{PREFIXES[mode][1]}-", f"{PREFIXES[mode][0]}--A-"]


def entities(mode, sentences):
    """(type, first, last) by sentence, as a text."""
    if mode in ("lenient", "wild"):
        found = [get_entities(sentence) for sentence in sentences]
    else:
        found = [
            [(entity.tag, entity.start, entity.end - 1) for entity in sentence]
            for sentence in Entities(sentences, STRICT[mode]).entities
        ]
    return "".join("".join(f"{t} {a} {b};" for t, a, b in sentence) + "\n" for sentence in found)


def scores(mode, truth, predicted):
    kind = {"mode": "strict", "scheme": STRICT[mode]} if mode in STRICT else {}
    report = None
    if entities(mode, truth + predicted).strip():
        report = classification_report(truth, predicted, output_dict=True, zero_division=0, **kind)
        report = {
            name: [float(row["precision"]), float(row["recall"]), float(row["f1-score"]), int(row["support"])]
            for name, row in report.items()
            if name != "weighted avg"
        }
    micro = [
        float(score(truth, predicted, zero_division=0, **kind)) for score in (precision_score, recall_score, f1_score)
    ]
    return {"mode": mode, "truth": truth, "predicted": predicted, "micro": micro, "report": report}


def sentence(random, tags, length):
    return [tags[random.below(len(tags))] for _ in range(length)]


def document(random, tags):
    """Truth and prediction of one to three sentences of one to eight tags; half of the predicted tags are copied."""
    truth = [sentence(random, tags, 1 + random.below(8)) for _ in range(1 + random.below(3))]
    predicted = [[tag if random.below(2) == 0 else tags[random.below(len(tags))] for tag in tags_] for tags_ in truth]
    return truth, predicted


def file_scores(path):
    """Columns of seqeval's files: word, true tag, predicted tag."""
    truth, predicted = [[]], [[]]
    for line in path.read_text().splitlines():
        fields = line.split()
        if not fields:
            truth.append([])
            predicted.append([])
        else:
            truth[-1].append(fields[-2])
            predicted[-1].append(fields[-1])
    keep = [at for at, tags in enumerate(truth) if tags]
    truth, predicted = [truth[at] for at in keep], [predicted[at] for at in keep]
    return [scores(mode, truth, predicted) for mode in ("lenient", "iob2")]


modes = ["lenient", "wild", *STRICT]
out = {"exhaustive": {}, "random": {}, "scores": []}
for mode in modes:
    # Two types, no type, outside; of the wild ones those that are oddest.
    tags = [tag for tag in names(mode) if len(tag) <= 3 and tag != "O-A"]
    tags += [f"{prefix}-D" for prefix in PREFIXES.get(mode, "")]
    digest, count = fnv(""), 0
    for length in range(1, 5):
        for sequence in itertools.product(tags, repeat=length):
            digest = fnv(entities(mode, [list(sequence)]), digest)
            count += 1
    out["exhaustive"][mode] = {"tags": tags, "sequences": count, "digest": f"{digest:016x}"}

for mode in modes:
    random = Random(fnv(mode))
    digests = []
    for thousand in range(10):
        digest = fnv("")
        for _ in range(1000):
            truth, predicted = document(random, names(mode))
            digest = fnv(entities(mode, truth) + entities(mode, predicted), digest)
        digests.append(f"{digest:016x}")
    out["random"][mode] = {"tags": names(mode), "digests": digests}

for mode in modes:
    if mode != "wild":
        random = Random(2026)
        out["scores"] += [scores(mode, *document(random, names(mode))) for _ in range(8)]
# Nothing to find, nothing found, types of one side only.
edges = [("O", "O"), ("B-A", "O"), ("O", "B-A"), ("B-A", "B-B"), ("B-A B-B", "B-A I-A"), ("B-A O B-B", "B-A O B-C")]
for truth, predicted in edges:
    out["scores"] += [scores(mode, [truth.split()], [predicted.split()]) for mode in ("lenient", "iob2", "iobes")]

if "SEQEVAL_TESTS" in os.environ:
    out["scores"] += file_scores(pathlib.Path(os.environ["SEQEVAL_TESTS"]) / "data" / "ground_truth.txt")

print(json.dumps(out))

"""Reads the event files of a run with TensorBoard itself, and compares every scalar with `metrics.jsonl`.

    python read_tensorboard.py OUT [RUN]

RUN is a directory of OUT/.seedbed/runs, the newest with event files if it is not given. Of each curve the steps and values
must be those of the published `metrics.jsonl`, each step once. Prints a line a curve; fails at the first that differs.

Versions that it was written against: tensorboard 2.21.
"""

import json
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

# Event files hold 32-bit floats.
TOLERANCE = 1e-6


def scalars_of(metrics):
    columns = {}
    for line in metrics.read_text().splitlines():
        line = json.loads(line)
        for name in line.keys() - {"step"}:
            columns.setdefault(name, []).append((line["step"], line[name]))
    return columns


def compare(name, curve, metrics):
    events = EventAccumulator(str(curve), size_guidance={"scalars": 0}).Reload()
    expected = scalars_of(metrics)
    found = events.Tags()["scalars"]
    assert sorted(found) == sorted(expected), f"{name}: found {sorted(found)}, expected {sorted(expected)}"
    for column, points in expected.items():
        read = events.Scalars(column)
        steps = [event.step for event in read]
        assert steps == [step for step, _ in points], f"{name}, {column}: found the steps {steps}"
        for event, (step, value) in zip(read, points):
            near = abs(event.value - value) <= TOLERANCE * max(1.0, abs(value))
            assert near, f"{name}, {column}, step {step}: found {event.value}, expected {value}"
    print(f"ok  {name}: {len(expected)} scalars, {sum(map(len, expected.values()))} points")


def main(out, run=None):
    runs = Path(out) / ".seedbed/runs"
    named = [runs / run] if run else sorted(runs.iterdir(), reverse=True)
    curves = next(dir for dir in (run / "tensorboard" for run in named) if dir.is_dir())
    found = sorted({path.parent for path in curves.rglob("*tfevents*")})
    assert found, f"{curves}: no event files"
    for curve in found:
        name = curve.relative_to(curves)
        step, *seed = name.parts
        compare(name, curve, Path(out, step, "checkpoint", *seed, "metrics.jsonl"))


if __name__ == "__main__":
    main(*sys.argv[1:])

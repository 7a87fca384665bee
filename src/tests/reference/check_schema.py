"""Checks manifests against the schema that seedbed prints: `check_schema.py SEEDBED MANIFEST...`

Each must fit, and must not fit any more when a key of it is misspelt. Needs `jsonschema` and Python 3.11.
"""

import copy
import json
import subprocess
import sys
import tomllib

import jsonschema

schema = json.loads(subprocess.run([sys.argv[1], "schema"], check=True, capture_output=True).stdout)
validator = jsonschema.Draft7Validator(schema)


def misspelt(value, outer=()):
    """Every table of the manifest with one wrong key in it, but for those whose keys are names of steps."""
    for key, inner in list(value.items()):
        if isinstance(inner, dict):
            yield from misspelt(inner, (*outer, key))
    if outer not in [("steps",), ("engine",), ("pins",)]:
        yield (*outer, "misspelt")


for path in sys.argv[2:]:
    with open(path, "rb") as file:
        manifest = tomllib.load(file)
    for error in validator.iter_errors(manifest):
        sys.exit(f"{path}: {list(error.path)}: {error.message}")
    places = list(misspelt(manifest))
    for place in places:
        wrong = copy.deepcopy(manifest)
        table = wrong
        for key in place[:-1]:
            table = table[key]
        table[place[-1]] = 1
        if validator.is_valid(wrong):
            sys.exit(f"{path}: {'.'.join(place)} is allowed")
    print(f"{path}: fits; {len(places)} misspelt keys are refused")

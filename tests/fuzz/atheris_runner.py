"""Runs one target under atheris, guided by coverage.

``python -m tests.fuzz.atheris_runner TARGET CORPUS_DIR [libFuzzer options]`` adds the target's seeds to the corpus and
goes on from what earlier runs left there. atheris is no dependency; docs/testing.md says how to get it. libFuzzer
writes a finding to ``crash-…`` in the working directory; it belongs into the target's seeds.
"""

from __future__ import annotations

import importlib
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

USAGE = "usage: python -m tests.fuzz.atheris_runner TARGET CORPUS_DIR [-runs=N] [-max_total_time=SECONDS]"


def main(arguments: list[str]) -> int:
    """Fuzz until something is found or the options say stop; returns an exit code where it did not get so far."""
    try:
        atheris: Any = importlib.import_module("atheris")
    except ModuleNotFoundError:
        print("expected atheris to be installed, see docs/testing.md", file=sys.stderr)
        return 3
    # Only what is imported in here is instrumented.
    with atheris.instrument_imports(include=["ca", "notary", "policies", "swarmsec", "yaml", "tomllib"]):
        targets = importlib.import_module("tests.fuzz.targets")
    engine = importlib.import_module("tests.fuzz.engine")
    target = targets.BY_NAME.get(arguments[0]) if arguments else None
    if target is None or len(arguments) < 2 or arguments[1].startswith("-"):
        print(f"{USAGE}\ntargets: {' '.join(targets.BY_NAME)}", file=sys.stderr)
        return 2
    corpus = Path(arguments[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds:
        (corpus / sha256(seed).hexdigest()).write_bytes(seed)
    atheris.Setup([sys.argv[0], *arguments[1:]], lambda data: engine.check(target, data))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Names for what a test run makes outside its own directory; they tell whether the run that made it still lives."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

_NAME = re.compile(r"ss(?P<pid>\d+)-\d+-[a-z0-9-]+")
_numbers = itertools.count(1)


def new_prefix() -> str:
    """A prefix such as ``ss4711-1-`` that nothing else on this machine has."""
    return f"ss{os.getpid()}-{next(_numbers)}-"


def is_abandoned(name: str) -> bool:
    """Whether ``name`` was made by a run that ended without removing it, because it was killed."""
    match = _NAME.fullmatch(name)
    return match is not None and not Path("/proc", match["pid"]).exists()

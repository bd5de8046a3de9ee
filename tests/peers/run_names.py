"""Names for what a test run makes outside its own directory; they tell whether the run that made it still lives.

A process id alone does not: a later run may have the same one, and would take what a killed one left for its own. So
the names have when the process started, too.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

_NAME = re.compile(r"ss(?P<pid>\d+)-(?P<started>\d+)-\d+-[a-z0-9-]+")
_numbers = itertools.count(1)


def new_prefix() -> str:
    """A prefix such as ``ss4711-81500-1-`` that nothing else on this machine has."""
    return f"ss{os.getpid()}-{_started(os.getpid())}-{next(_numbers)}-"


def is_abandoned(name: str) -> bool:
    """Whether ``name`` was made by a run that ended without removing it, because it was killed."""
    match = _NAME.fullmatch(name)
    return match is not None and _started(int(match["pid"])) != match["started"]


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty where there is none (proc(5))."""
    try:
        text = Path("/proc", str(pid), "stat").read_text(errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]

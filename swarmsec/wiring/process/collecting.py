"""Garbage in cycles, for processes that run for long."""

from __future__ import annotations

import gc
from typing import Final

_NEW_OBJECTS: Final = 10_000


def collect_seldom() -> None:
    """Look for garbage in cycles after thousands of new objects, and never among what was imported.

    A request at work holds hundreds of objects, so with Python's own threshold they would be gone through many times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)

"""Opening a file that somebody named, whatever it turns out to be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def open_to_read(path: Path) -> BinaryIO:
    """Open a file for reading bytes, and wait for nobody: a pipe without a writer is empty (open(2), fifo(7)).

    A pipe that somebody holds open for writing, such as a shell's ``<(command)``, is read to its end.

    Raises:
        OSError: as the system says, with the path; ``IsADirectoryError`` for a directory.
    """
    return open(path, "rb", opener=_open_at_once)


def _open_at_once(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    os.set_blocking(descriptor, True)
    return descriptor

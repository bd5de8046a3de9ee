"""The files below a directory that somebody is writing in, such as an engine's data or a server's home."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def contents_below(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Every regular file with its content; one that goes away meanwhile is left out."""
    # Path.rglob would end with an error where a directory goes away under it.
    for parent, _, names in os.walk(directory):
        for path in (Path(parent, name) for name in names):
            with suppress(FileNotFoundError):
                if path.is_file():
                    yield path, path.read_bytes()

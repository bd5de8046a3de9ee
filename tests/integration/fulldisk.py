"""A small disk, and filling it up but for some pages."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PAGE: Final = 4096


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """A file system of 16 MiB in memory, mounted at a new directory."""
    path.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(path: Path, *, leave: int = 0) -> None:
    """Fill a disk with one file.

    Args:
        path: of the file; whoever removes it makes room again.
        leave: how many pages stay free.
    """
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError:
            pass
        file.truncate(max(0, file.tell() - leave * PAGE))

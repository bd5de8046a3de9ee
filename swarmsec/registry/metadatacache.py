"""What a machine keeps of the metadata that it has verified, one directory for each pinned root.

Kept so that nobody can show it something older later; nothing here is believed before it is verified again. Writing is
atomic, and one process at a time works in a directory. Where nothing can be written, because the directory is read-only
or the disk is full, verification goes on with what there is, and says so: this machine then does not remember what it
saw today.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from notary.envelopes import ROOT_BYTES, SNAPSHOT_BYTES, TARGETS_BYTES
from notary.following import CLOCK
from swarmsec.atomicfile import make_private_directory, write_atomically
from swarmsec.errors import Unavailable
from swarmsec.openedfile import open_to_read

LOCK: Final = "lock"
LOCK_SECONDS: Final = 60.0
MAX_FILE: Final = max(ROOT_BYTES, SNAPSHOT_BYTES, TARGETS_BYTES)
_POLL: Final = 0.05
_MODE: Final = 0o600
_MAX_NAME: Final = 255


class MetadataCache:
    """The ``MetadataCache`` port over a directory.

    Args:
        directory: made when something is kept first.
        warn: is told, once, why nothing can be kept.
    """

    def __init__(self, directory: Path, *, warn: Callable[[str], None]) -> None:
        self._directory = directory
        self._warn = warn
        self._is_warned = False

    def load(self, name: str) -> bytes | None:
        """Return a kept file; one that cannot be read is none."""
        path = self._path(name)
        if path is None:
            return None
        try:
            with open_to_read(path) as file:
                data = file.read(MAX_FILE + 1)
        except OSError:
            return None
        return data if len(data) <= MAX_FILE else None

    def save(self, name: str, data: bytes) -> None:
        """Keep a file."""
        path = self._path(name)
        if path is None:
            return
        try:
            write_atomically(path, data, mode=_MODE)
        except OSError as error:
            if not self._is_warned:
                self._is_warned = True
                self._warn(f"{self._directory} could not be written ({error.strerror}); this visit is not remembered")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Have the directory alone; where there is nothing to lock, nothing can be written either.

        Raises:
            Unavailable: another process keeps it for too long.
        """
        descriptor = self._open_lock()
        if descriptor is None:
            yield
            return
        try:
            _wait_for(descriptor, self._directory)
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self) -> int | None:
        try:
            make_private_directory(self._directory)
            return os.open(self._directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        except OSError:
            pass
        try:
            return os.open(self._directory / LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None

    def _path(self, name: str) -> Path | None:
        """Where a file is kept; a strange name, which a hostile role may have, is kept nowhere."""
        file = name if name == CLOCK or name.endswith(".json") else f"{name}.json"
        is_plain = "/" not in file and not file.startswith(".") and len(file) <= _MAX_NAME
        return self._directory / file if is_plain else None


def _wait_for(descriptor: int, directory: Path) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"another process works in {directory} for {LOCK_SECONDS:g} s already", hint="try again"
                ) from None
            time.sleep(_POLL)
        else:
            return

"""Writers of one SQLite home take turns, and one that waits too long learns who holds the turn."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from swarmsec.storage.database import LOCK_WAIT_SECONDS
from swarmsec.storage.errors import StoreBusy, StoreUnwritable

_NOTE_BYTES: Final = 160
_FIRST_PAUSE: Final = 0.0005
_LONGEST_PAUSE: Final = 0.02


class WriterLock:
    """An advisory lock on a file beside the database; it goes with its process.

    Args:
        path: the lock file.
        wait: seconds to wait for the turn.
    """

    def __init__(self, path: Path, wait: float = LOCK_WAIT_SECONDS) -> None:
        self._path = path
        self._wait = wait
        self._descriptor: int | None = None
        # The random end tells two locks of one process apart, and a process from an earlier one of the same number.
        name = Path(sys.argv[0] or "python").name.encode("ascii", "replace")[:64]
        self._note = b"process %d (%s) %s" % (os.getpid(), name, secrets.token_hex(8).encode())

    def __enter__(self) -> bool:
        """Take the lock.

        Returns:
            whether nobody else has held it since this lock last did.

        Raises:
            StoreBusy: names the holder.
            StoreUnwritable: the lock file cannot be made.
        """
        descriptor = self._open()
        self._acquire(descriptor)
        try:
            return self._leave_note(descriptor)
        except BaseException:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _leave_note(self, descriptor: int) -> bool:
        """Say who holds the lock; only where it says something else, because a write here makes every sync dearer."""
        if os.pread(descriptor, _NOTE_BYTES, 0) == self._note:
            return True
        # On a full disk the turn is taken without a note; then it must not name whoever came before.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, self._note, 0)
        return False

    def close(self) -> None:
        """Close the lock file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            try:
                self._descriptor = _open_plain(self._path)
            except OSError as error:
                raise StoreUnwritable(
                    f"the home could not be opened for writing: {error.strerror}",
                    hint="check the owner and mode of the home directory and that it is mounted read-write",
                ) from None
        return self._descriptor

    def _acquire(self, descriptor: int) -> None:
        deadline = time.monotonic() + self._wait
        pause = _FIRST_PAUSE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StoreBusy(
                        f"the store is held by {self._holder(descriptor)} for more than {self._wait:g} s",
                        hint="wait for it or stop it, then repeat the command",
                    ) from None
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return

    @staticmethod
    def _holder(descriptor: int) -> str:
        text = os.pread(descriptor, _NOTE_BYTES, 0).decode("utf-8", "replace").rpartition(" ")[0]
        return text if text.isprintable() and text else "another process"


def _open_plain(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{path.name} is not a file", str(path))
    return descriptor

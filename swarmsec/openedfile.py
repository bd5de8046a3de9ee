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
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except OSError as error:
        os.close(descriptor)
        raise OSError(error.errno, error.strerror, str(path)) from None

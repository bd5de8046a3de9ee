"""Secrets come from a private file or from standard input, never from arguments or the environment."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from swarmsec.errors import NotFound, Unavailable, UsageProblem
from swarmsec.openedfile import open_to_read

MAX_NAME: Final = 300
"""Characters of a path in an error."""


def read_private_file(path: Path, *, limit: int) -> bytes:
    """Read a file that its owner alone may read.

    Args:
        path: the file.
        limit: its largest size in bytes.

    Raises:
        NotFound: it does not exist.
        UsageProblem: others may read it, it is too large, or it is something else than a file.
        Unavailable: it cannot be read.
    """
    return _read(path, limit=limit, private=True)


def read_bounded(path: Path, *, limit: int) -> bytes:
    """Read a file that holds no secret, bounded.

    Raises:
        NotFound, UsageProblem, Unavailable: as ``read_private_file``, but whatever its mode.
    """
    return _read(path, limit=limit, private=False)


def _read(path: Path, *, limit: int, private: bool) -> bytes:
    name = f"{path!s:.{MAX_NAME}}"
    try:
        with open_to_read(path) as file:
            _verify_kind(file.fileno(), name, private=private)
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise NotFound(f"no file {name}") from None
    except IsADirectoryError:
        raise UsageProblem(f"expected a file at {name}, got a directory", hint="name the file itself") from None
    except OSError as error:
        raise Unavailable(f"{name} could not be read: {error.strerror}", hint="check its owner and mode") from None
    if len(data) > limit:
        raise UsageProblem(f"expected at most {limit} bytes in {name}")
    return data


def _verify_kind(descriptor: int, name: str, *, private: bool) -> None:
    """Take a regular file, or what a shell hands over as ``<(command)`` or ``/dev/stdin``."""
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode) and not _is_handed_over(mode, descriptor):
        raise UsageProblem(f"expected a file at {name}, got something else", hint="give the path of a regular file")
    permissions = stat.S_IMODE(mode)
    if private and permissions & 0o077:
        raise UsageProblem(
            f"expected {name} to be readable by its owner alone, got mode {permissions:04o}", hint=f"chmod 600 {name}"
        )


def _is_handed_over(mode: int, descriptor: int) -> bool:
    """Whether this is a pipe without a name, which somebody is writing to or has written to."""
    return stat.S_ISFIFO(mode) and str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith("pipe:")

"""Secrets come from a private file or from standard input, never from arguments or the environment."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from swarmsec.errors import NotFound, Unavailable, UsageProblem


def read_private_file(path: Path, *, limit: int) -> bytes:
    """Read a file that its owner alone may read.

    Args:
        path: the file.
        limit: its largest size in bytes.

    Raises:
        NotFound: it does not exist.
        UsageProblem: others may read it, or it is too large.
        Unavailable: it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"no file {path}") from None
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}", hint="check its owner and mode") from None
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise UsageProblem(
                f"expected {path} to be readable by its owner alone, got mode {mode:04o}", hint=f"chmod 600 {path}"
            )
        data = file.read(limit + 1)
    if len(data) > limit:
        raise UsageProblem(f"expected at most {limit} bytes in {path}")
    return data


def read_bounded(path: Path, *, limit: int) -> bytes:
    """Read a file that holds no secret, bounded.

    Raises:
        NotFound, UsageProblem, Unavailable: as ``read_private_file``, but whatever its mode.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise NotFound(f"no file {path}") from None
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}", hint="check its owner and mode") from None
    if len(data) > limit:
        raise UsageProblem(f"expected at most {limit} bytes in {path}")
    return data

"""The files of an identity for ``--server``: certificate, private key and the root to trust, in a directory of its own.

The certificate is written last: a directory that has it has the other two.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swarmsec.atomicfile import write_atomically
from swarmsec.errors import AlreadyExists, Unavailable

CERTIFICATE_FILE: Final = "swarmsec.crt"
KEY_FILE: Final = "swarmsec.key"
ROOT_FILE: Final = "root-ca.crt"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFiles:
    """What goes into the directory, PEM."""

    certificate: bytes
    key: bytes
    root: bytes

    def __repr__(self) -> str:
        return "<identity files>"


def prepare_directory(directory: Path) -> None:
    """Make the directory, mode 0700, or accept one that has none of the files.

    Raises:
        AlreadyExists: one of the files is there.
        Unavailable: the directory cannot be made or read.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        present = [name for name in (ROOT_FILE, KEY_FILE, CERTIFICATE_FILE) if os.path.lexists(directory / name)]
    except OSError as error:
        raise Unavailable(
            f"{directory} could not be made: {error.strerror}", hint="name a directory that can be written with --out"
        ) from None
    if present:
        raise AlreadyExists(f"there is {directory / present[0]} already", hint="name another directory with --out")


def write_identity(directory: Path, files: IdentityFiles) -> None:
    """Write the files; none of them is left if one cannot be written.

    Raises:
        AlreadyExists: one of the files appeared meanwhile.
        Unavailable: a file cannot be written.
    """
    written: list[Path] = []
    wanted = (
        (ROOT_FILE, files.root, 0o644),
        (KEY_FILE, files.key, 0o600),
        (CERTIFICATE_FILE, files.certificate, 0o644),
    )
    try:
        for name, data, mode in wanted:
            write_atomically(directory / name, data, mode=mode, exclusive=True)
            written.append(directory / name)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise AlreadyExists(f"a file of the identity appeared in {directory}") from None
        if isinstance(error, OSError):
            raise Unavailable(f"the files in {directory} could not be written: {error.strerror}") from None
        raise

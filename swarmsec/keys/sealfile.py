"""The key file of a file seal: one line, ``SWARMSEC-SEAL-1-`` and 64 hex digits, readable by its owner alone."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from swarmsec.atomicfile import make_private_directory, write_atomically
from swarmsec.errors import UsageProblem
from swarmsec.keys.errors import KeysLocked
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.envelope import KEY_BYTES

PREFIX: Final = b"SWARMSEC-SEAL-1-"
_TEXT: Final = re.compile(PREFIX + rb"([0-9a-f]{%d})\n?" % (2 * KEY_BYTES))
_FILE_BYTES: Final = len(PREFIX) + 2 * KEY_BYTES + 1


def create_seal_file(path: Path, key: SecretBytes) -> None:
    """Write a new key file; an existing one is left alone.

    Raises:
        FileExistsError: the file exists.
        OSError: as the system says.
    """
    make_private_directory(path.parent)
    write_atomically(path, PREFIX + key.reveal().hex().encode() + b"\n", mode=0o600, exclusive=True)


def read_seal_file(path: Path) -> SecretBytes:
    """Read a key file.

    Raises:
        KeysLocked: it is missing or unreadable.
        UsageProblem: others may read it, or it is not a key file.
    """
    try:
        # A pipe in its place is not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise KeysLocked(
            f"the seal key file {path} could not be read: {error.strerror}",
            hint="bring the file back, or set [seal] path in swarmsec.toml to where it is",
        ) from None
    try:
        _verify_private(os.fstat(descriptor).st_mode, path)
        return _parse(os.read(descriptor, _FILE_BYTES + 1), path)
    finally:
        os.close(descriptor)


def _verify_private(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        raise UsageProblem(f"expected a seal key file at {path}, got something else")
    permissions = stat.S_IMODE(mode)
    if permissions & 0o077:
        raise UsageProblem(
            f"expected {path} to be readable by its owner alone, got mode {permissions:04o}", hint=f"chmod 600 {path}"
        )


def _parse(data: bytes, path: Path) -> SecretBytes:
    found = _TEXT.fullmatch(data)
    if found is None:
        raise UsageProblem(f"expected a seal key file at {path}, got something else")
    return SecretBytes(bytes.fromhex(found[1].decode("ascii")))

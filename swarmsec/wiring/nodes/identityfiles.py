"""Certificate, private key and the root to trust, as files in a directory: all three are there, or none.

The certificate is written last: a directory that has it has the other two. A certificate whose files cannot be written
is worth nothing and is withdrawn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from swarmsec.atomicfile import make_private_directory, write_atomically
from swarmsec.errors import AlreadyExists, SwarmsecError, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNames:
    """What the three files are called."""

    certificate: str
    key: str
    root: str


IDENTITY: Final = FileNames(certificate="swarmsec.crt", key="swarmsec.key", root="root-ca.crt")
"""As ``--identity`` expects them."""
DOCKER: Final = FileNames(certificate="cert.pem", key="key.pem", root="ca.pem")
"""As ``DOCKER_CERT_PATH`` expects them (Docker, "Protect the Docker daemon socket")."""

_ROOM_BYTES: Final = 256 * 1024
"""The three files and, should they not be written all the same, the revocation of their certificate in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFiles:
    """What goes into the directory, PEM."""

    certificate: bytes
    key: bytes
    root: bytes

    def __repr__(self) -> str:
        return "<identity files>"


class NewKey:
    """A private key that is written to its file and kept nowhere else: P-256, made now."""

    __slots__ = ("_key", "spki_der")

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.spki_der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def files(self, certificate: bytes, root: bytes) -> IdentityFiles:
        """The key with its certificate and the root bundle, both PEM."""
        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return IdentityFiles(certificate=certificate, key=key, root=root)

    def __repr__(self) -> str:
        return "<new private key>"


def prepare_directory(directory: Path, names: FileNames = IDENTITY) -> None:
    """Make the directory, mode 0700, or accept one that has none of the files.

    Raises:
        AlreadyExists: one of the files is there.
        Unavailable: the directory cannot be made or read.
    """
    try:
        make_private_directory(directory)
        wanted = (names.root, names.key, names.certificate)
        present = [name for name in wanted if os.path.lexists(directory / name)]
    except OSError as error:
        raise Unavailable(
            f"{directory} could not be made: {error.strerror}", hint="name a directory that can be written with --out"
        ) from None
    if present:
        raise AlreadyExists(f"there is {directory / present[0]} already", hint="name another directory with --out")


@contextmanager
def kept_room(directory: Path) -> Iterator[None]:
    """Keep room on the disk while the certificate is issued, so that its files fit once it stands.

    Raises:
        Unavailable: there is not enough; nothing is issued then.
    """
    try:
        room = _take_room(directory)
    except OSError as error:
        raise Unavailable(
            f"the files in {directory} could not be written: {error.strerror}", hint="free some space and try again"
        ) from None
    with room:
        yield


def _take_room(directory: Path) -> IO[bytes]:
    """An open file without a name: nobody can put something else in its place, and it ends with the process."""
    with ExitStack() as stack:
        room = stack.enter_context(TemporaryFile(dir=directory))
        os.posix_fallocate(room.fileno(), 0, _ROOM_BYTES)
        stack.pop_all()
    return room


def write_identity(directory: Path, files: IdentityFiles, names: FileNames = IDENTITY) -> None:
    """Write the files; none of them is left if one cannot be written.

    Raises:
        AlreadyExists: one of the files appeared meanwhile.
        Unavailable: a file cannot be written.
    """
    written: list[Path] = []
    wanted = (
        (names.root, files.root, 0o644),
        (names.key, files.key, 0o600),
        (names.certificate, files.certificate, 0o644),
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


def write_or_withdraw(
    directory: Path, files: IdentityFiles, names: FileNames, *, what: str, withdraw: Callable[[str], object]
) -> None:
    """Write the files, or withdraw the certificate that nobody holds the key of.

    Args:
        what: the certificate as errors name it, such as ``the identity alice``.
        withdraw: revokes it, with the reason given.

    Raises:
        Unavailable: a file cannot be written; it says whether the certificate was revoked.
    """
    try:
        write_identity(directory, files, names)
    except BaseException as error:
        outcome = f"{what} was revoked again"
        try:
            withdraw("its files could not be written")
        except SwarmsecError as failure:
            outcome = f"{what} stands without its files, and could not be revoked: {failure}"
        if isinstance(error, SwarmsecError):
            raise Unavailable(f"{error}; {outcome}", hint=error.hint) from None
        raise

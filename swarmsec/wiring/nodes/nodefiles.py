"""The files of a node, driver or agent, and how a new pair takes the place of the old one.

A node's are ``swarm-node.key`` (0600), ``swarm-root-ca.crt`` and, always written last, ``swarm-node.crt``, in the form
that Docker's own have; ``filekinds`` has the names of the others. A renewal writes the new
key beside as ``.swarm-node.key`` before anybody is asked, then the new certificate as ``.swarm-node.crt``, then moves
the key and last the certificate. Between the two moves the key is new and the certificate is old; every reader takes
the waiting certificate then, and so does Docker (swarmkit, ca/keyreadwriter.go).
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ca import pem
from ca.algorithms import PARSE_ERRORS
from ca.bundle import parse_bundle, parse_certificate
from ca.errors import CaError
from ca.identity import NodeIdentity, identity_of
from swarmsec.atomicfile import write_atomically
from swarmsec.errors import NotFound, Unavailable, UsageProblem
from swarmsec.openedfile import open_to_read
from swarmsec.wiring.nodes.authorityclient import KeyPair, key_pem, spki_of
from swarmsec.wiring.nodes.filekinds import NODE_FILES, FileKind

CERTIFICATE: Final = NODE_FILES.certificate
KEY: Final = NODE_FILES.key
ROOTS: Final = NODE_FILES.roots
NEXT_CERTIFICATE: Final = NODE_FILES.next_certificate
NEXT_KEY: Final = NODE_FILES.next_key
MAX_FILE: Final = 262_144
_ANOTHER_DIRECTORY: Final = "name the --dir that 'swarmsec node join' or 'swarmsec access enrol' wrote"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFiles:
    """What the directory holds, read and held together."""

    directory: Path
    kind: FileKind
    pair: KeyPair
    roots: bytes
    """The root bundle, PEM."""
    is_docker_s_key: bool
    """Whether the key file has headers of Docker, which holds more than a key in it."""

    @property
    def identity(self) -> NodeIdentity:
        """Who a node is; an identity is none."""
        return identity_of(self.pair.certificate)

    @property
    def name(self) -> str:
        """Whose the files are: a node's id, or the name of an identity."""
        return common_name(self.pair.certificate)


def common_name(certificate: x509.Certificate) -> str:
    """The last name in the subject of a certificate that ``FileKind.subject_of`` accepted."""
    return str(list(certificate.subject)[-1].value)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedNode:
    """What can be read of a manager whose key is locked. ``roots`` is the root bundle, PEM."""

    certificate: x509.Certificate
    identity: NodeIdentity
    roots: bytes


def open_node_files(directory: Path, kind: FileKind = NODE_FILES) -> NodeFiles:
    """Read the files, and finish a replacement that was interrupted between its two moves.

    Raises:
        NotFound: a file is missing.
        UsageProblem: a file is not what it should be, or key and certificate do not belong together.
        Unavailable: a file cannot be read or moved.
    """
    with writing(directory):
        key_text = _read(directory / kind.key)
        key = _key(key_text, directory / kind.key)
        certificate = _certificate(directory / kind.certificate)
        if not _belong_together(key, certificate):
            certificate = _waiting_certificate(directory, kind, key)
            _move(directory, kind.next_certificate, kind.certificate)
        roots = _read(directory / kind.roots)
    try:
        parse_bundle(roots)
        kind.subject_of(certificate)
    except CaError as error:
        raise UsageProblem(f"expected a node's files in {directory}: {error}", hint=_ANOTHER_DIRECTORY) from None
    pair = KeyPair(key=key, certificate=certificate)
    docker = any(b":" in line for line in key_text.splitlines())
    return NodeFiles(directory=directory, kind=kind, pair=pair, roots=roots, is_docker_s_key=docker)


def locked_node(directory: Path) -> LockedNode | None:
    """A manager's files whose key Docker has locked (autolock), without the key; None where the key is open.

    Raises:
        NotFound, UsageProblem, Unavailable: as ``open_node_files``.
    """
    with writing(directory):
        if b"ENCRYPTED" not in _read(directory / KEY):
            return None
        certificate, roots = _certificate(directory / CERTIFICATE), _read(directory / ROOTS)
    try:
        identity = identity_of(certificate)
    except CaError as error:
        raise UsageProblem(f"expected a node's files in {directory}: {error}", hint=_ANOTHER_DIRECTORY) from None
    return LockedNode(certificate=certificate, identity=identity, roots=roots)


def present_certificate(directory: Path, kind: FileKind = NODE_FILES) -> x509.Certificate:
    """The certificate alone, as it is now; nothing is held together or moved.

    Raises:
        NotFound: there is none.
        UsageProblem: it is none.
        Unavailable: it cannot be read.
    """
    with writing(directory):
        return _certificate(directory / kind.certificate)


def make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A new private key in a file, or the one that is there already.

    Raises:
        UsageProblem: something else is there, or others may read it.
        OSError: it cannot be read or written.
    """
    if path.exists():
        return _key(_read_kept_key(path), path)
    made = ec.generate_private_key(ec.SECP256R1())
    write_atomically(path, key_pem(made), mode=0o600)
    return made


def _read_kept_key(path: Path) -> bytes:
    with open_to_read(path) as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        text = file.read(MAX_FILE)
    if mode & 0o077:
        raise UsageProblem(
            f"expected {path} to be readable by its owner alone, got mode {mode:04o}",
            hint="remove it, and another key is made; or, if nobody else read it: chmod 600",
        )
    return text


def replace_pair(directory: Path, chain: bytes, kind: FileKind = NODE_FILES) -> None:
    """Put the new key, which is in its place beside, and its certificate where the old ones are.

    Args:
        chain: the certificate, and behind it what others need to verify it, PEM.

    Raises:
        OSError: a file cannot be written; the old pair or the new one is usable.
    """
    write_atomically(directory / kind.next_certificate, chain, mode=0o644)
    _move(directory, kind.next_key, kind.key)
    _move(directory, kind.next_certificate, kind.certificate)


def forget_renewal(directory: Path, kind: FileKind = NODE_FILES) -> None:
    """Drop what an unfinished renewal left beside; who joins anew begins with another identity."""
    for name in (kind.next_key, kind.next_certificate):
        (directory / name).unlink(missing_ok=True)


def write_certificate(directory: Path, chain: bytes, kind: FileKind = NODE_FILES) -> None:
    """Write the certificate of the key that is in its place already, and behind it what others need to verify it."""
    write_atomically(directory / kind.certificate, chain, mode=0o644)


def write_roots(directory: Path, bundle: bytes, kind: FileKind = NODE_FILES) -> None:
    """Write the root bundle."""
    write_atomically(directory / kind.roots, bundle, mode=0o644)


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Word what the file system refuses.

    Raises:
        Unavailable: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{error.filename or directory} could not be used: {error.strerror}",
            hint="check owner, mode and free space of --dir",
        ) from None


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep others from replacing files in a directory meanwhile; two renewals at once would mix their pairs.

    Raises:
        NotFound: there is no such directory.
        Unavailable: somebody else is at work there.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(f"{directory} cannot be opened: {error.strerror}", hint=_ANOTHER_DIRECTORY) from None
    try:
        _lock(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Unavailable(f"another process renews in {directory}", hint="wait for it, or stop it") from None


def _read(path: Path) -> bytes:
    try:
        with open_to_read(path) as file:
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise NotFound(f"no {path}", hint=_ANOTHER_DIRECTORY) from None
    if len(data) > MAX_FILE:
        raise UsageProblem(f"expected at most {MAX_FILE} bytes in {path}")
    return data


def _key(text: bytes, path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, *PARSE_ERRORS):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageProblem(f"expected an EC private key in {path}", hint="remove it or name another --dir")
    return key


def _certificate(path: Path) -> x509.Certificate:
    try:
        # Docker keeps intermediate certificates behind the node's own.
        return parse_certificate(pem.parse_blocks(_read(path), "CERTIFICATE")[0])
    except (*PARSE_ERRORS, CaError):
        raise UsageProblem(f"expected a certificate in {path}", hint=_ANOTHER_DIRECTORY) from None


def _waiting_certificate(directory: Path, kind: FileKind, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    if (directory / kind.next_certificate).exists():
        certificate = _certificate(directory / kind.next_certificate)
        if _belong_together(key, certificate):
            return certificate
    raise UsageProblem(f"expected a key and a certificate that belong together in {directory}", hint=_ANOTHER_DIRECTORY)


def _belong_together(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bool:
    return spki_of(key.public_key()) == spki_of(certificate.public_key())


def _move(directory: Path, name: str, to: str) -> None:
    (directory / name).replace(directory / to)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

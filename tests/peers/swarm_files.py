"""What a Docker Engine keeps in ``<data-root>/swarm/certificates``.

Three files: the root bundle, the node's certificate (followed by a cross-signed root while a rotation runs and until
the next renewal) and its key. The key file carries PEM headers such as ``kek-version`` and ``raft-dek`` that OpenSSL 3
refuses; they are taken off here, so the key can be given to ``ssl`` and ``openssl``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

LOCKED = b"ENCRYPTED PRIVATE KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFiles:
    """The identity of one Swarm node, as its files say."""

    leaf: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    roots: tuple[x509.Certificate, ...]
    key_pem: bytes = field(repr=False)

    @property
    def node_id(self) -> str:
        """The subject's common name."""
        return _subject_value(self.leaf, x509.NameOID.COMMON_NAME)

    @property
    def cluster_id(self) -> str:
        """The subject's organization."""
        return _subject_value(self.leaf, x509.NameOID.ORGANIZATION_NAME)

    @property
    def role(self) -> str:
        """The subject's organizational unit: ``swarm-worker`` or ``swarm-manager``."""
        return _subject_value(self.leaf, x509.NameOID.ORGANIZATIONAL_UNIT_NAME)


def certificates_directory(data_root: Path) -> Path:
    """Where an engine with this data root keeps them."""
    return data_root / "swarm" / "certificates"


def load_node_files(data_root: Path) -> NodeFiles:
    """Read the certificates directory of an engine.

    Args:
        data_root: the engine's ``--data-root``.

    Raises:
        OSError, ValueError: the engine is not in a swarm, or is just writing the files.
    """
    directory = certificates_directory(data_root)
    leaf, *intermediates = _load_certificates(directory / "swarm-node.crt")
    key_pem = strip_pem_headers((directory / "swarm-node.key").read_bytes())
    _verify_pair(leaf, key_pem)
    return NodeFiles(
        leaf=leaf,
        intermediates=tuple(intermediates),
        roots=tuple(_load_certificates(directory / "swarm-root-ca.crt")),
        key_pem=key_pem,
    )


def _verify_pair(leaf: x509.Certificate, key_pem: bytes) -> None:
    """An engine replaces the key first and then the certificate; a locked manager's key tells nothing."""
    if LOCKED in key_pem:
        return
    if serialization.load_pem_private_key(key_pem, password=None).public_key() != leaf.public_key():
        raise ValueError("expected a certificate and its key, got those of two")


def strip_pem_headers(pem: bytes) -> bytes:
    """Take the ``Name: value`` lines (RFC 1421, 4.6) and the empty line after them off a PEM block."""
    lines = [line for line in pem.splitlines() if line.strip() and b":" not in line]
    return b"\n".join(lines) + b"\n"


def _load_certificates(path: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(path.read_bytes())


def _subject_value(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    return str(certificate.subject.get_attributes_for_oid(oid)[0].value)

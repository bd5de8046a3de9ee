"""The two sets of files that keep themselves renewed: a node's, named as Docker names its own, and an identity's.

An identity is that of a secret driver or a node's agent, and its files are those that ``--identity`` expects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from ca.errors import InvalidCertificate
from ca.identity import identity_of
from swarmsec.wiring.nodes.identityfiles import IDENTITY, FileNames


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKind:
    """One of the two."""

    files: FileNames
    subject_of: Callable[[x509.Certificate], object]
    """What a certificate says of who has it; raises ``CaError`` for one that is of another kind."""
    way_back: str
    """What to do about an expired certificate; ``{name}`` is whose it is."""

    @property
    def certificate(self) -> str:
        """The certificate's file."""
        return self.files.certificate

    @property
    def key(self) -> str:
        """The key's file."""
        return self.files.key

    @property
    def roots(self) -> str:
        """The file of the roots to trust."""
        return self.files.root

    @property
    def next_certificate(self) -> str:
        """Where a new certificate waits for its key to be moved."""
        return f".{self.files.certificate}"

    @property
    def next_key(self) -> str:
        """Where a new key waits for its certificate."""
        return f".{self.files.key}"

    @property
    def window(self) -> str:
        """Where it stands when the certificate is to be renewed."""
        return f".{self.files.key.removesuffix('.key')}.renewal"


def client_name_of(certificate: x509.Certificate) -> tuple[str, str]:
    """The cluster and name of an identity's certificate.

    Raises:
        InvalidCertificate: unless the subject is exactly one O and one CN.
    """
    attributes = list(certificate.subject)
    if [attribute.oid for attribute in attributes] != [NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME]:
        raise InvalidCertificate("expected a subject of O=cluster id, CN=name")
    cluster_id, name = (str(attribute.value) for attribute in attributes)
    return cluster_id, name


NODE_FILES: Final = FileKind(
    files=FileNames(certificate="swarm-node.crt", key="swarm-node.key", root="swarm-root-ca.crt"),
    subject_of=identity_of,
    way_back=(
        "get a token with: swarmsec ca token create --role recover --node-name {name}; "
        "then: swarmsec node recover --server URL --token TOKEN --dir DIR"
    ),
)
IDENTITY_FILES: Final = FileKind(
    files=IDENTITY,
    subject_of=client_name_of,
    way_back=(
        "get a token of its role, made with 'swarmsec ca token create'; "
        "then into another directory: swarmsec access enrol --server URL --token TOKEN --dir DIR"
    ),
)

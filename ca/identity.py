"""Who a node is: its cluster, its role and its id, and how a certificate says so.

SwarmKit writes a node's identity into the subject of its certificate, in this order: O is the cluster id, OU the role,
CN the node id. Authorisation on port 2377 reads these three and nothing else (swarmkit, ca/auth.go), so they are parsed
strictly here and there is no other way to make a ``NodeIdentity``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import NameOID

from ca import base36
from ca.algorithms import PARSE_ERRORS
from ca.errors import InvalidCertificate, InvalidRequest
from ca.hosts import is_name, parse_host

CA_HOST = "swarm-ca"
"""The name under which managers answer certificate requests; only managers may carry it."""

MAX_ID_LENGTH = 63
RANDOM_ID_BYTES = 17
_RANDOM_ID_LENGTH = 25

# A FIPS cluster is known by the prefix of its id (swarmkit, manager/fips.go); the rest is lower case as everywhere.
_CLUSTER_ID = re.compile(r"(?:FIPS\.)?[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_NODE_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")


class NodeRole(StrEnum):
    """The role of a node; the value is the OU of its certificate."""

    WORKER = "swarm-worker"
    MANAGER = "swarm-manager"

    @property
    def word(self) -> str:
        """The role as people and Docker's API say it: ``worker`` or ``manager``."""
        return self.value.removeprefix("swarm-")


# NOTE: a node id becomes a DNS name of the certificate. With one of these as its id, a worker could pose as a manager
# to every node that checks the server name "swarm-manager", or as a local service.
RESERVED_IDS = frozenset({CA_HOST, NodeRole.WORKER.value, NodeRole.MANAGER.value, "localhost"})


@lru_cache(maxsize=16)
def parse_cluster_id(text: str) -> str:
    """Check a cluster id: SwarmKit's 25 base-36 characters, or a chosen one.

    Args:
        text: 1 to 63 characters of ``a-z0-9._-`` that begin and end with a letter or digit, optionally after ``FIPS.``.

    Raises:
        InvalidRequest: for any other text.
    """
    return _parse_id(text, _CLUSTER_ID, what="cluster id")


def parse_node_id(text: str) -> str:
    """Check a node id: SwarmKit's 25 base-36 characters, or a chosen node name.

    Args:
        text: 1 to 63 characters of ``a-z0-9._-`` that begin and end with a letter or digit, also a DNS name, and
            neither an IP address nor one of the names that only roles may carry.

    Raises:
        InvalidRequest: for any other text.
    """
    node_id = _parse_id(text, _NODE_ID, what="node id")
    if node_id in RESERVED_IDS:
        raise InvalidRequest(f"expected a node id that is no reserved name, got {node_id!r}")
    if not is_name(node_id) and not isinstance(parse_host(node_id), str):
        raise InvalidRequest(f"expected a node id that is no IP address, got {node_id!r}")
    return node_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """One node of one cluster in one role.

    Args:
        cluster_id: as ``parse_cluster_id`` accepts.
        role: worker or manager.
        node_id: as ``parse_node_id`` accepts.

    Raises:
        InvalidRequest: when an id is not acceptable.
    """

    cluster_id: str
    role: NodeRole
    node_id: str

    def __post_init__(self) -> None:
        parse_cluster_id(self.cluster_id)
        parse_node_id(self.node_id)


def new_id(random17: bytes) -> str:
    """Make an id exactly as SwarmKit's ``identity.NewID`` does.

    Args:
        random17: 17 bytes from a cryptographic source.

    Returns:
        25 characters of ``0-9a-z``, about 129 bits.

    Raises:
        InvalidRequest: when there are not exactly 17 bytes.
    """
    if len(random17) != RANDOM_ID_BYTES:
        raise InvalidRequest(f"expected {RANDOM_ID_BYTES} random bytes, got {len(random17)}")
    # The set top bit makes the number 27 digits long whatever the rest is, so that no padding is needed.
    number = int.from_bytes(random17, "big") | 1 << (8 * RANDOM_ID_BYTES - 1)
    return base36.encode(number, width=27)[1 : _RANDOM_ID_LENGTH + 1]


def subject_of(identity: NodeIdentity) -> x509.Name:
    """The subject of a node's certificate: O, OU, CN in SwarmKit's order."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.cluster_id),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, identity.role.value),
            x509.NameAttribute(NameOID.COMMON_NAME, identity.node_id),
        ]
    )


def identity_of(certificate: x509.Certificate) -> NodeIdentity:
    """Read the identity from a node's certificate.

    Args:
        certificate: one whose chain was verified by the caller; only its subject is read here.

    Raises:
        InvalidCertificate: unless the subject is exactly one O, one OU and one CN, in this order, each acceptable.
    """
    try:
        attributes = [attribute for rdn in certificate.subject.rdns for attribute in rdn]
        cluster_id, role, node_id = (str(attribute.value) for attribute in attributes)
        if [attribute.oid for attribute in attributes] != _SUBJECT_ORDER or len(certificate.subject.rdns) != 3:
            raise ValueError("other attributes")
        return NodeIdentity(cluster_id=cluster_id, role=NodeRole(role), node_id=node_id)
    except (*PARSE_ERRORS, InvalidRequest) as error:
        raise InvalidCertificate("expected a subject of O=cluster id, OU=role, CN=node id") from error


def hosts_of(identity: NodeIdentity) -> tuple[str, ...]:
    """The DNS names of a node's certificate, in SwarmKit's order: role, node id, and for managers ``swarm-ca``."""
    names = (str(identity.role), identity.node_id)
    return (*names, CA_HOST) if identity.role is NodeRole.MANAGER else names


_SUBJECT_ORDER = [NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME]


def _parse_id(text: str, grammar: re.Pattern[str], *, what: str) -> str:
    """Check length and grammar."""
    if not 1 <= len(text) <= MAX_ID_LENGTH:
        raise InvalidRequest(f"expected a {what} of 1 to {MAX_ID_LENGTH} characters, got {len(text)}")
    if grammar.fullmatch(text) is None:
        raise InvalidRequest(f"expected a {what} of a-z, 0-9 and inner . _ -, got {text!r}")
    return text

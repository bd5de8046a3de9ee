"""Putting a new certificate where a stopped engine keeps its expired one: in place, for the key that is there.

Docker's layout: ``DATA-ROOT/swarm/certificates`` with ``swarm-node.crt``, ``swarm-node.key`` and ``swarm-root-ca.crt``
(swarmkit, ca/config.go). The key file is not touched: beside the key it holds what opens a manager's raft log, and may
be locked.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from ca import pem
from ca.algorithms import PARSE_ERRORS
from ca.bundle import parse_certificate
from ca.errors import CaError
from ca.identity import NodeIdentity, identity_of
from swarmsec.atomicfile import write_atomically
from swarmsec.errors import NotFound, Unavailable, UsageProblem
from swarmsec.keys.signers import SealedKeys
from swarmsec.openedfile import open_to_read
from swarmsec.services.ca.authority import load_authority
from swarmsec.services.ca.issued_certificates import certificate_pem
from swarmsec.services.nodes.revive_node import revive_node
from swarmsec.services.records import CertificateRecord
from swarmsec.services.requester import Requester
from swarmsec.wiring.ca.authority import served_lifetime_of
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.nodes.nodefiles import CERTIFICATE, MAX_FILE, ROOTS, writing

HELD_BY_ENGINE: Final = ("volumes/metadata.db", "buildkit/metadata_v2.db", "buildkit/cache.db")
"""Databases that an engine keeps locked (bbolt, flock(2)) for as long as it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revived:
    """A node that can be started again."""

    identity: NodeIdentity
    record: CertificateRecord


def certificates_of(data_root: Path) -> Path:
    """Where an engine with this data directory keeps its node's files.

    Raises:
        NotFound: it keeps none there.
        Unavailable: the engine runs.
    """
    directory = data_root / "swarm" / "certificates"
    if not directory.is_dir():
        hint = (
            "name Docker's data directory, /var/lib/docker where nobody moved it: docker info -f '{{.DockerRootDir}}'"
        )
        raise NotFound(f"no swarm certificates below {data_root}", hint=hint)
    _verify_stopped(data_root)
    return directory


def revive(home: Home, keys: SealedKeys, data_root: Path, requester: Requester) -> Revived:
    """Give a stopped engine's node a new certificate.

    Raises:
        NotFound, UsageProblem: there are no files of a node.
        Unavailable: the engine runs, or a file cannot be written.
        Denied: the certificate is not ours, has not expired, or was revoked.
    """
    directory = certificates_of(data_root)
    present = _read_certificate(directory / CERTIFICATE)
    lifetime = served_lifetime_of(home.config)

    with writing(directory):
        record, bundle = home.store.write(
            lambda transaction: (
                revive_node(transaction, authority := load_authority(transaction, keys, lifetime), present, requester),
                authority.bundle_pem,
            )
        )
        if _content(directory / ROOTS) != bundle:
            # The node missed a rotation: it would know nobody under the root that it has.
            write_atomically(directory / ROOTS, bundle, mode=0o644)
        write_atomically(directory / CERTIFICATE, certificate_pem(record), mode=0o644)
    return Revived(identity=identity_of(present), record=record)


def _verify_stopped(data_root: Path) -> None:
    for name in HELD_BY_ENGINE:
        with suppress(FileNotFoundError):
            descriptor = os.open(data_root / name, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Unavailable(
                    f"a Docker Engine is running on {data_root}", hint="stop it first: systemctl stop docker"
                ) from None
            finally:
                os.close(descriptor)


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        certificate = parse_certificate(pem.parse_blocks(_content(path), "CERTIFICATE")[0])
        identity_of(certificate)
    except (*PARSE_ERRORS, CaError):
        raise UsageProblem(f"expected a node's certificate in {path}", hint="name Docker's data directory") from None
    return certificate


def _content(path: Path) -> bytes:
    try:
        with open_to_read(path) as file:
            return file.read(MAX_FILE)
    except FileNotFoundError:
        raise NotFound(f"no {path}", hint="the engine has left its Swarm; let it join again") from None

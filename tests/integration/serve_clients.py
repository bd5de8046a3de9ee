"""Clients of a served home: keys and certificates, connections, and the nodes of another Swarm."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ca.identity import NodeIdentity, NodeRole, hosts_of
from ca.issuing import Issuer, issue_root, serial_from
from ca.profiles import swarm_node, validity
from swarmsec.brokentls import forget_broken
from tests.peers.cfssl import build_node_csr
from tests.unit.ca.authority import KeySigner, issue_leaf

SECONDS = 30.0
"""Bound of every wait; reached only when something is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """A private key, the certificate for it, and the file that has both."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    file: Path

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json()["error"]["message"])


class Connection:
    """One kept-alive connection.

    Args:
        host, port: where the server listens.
        bearer: shows this certificate; anonymous without.
        roots: verifies the server under these; not at all without.
    """

    def __init__(self, host: str, port: int, bearer: Bearer | None = None, roots: bytes | None = None) -> None:
        self.http = http.client.HTTPSConnection(host, port, context=context(bearer, roots), timeout=SECONDS)

    def __enter__(self) -> Self:
        self.http.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        if error is not None:
            forget_broken()

    def ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Send a request and read its answer.

        Raises:
            OSError, http.client.HTTPException: the server ended the connection.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self.http.auto_open = 0
        self.http.request(method, path, body=body, headers=headers)
        response = self.http.getresponse()
        return Answer(
            status=response.status,
            headers={name.lower(): value for name, value in response.getheaders()},
            body=response.read(),
        )

    def is_closed(self) -> bool:
        """Whether the server has ended this idle connection."""
        self.http.sock.settimeout(0.05)
        try:
            return self.http.sock.recv(1) == b""
        except TimeoutError:
            return False
        except (OSError, ssl.SSLError):
            return True


def context(bearer: Bearer | None = None, roots: bytes | None = None) -> ssl.SSLContext:
    """A client's TLS context."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if roots is None:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made.load_verify_locations(cadata=roots.decode("ascii"))
    if bearer is not None:
        made.load_cert_chain(bearer.file)
    return made


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def spki_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def join_body(token: str, key: ec.EllipticCurvePrivateKey, name: str | None = None) -> bytes:
    """The body of a join request."""
    members = {"token": token, "csr": build_node_csr(key).decode()}
    return json.dumps(members | ({"name": name} if name is not None else {})).encode()


class ForeignSwarm:
    """A Swarm's own root, as an engine makes it, and certificates of its nodes.

    Args:
        cluster_id: the organization of its nodes.
        directory: where the bearers' files go.
    """

    def __init__(self, cluster_id: str, directory: Path) -> None:
        self._key = new_key()
        self._directory = directory
        self._count = 0
        self.cluster_id = cluster_id
        self._now = datetime.now(UTC)
        signer = KeySigner(key=self._key)
        root = issue_root(signer, serial=serial_from(os.urandom(20)), now=self._now)
        self._issuer = Issuer(x509.load_der_x509_certificate(root), signer)
        self.root_pem = self._issuer.certificate.public_bytes(Encoding.PEM)

    def node(self, role: NodeRole, node_id: str, cluster_id: str | None = None) -> Bearer:
        """A node's certificate."""
        identity = NodeIdentity(cluster_id=cluster_id or self.cluster_id, role=role, node_id=node_id)
        key = new_key()
        leaf = issue_leaf(
            self._issuer,
            profile=swarm_node(role),
            subject=identity,
            spki_der=spki_of(key),
            hosts=hosts_of(identity),
            validity=validity(self._now, timedelta(days=1), issuer_not_after=self._issuer.not_after),
            serial=serial_from(os.urandom(20)),
        )
        self._count += 1
        certificate = x509.load_der_x509_certificate(leaf)
        file = self._directory / f"foreign-{id(self)}-{self._count}.pem"
        file.write_bytes(pem_of(key) + certificate.public_bytes(Encoding.PEM))
        return Bearer(key=key, certificate=certificate, file=file)

"""The issuing engine alone: from a signing request in PEM to a certificate in PEM, beside what OpenSSL allows.

A certificate takes at least one verification, of the request, and one signature. What ``openssl speed`` does of these
a second on one core is the bound; ours adds all reading, writing and checking. Both are counted in processor time.

The engine works in groups, as ``serve`` calls it: requests that came at the same time are checked together, and the
certificates of a transaction are signed together. Here a group is smaller than those that ``serve`` has from 64
connections, which are 19 requests and 26 certificates on average. Python looks for garbage as seldom as in ``serve``.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.measure import Figure, measure_pairs
from ca.errors import InvalidRequest
from ca.identity import NodeIdentity, NodeRole, hosts_of, new_id
from ca.issuing import Issuer, LeafOrder, issue_leaves, issue_root, serial_from
from ca.pem import write_block
from ca.profiles import Profile, validity
from ca.requests import SigningRequest, parse_signing_requests
from swarmsec.wiring.process.collecting import collect_seldom

AIM = 0.45
REQUESTS = 2000
GROUP = 16
ROUNDS = 15
_SPEED = re.compile(r"nistp256\)\s+\S+\s+\S+\s+([\d.]+)\s+([\d.]+)")


class KeySigner:
    """A signer over a key in memory."""

    signature_hash = "sha256"

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._algorithm = ec.ECDSA(hashes.SHA256())
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self.public_key_der = self.key.public_key().public_bytes(serialization.Encoding.DER, form)

    def sign(self, message: bytes) -> bytes:
        """Sign with ECDSA and SHA-256."""
        return self.key.sign(message, self._algorithm)


def run() -> list[Figure]:
    """Measure certificates a second of one core."""
    requests = [build_request() for _ in range(REQUESTS)]
    issuer = _issuer()
    collect_seldom()
    return [
        measure_pairs(
            "issuing engine",
            "`openssl speed ecdsap256`, one verify and one sign",
            "certificates/s of one core",
            ours=lambda: _issue_all(issuer, requests),
            theirs=_bound,
            aim=AIM,
            at_least=True,
            rounds=ROUNDS,
        )
    ]


def build_request() -> bytes:
    """A signing request of a new key, in the form that nodes send, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def _issuer() -> Issuer:
    signer = KeySigner()
    root = issue_root(signer, serial=serial_from(os.urandom(20)), now=datetime.now(UTC).replace(microsecond=0))
    return Issuer(x509.load_der_x509_certificate(root), signer)


def _issue_all(issuer: Issuer, requests: Sequence[bytes]) -> float:
    cluster_id, *node_ids = (new_id(os.urandom(17)) for _ in range(len(requests) + 1))
    started = time.process_time()
    for start in range(0, len(requests), GROUP):
        group = slice(start, start + GROUP)
        _issue(issuer, cluster_id, node_ids[group], requests[group])
    return len(requests) / (time.process_time() - started)


def _issue(issuer: Issuer, cluster_id: str, node_ids: Sequence[str], requests: Sequence[bytes]) -> list[bytes]:
    checked = parse_signing_requests(requests)
    orders = [
        _order(issuer, NodeIdentity(cluster_id=cluster_id, role=NodeRole.WORKER, node_id=node_id), request)
        for node_id, request in zip(node_ids, checked, strict=True)
    ]
    return [write_block(leaf, "CERTIFICATE") for leaf in issue_leaves(orders)]


def _order(issuer: Issuer, identity: NodeIdentity, request: SigningRequest | InvalidRequest) -> LeafOrder:
    if isinstance(request, InvalidRequest):
        raise request
    return LeafOrder(
        issuer,
        Profile.SWARM_WORKER,
        identity,
        request.spki_der,
        hosts_of(identity),
        validity(datetime.now(UTC).replace(microsecond=0), issuer_not_after=issuer.not_after),
        serial_from(os.urandom(20)),
    )


def _bound() -> float:
    """Certificates a second if one cost a verification and a signature and nothing else."""
    command = ["openssl", "speed", "-seconds", "1", "ecdsap256"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = _SPEED.search(done.stdout)
    if found is None:
        raise RuntimeError("openssl speed showed no rates of nistp256")
    signs, verifies = (float(rate) for rate in found.groups())
    return 1 / (1 / signs + 1 / verifies)

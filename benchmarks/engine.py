"""The issuing engine alone: from a signing request in PEM to a certificate in PEM, beside what OpenSSL allows.

A certificate takes at least one verification, of the request, and one signature. What ``openssl speed`` does of these
a second on one core is the bound; ours adds all reading, writing and checking. Both are counted in processor time.
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
from ca.identity import NodeIdentity, NodeRole, hosts_of, new_id
from ca.issuing import Issuer, issue_leaf, issue_root, serial_from
from ca.pem import write_block
from ca.profiles import Profile, validity
from ca.requests import parse_signing_request

AIM = 0.45
REQUESTS = 2000
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
    for node_id, request in zip(node_ids, requests, strict=True):
        _issue(issuer, cluster_id, node_id, request)
    return len(requests) / (time.process_time() - started)


def _issue(issuer: Issuer, cluster_id: str, node_id: str, request: bytes) -> bytes:
    identity = NodeIdentity(cluster_id=cluster_id, role=NodeRole.WORKER, node_id=node_id)
    leaf = issue_leaf(
        issuer,
        profile=Profile.SWARM_WORKER,
        subject=identity,
        spki_der=parse_signing_request(request).spki_der,
        hosts=hosts_of(identity),
        validity=validity(datetime.now(UTC).replace(microsecond=0), issuer_not_after=issuer.not_after),
        serial=serial_from(os.urandom(20)),
    )
    return write_block(leaf, "CERTIFICATE")


def _bound() -> float:
    """Certificates a second if one cost a verification and a signature and nothing else."""
    command = ["openssl", "speed", "-seconds", "1", "ecdsap256"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = _SPEED.search(done.stdout)
    if found is None:
        raise RuntimeError("openssl speed showed no rates of nistp256")
    signs, verifies = (float(rate) for rate in found.groups())
    return 1 / (1 / signs + 1 / verifies)

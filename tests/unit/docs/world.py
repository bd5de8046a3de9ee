"""What examples take for granted: policy documents that fit them, a table of cases, the root of some Swarm."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import CertificateSigningRequestBuilder, Name

from tests.unit.ca.authority import new_issuer

POLICIES: Final = """\
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata: {name: shop}
spec:
  rules:
    - {secrets: ["team/app/*"], services: ["shop_*"], effect: allow}
---
apiVersion: swarmsec.dev/v1
kind: RotationPolicy
metadata: {name: shop}
spec:
  rules:
    - {secrets: ["team/**"], maxAge: 90d}
---
apiVersion: swarmsec.dev/v1
kind: TrustPolicy
metadata: {name: default}
spec:
  scopes:
    - {images: ["**"], level: enforce, minSigners: 1, maxAge: 90d}
"""

CASES: Final = """\
apiVersion: swarmsec.dev/v1
kind: PolicyTest
metadata: {name: shop}
spec:
  cases:
    - {name: unattached services get nothing, request: {secret: team/app/db, service: shop_api}, expect: deny}
"""


def new_root() -> bytes:
    """A root that is not ours, PEM."""
    return new_issuer().certificate.public_bytes(Encoding.PEM)


def new_request() -> bytes:
    """A signing request of some program, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return (
        CertificateSigningRequestBuilder().subject_name(Name([])).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    )

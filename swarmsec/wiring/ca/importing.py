"""A root made elsewhere, and its private key, read from files before anything is made of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ca.algorithms import MAX_RSA_BITS, MIN_RSA_BITS
from ca.bundle import parse_bundle
from ca.imported_roots import verify_importable_root
from ca.issuing import Issuer
from swarmsec.errors import UsageProblem
from swarmsec.keys.signers import SealedSigner
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ca.init_authority import ImportedRoot

MAX_CERTIFICATE: Final = 65_536
MAX_KEY: Final = 16_384


def parse_imported_root(certificate_pem: bytes, key_pem: bytes, *, now: datetime) -> ImportedRoot:
    """Check a root and its key.

    Args:
        certificate_pem: one certificate, PEM.
        key_pem: its private key, PEM, not encrypted: EC on P-256 or P-384, or RSA from 2048 bits.
        now: aware of its zone.

    Raises:
        UsageProblem: there are several certificates, or the key is none that is accepted.
        ca.errors.InvalidCertificate: the certificate is no root that an authority may be founded on, or the key is
            another's.
    """
    roots = parse_bundle(certificate_pem)
    if len(roots) != 1:
        raise UsageProblem(f"expected one root certificate, got {len(roots)}", hint="import the root that shall sign")
    root = verify_importable_root(roots[0], now=now)
    key, kind = _parse_key(key_pem)
    # The key signs once here, and must prove to be the certificate's.
    Issuer(root, SealedSigner(key))
    encoded = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return ImportedRoot(certificate=root.public_bytes(Encoding.DER), key=SecretBytes(encoded), key_type=kind)


def _parse_key(pem: bytes) -> tuple[ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, str]:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise UsageProblem(
            "expected a private key that is not encrypted", hint="decrypt it with: openssl pkey -in FILE -out FILE"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageProblem("expected a private key in PEM") from None
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        return key, f"p{key.curve.key_size}"
    if isinstance(key, rsa.RSAPrivateKey) and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        return key, "rsa"
    raise UsageProblem(f"expected an EC key on P-256 or P-384, or an RSA key of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")

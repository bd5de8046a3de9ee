"""Roots as other authorities could have made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from tests.unit.ca.authority import HASHES, NOW, Hash, new_serial, p256

BEGIN = NOW.replace(microsecond=0) - timedelta(days=30)
END = NOW.replace(microsecond=0) + timedelta(days=3650)
KEY = p256()
_HASHES: dict[str | None, Hash | hashes.SHA3_256 | None] = {"sha3-256": hashes.SHA3_256(), None: None}
_HASHES.update(HASHES)
Extension = tuple[x509.ExtensionType, bool]


def usage(*, cert_sign: bool = True, crl_sign: bool = True) -> x509.KeyUsage:
    return x509.KeyUsage(True, False, False, False, False, cert_sign, crl_sign, False, False)


CONSTRAINTS: Extension = (x509.BasicConstraints(ca=True, path_length=None), True)
KEY_ID: Extension = (x509.SubjectKeyIdentifier(b"made elsewhere"), False)
EXTENSIONS: Sequence[Extension] = (CONSTRAINTS, (usage(), True), KEY_ID)


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A root as another authority could have made it."""

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = KEY
    signing_key: ec.EllipticCurvePrivateKey | None = None
    name: Sequence[str] = ("An older root",)
    begin: datetime = BEGIN
    end: datetime = END
    hash_name: str | None = "sha384"
    extensions: Sequence[Extension] = EXTENSIONS

    def made(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in self.name])
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), new_serial(), self.begin, self.end)
        for value, critical in self.extensions:
            builder = builder.add_extension(value, critical=critical)
        return builder.sign(self.signing_key or self.key, _HASHES[self.hash_name])


GOOD = Foreign()

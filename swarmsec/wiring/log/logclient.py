"""A server's log, read by whoever has an identity that may: an auditor, or a witness."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from swarmsec.errors import UsageProblem
from swarmsec.wiring.log.logsources import MAX_FILE, ServedLog, read_file
from swarmsec.wiring.nodes.authorityclient import KeyPair, parse_server, send
from swarmsec.wiring.nodes.identityfiles import IDENTITY

_MAX_PEM = 262_144
_PREFIX = "/log/"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogClient:
    """How to reach one server's log."""

    base: str
    roots: bytes
    pair: KeyPair

    @classmethod
    def of(cls, server: str | None, identity: Path | None) -> Self:
        """From ``--server`` and ``--identity``.

        Raises:
            UsageProblem: one of them is missing or wrong.
            NotFound: a file of the identity is missing.
        """
        if server is None or identity is None:
            raise UsageProblem(
                "expected --server URL and --identity DIR",
                hint="make one with: swarmsec access add NAME --role auditor --out DIR",
            )
        return cls(
            base=parse_server(server),
            roots=read_file(identity / IDENTITY.root, limit=_MAX_PEM),
            pair=_load_pair(identity),
        )

    def log(self) -> ServedLog:
        """The server's log."""

        def fetch(path: str) -> bytes | None:
            return send("GET", self.base, _PREFIX + path, roots=self.roots, pair=self.pair, limit=MAX_FILE)

        return ServedLog(fetch)

    def give_cosigned(self, note: bytes) -> None:
        """Hand in a checkpoint with cosignatures.

        Raises:
            Denied, UsageProblem, Unavailable: as the server says.
        """
        send("POST", self.base, f"{_PREFIX}cosignatures", roots=self.roots, pair=self.pair, body=note)


def _load_pair(identity: Path) -> KeyPair:
    try:
        key = load_pem_private_key(read_file(identity / IDENTITY.key, limit=_MAX_PEM), password=None)
        certificate = x509.load_pem_x509_certificate(read_file(identity / IDENTITY.certificate, limit=_MAX_PEM))
    except (ValueError, TypeError):
        raise UsageProblem(f"expected a key and a certificate in {identity}, got something else") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageProblem(f"expected an EC key in {identity}")
    return KeyPair(key=key, certificate=certificate)

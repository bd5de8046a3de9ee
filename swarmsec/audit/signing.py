"""An Ed25519 key (RFC 8032) that signs notes: a log's, or a witness's."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from swarmsec.audit.notes import KeyKind, VerifierKey
from swarmsec.secretbytes import SecretBytes

SEED_BYTES: Final = 32


class SeedSigner:
    """A private key made of its seed. It signs; it does not print, copy or export itself.

    Args:
        name: of the key.
        kind: what its signatures say.
        seed: 32 secret bytes.
    """

    __slots__ = ("_private", "key")

    def __init__(self, name: str, kind: KeyKind, seed: SecretBytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key = VerifierKey(name=name, kind=kind, public_key=public)

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of a signature."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"<signer {self.key.name}>"

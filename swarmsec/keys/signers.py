"""Private keys in the sealed store, or in a token, which come to others only as something that signs."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ca.issuing import Signer
from swarmsec.errors import IntegrityFailure, KeyUnavailable, NotFound
from swarmsec.keys.keyring import KeyRing
from swarmsec.keys.tokenaccess import TokenAccess
from swarmsec.keys.tokens import Tokens
from swarmsec.keys.tokenuri import is_token_key, parse_token_uri
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ports import Transaction
from swarmsec.services.records import KeyKind

_CURVES: Final[dict[KeyKind, ec.EllipticCurve]] = {KeyKind.P256: ec.SECP256R1(), KeyKind.P384: ec.SECP384R1()}
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384()}
_ECDSA: Final = {name: ec.ECDSA(chosen_hash) for name, chosen_hash in _HASHES.items()}


class SealedSigner:
    """A key that was opened from the sealed store. It signs; it does not print, copy or export itself."""

    __slots__ = ("_hash", "_key", "public_key_der", "signature_hash")

    def __init__(self, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
        self._key = key
        self.public_key_der = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        large = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256
        self.signature_hash = "sha384" if large else "sha256"
        self._hash = _HASHES[self.signature_hash]

    def sign(self, message: bytes) -> bytes:
        """Hash and sign: DER of an ECDSA signature, or RSA PKCS #1 v1.5."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(message, padding.PKCS1v15(), self._hash)
        return self._key.sign(message, _ECDSA[self.signature_hash])

    def __repr__(self) -> str:
        return f"<signer {self.signature_hash}>"


class SealedKeys:
    """The ``Keys`` port over a key ring, and over tokens for the keys that are there.

    Args:
        ring: opens what is sealed.
        tokens: those of the home, where it has some.
    """

    def __init__(self, ring: KeyRing, tokens: Tokens | None = None) -> None:
        self.ring = ring
        self.tokens = tokens or Tokens(TokenAccess())

    def put(self, transaction: Transaction, name: str, value: SecretBytes) -> None:
        """Seal a value; the caller logs the entry."""
        self.ring.put(transaction, name, value)

    def get(self, transaction: Transaction, name: str) -> SecretBytes:
        """Open a value."""
        return self.ring.get(transaction, name)

    def destroy(self, transaction: Transaction, name: str) -> None:
        """Forget a value or a private key for good; the caller logs the entry. One in a token stays in its token."""
        transaction.sealed.remove(name)

    def create_signer(self, transaction: Transaction, name: str, kind: KeyKind) -> Signer:
        """Make a private key and keep it; the caller logs the entry."""
        key = ec.generate_private_key(_CURVES[kind])
        encoded = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.ring.put(transaction, name, SecretBytes(encoded))
        return SealedSigner(key)

    def signer(self, transaction: Transaction, name: str) -> Signer:
        """Open a private key.

        Raises:
            KeyUnavailable: it is in a token, which cannot be used now or does not show it.
            IntegrityFailure: what is kept under the name is not a private key that signs here.
        """
        if is_token_key(name):
            try:
                return self.tokens.signer(parse_token_uri(name))
            except NotFound as error:
                # A token that is being pulled may show nothing for a moment before it is gone.
                raise KeyUnavailable(str(error), hint=error.hint) from None
        opened = self.ring.get(transaction, name)
        try:
            key = serialization.load_der_private_key(opened.reveal(), password=None)
        except ValueError:
            raise IntegrityFailure(f"expected a private key in the sealed record {name}") from None
        finally:
            opened.wipe()
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise IntegrityFailure(f"expected an EC or RSA key in the sealed record {name}")
        return SealedSigner(key)

"""Public keys of signers: which kinds count, and when two are the same key.

A key's id is text that anybody may choose (TUF specification, section 4.2: clients compare ids, not keys). So keys
are told apart by their material here, and one key under two ids is refused before it can count twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from securesystemslib.exceptions import FormatError
from securesystemslib.signer import Key, SSlibKey

from notary.errors import ChangeRefused, InvalidKey

MAX_KEY_BYTES: Final = 8192
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
SCHEMES: Final = {
    ("ecdsa", "ecdsa-sha2-nistp256"),
    ("ecdsa", "ecdsa-sha2-nistp384"),
    ("ed25519", "ed25519"),
    ("rsa", "rsassa-pss-sha256"),
}
"""What other TUF clients read as well: no vendor's key types, no hash that is broken."""

_PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


def key_of(public: object) -> SSlibKey:
    """Make the TUF key of a public key of ``cryptography``.

    Raises:
        InvalidKey: its kind or size is not one that counts.
    """
    match public:
        case ec.EllipticCurvePublicKey() if isinstance(public.curve, ec.SECP256R1 | ec.SECP384R1):
            return SSlibKey.from_crypto(public)
        case ed25519.Ed25519PublicKey():
            return SSlibKey.from_crypto(public)
        case rsa.RSAPublicKey() if MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS:
            return SSlibKey.from_crypto(public, scheme="rsassa-pss-sha256")
        case _:
            raise InvalidKey("expected a key on P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits")


def key_of_spki(der: bytes) -> SSlibKey:
    """Make the TUF key of a SubjectPublicKeyInfo in DER.

    Raises:
        InvalidKey: it is none, or of a kind that does not count.
    """
    try:
        return key_of(serialization.load_der_public_key(der))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidKey("expected a public key in DER") from None


def parse_public_key(data: bytes) -> SSlibKey:
    """Parse a public key in PEM (SubjectPublicKeyInfo).

    Raises:
        InvalidKey: it is none, or of a kind that does not count.
    """
    if len(data) > MAX_KEY_BYTES:
        raise InvalidKey(f"expected a public key of at most {MAX_KEY_BYTES} bytes")
    try:
        return key_of(serialization.load_pem_public_key(data))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidKey("expected a public key in PEM") from None


def parse_key(keyid: str, members: Mapping[str, Any]) -> SSlibKey:
    """Parse a key as metadata has it.

    Raises:
        InvalidKey: it is none, or of a kind that does not count.
    """
    try:
        key = Key.from_dict(keyid, {**members, "keyval": dict(members.get("keyval") or {})})
        if not isinstance(key, SSlibKey) or (key.keytype, key.scheme) not in SCHEMES:
            raise InvalidKey("expected a key of a type and scheme that counts")
        _material(key.keytype, key.keyval["public"])
    except (KeyError, ValueError, TypeError, AttributeError, FormatError, UnsupportedAlgorithm):
        raise InvalidKey("expected a public key with type, scheme and value") from None
    return key


def material_of(key: Key) -> bytes:
    """What makes a key that key: its SubjectPublicKeyInfo in DER, however its id and text are written.

    Raises:
        InvalidKey: it is of no kind that counts.
    """
    try:
        return _material(key.keytype, key.keyval["public"])
    except (KeyError, ValueError, TypeError, AttributeError, UnsupportedAlgorithm):
        raise InvalidKey("expected a public key of a kind that counts") from None


def verify_distinct(keys: Iterable[Key]) -> None:
    """Refuse keys of which two are the same, whatever their ids.

    Raises:
        ChangeRefused: names both.
    """
    seen: dict[bytes, str] = {}
    for key in keys:
        material = material_of(key)
        if material in seen:
            raise ChangeRefused(
                f"expected different keys, got one key twice: {seen[material][:16]} and {key.keyid[:16]}",
                hint="a threshold counts keys; give each signer one of their own",
            )
        seen[material] = key.keyid


@lru_cache(maxsize=16_384)
def _material(keytype: str, public: str) -> bytes:
    """The SubjectPublicKeyInfo of a key's text; kept, because every repository's key is looked at in every change."""
    if keytype == "ed25519":
        key: object = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    else:
        key = serialization.load_pem_public_key(public.encode())
    key_of(key)
    if not isinstance(key, _PublicKey):
        raise TypeError("another kind of key")
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

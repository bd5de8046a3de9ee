"""Which keys and signature algorithms are accepted, and how the algorithms are written.

The list is SwarmKit's (swarmkit, ca/certificates.go): RSA from 2048 bits or ECDSA on P-256, P-384 or P-521, signed
with SHA-256, SHA-384 or SHA-512. A node would refuse a root with anything else, Ed25519 included.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from functools import lru_cache
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ca import der
from ca.errors import CaError

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

PARSE_ERRORS = (
    ValueError,
    TypeError,
    Warning,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What ``cryptography`` raises for malformed input; its warnings are among them where a filter makes them errors."""

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
# FIPS 186-5, A.1.1, asks for more than 2^16; Go's crypto/rsa takes no exponent above 2^31 - 1.
_MIN_RSA_EXPONENT = 65537
_MAX_RSA_EXPONENT = 2**31 - 1


class KeyType(StrEnum):
    """The kinds of public keys that certificates may hold."""

    P256 = "p256"
    P384 = "p384"
    P521 = "p521"
    RSA = "rsa"


class SignatureAlgorithm(Enum):
    """The accepted signature algorithms: object identifier, whether it is RSA, hash (RFC 5758, RFC 4055)."""

    ECDSA_SHA256 = ("1.2.840.10045.4.3.2", False, "sha256")
    ECDSA_SHA384 = ("1.2.840.10045.4.3.3", False, "sha384")
    ECDSA_SHA512 = ("1.2.840.10045.4.3.4", False, "sha512")
    RSA_SHA256 = ("1.2.840.113549.1.1.11", True, "sha256")
    RSA_SHA384 = ("1.2.840.113549.1.1.12", True, "sha384")
    RSA_SHA512 = ("1.2.840.113549.1.1.13", True, "sha512")

    def __init__(self, oid: str, is_rsa: bool, hash_name: str) -> None:
        self.oid = oid
        """The object identifier in dotted form."""
        self.is_rsa = is_rsa
        """Whether an RSA key signs, PKCS #1 v1.5; otherwise an ECDSA key."""
        self.hash_name = hash_name
        """``sha256``, ``sha384`` or ``sha512``."""
        self.der = der.sequence(der.oid(oid), der.NULL if is_rsa else b"")
        """The AlgorithmIdentifier: parameters are NULL for RSA and absent for ECDSA (RFC 5758, section 3.2)."""


_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_ECDSA = {name: ec.ECDSA(chosen_hash) for name, chosen_hash in _HASHES.items()}
P256_SPKI_START = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""What a SubjectPublicKeyInfo on P-256 begins with; the 64 octets of the point follow (RFC 5480, section 2)."""
P256_SPKI_LENGTH = 91


def parse_public_key(spki_der: bytes, *, refusal: type[CaError]) -> PublicKey:
    """Read a SubjectPublicKeyInfo.

    Args:
        spki_der: the DER of the structure and nothing after it.
        refusal: which error to raise.

    Raises:
        CaError: the ``refusal``, for anything but an accepted key in its canonical form.
    """
    try:
        key = _read_key(spki_der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise refusal("expected a public key in DER") from error
    # An uncompressed point on P-256 has one encoding, and cryptography has just read that one. To ask it for the kind
    # of key again, which is an abstract class, takes as long as all else here.
    if spki_der.startswith(P256_SPKI_START):
        return cast(ec.EllipticCurvePublicKey, key)
    accepted, _ = accept_key(key, refusal=refusal)
    if spki_der_of(accepted) != spki_der:
        raise refusal("expected a public key in its canonical DER")
    return accepted


def accept_key(key: object, *, refusal: type[CaError]) -> tuple[PublicKey, KeyType]:
    """Accept a public key of an allowed kind and size, or refuse it.

    Args:
        key: any public key object of ``cryptography``.
        refusal: which error to raise.

    Raises:
        CaError: the ``refusal``, naming what was found.
    """
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return key, KeyType.P256
        case ec.EllipticCurvePublicKey(curve=ec.SECP384R1()):
            return key, KeyType.P384
        case ec.EllipticCurvePublicKey(curve=ec.SECP521R1()):
            return key, KeyType.P521
        case rsa.RSAPublicKey():
            return _accept_rsa(key, refusal), KeyType.RSA
        case _:
            raise refusal(f"expected an RSA, P-256, P-384 or P-521 key, got {_kind_of(key)}")


def _kind_of(key: object) -> str:
    return f"one on {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__


def spki_der_of(key: PublicKey) -> bytes:
    """The canonical SubjectPublicKeyInfo of a key, DER."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def algorithm_of(oid: str, key: PublicKey, *, refusal: type[CaError]) -> SignatureAlgorithm:
    """The signature algorithm of an object identifier, if it is accepted and suits the key.

    Raises:
        CaError: the ``refusal``, naming the identifier.
    """
    for algorithm in SignatureAlgorithm:
        if algorithm.oid == oid and algorithm.is_rsa == isinstance(key, rsa.RSAPublicKey):
            return algorithm
    raise refusal(f"expected a signature of the key with SHA-256, SHA-384 or SHA-512, got algorithm {oid}")


def algorithm_for(key: PublicKey, hash_name: str, *, refusal: type[CaError]) -> SignatureAlgorithm:
    """The signature algorithm of a key with a hash.

    Raises:
        CaError: the ``refusal``, when the hash is not one of SHA-256, SHA-384 and SHA-512.
    """
    for algorithm in SignatureAlgorithm:
        if algorithm.hash_name == hash_name and algorithm.is_rsa == isinstance(key, rsa.RSAPublicKey):
            return algorithm
    raise refusal(f"expected sha256, sha384 or sha512, got {hash_name!r}")


def verify_signature(
    key: PublicKey, algorithm: SignatureAlgorithm, signature: bytes, message: bytes, *, refusal: type[CaError]
) -> None:
    """Check a signature over a message.

    Args:
        key: the signer's.
        algorithm: one that suits the key.
        signature: DER of an ECDSA signature, or the RSA signature.
        message: what was signed, not its hash.
        refusal: which error to raise.

    Raises:
        CaError: the ``refusal``, when the signature is not valid.
    """
    try:
        if algorithm.is_rsa:
            cast(rsa.RSAPublicKey, key).verify(signature, message, padding.PKCS1v15(), _HASHES[algorithm.hash_name])
        else:
            cast(ec.EllipticCurvePublicKey, key).verify(signature, message, _ECDSA[algorithm.hash_name])
    except InvalidSignature as error:
        raise refusal("signature is not valid") from error


@lru_cache(maxsize=512)
def _read_key(spki_der: bytes) -> object:
    """A public key of any kind; a request's is asked for again when its certificate is made."""
    return serialization.load_der_public_key(spki_der)


def _accept_rsa(key: rsa.RSAPublicKey, refusal: type[CaError]) -> rsa.RSAPublicKey:
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise refusal(f"expected an RSA key of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, got {key.key_size}")
    exponent = key.public_numbers().e
    if not _MIN_RSA_EXPONENT <= exponent <= _MAX_RSA_EXPONENT or exponent % 2 == 0:
        raise refusal("expected an odd RSA exponent from 65537 to 2147483647")
    return key

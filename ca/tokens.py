"""Join tokens, byte for byte as Docker writes them.

``SWMTKN-1-<digest>-<secret>`` or ``SWMTKN-2-<flag>-<digest>-<secret>``, where the flag 1 says that only nodes in FIPS
mode may join. The digest authenticates the cluster to the node: SHA-256 over the exact bytes of the root bundle, so
that other line ends or another order are another token. The secret authenticates the node to the cluster. Which role a
token gives is known to who issued it, not written in it (swarmkit, ca/config.go).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from ca import base36
from ca.errors import InvalidToken

SECRET_BYTES = 16
DIGEST_BYTES = 32
_SECRET_WIDTH = 25
_DIGEST_WIDTH = 50
_MAX_LENGTH = len("SWMTKN-2-0-") + _DIGEST_WIDTH + 1 + _SECRET_WIDTH
_HINT = "copy the whole token as 'swarmsec ca token worker' prints it"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JoinToken:
    """A join token; ``repr`` and ``str`` hide its secret, comparison takes constant time.

    Args:
        digest: SHA-256 of the root bundle, 32 bytes.
        secret: 16 bytes.
        fips: the flag of a version 2 token; None for version 1, which has none.

    Raises:
        InvalidToken: when digest or secret have another length.
    """

    digest: bytes
    secret: bytes = field(repr=False)
    fips: bool | None = None

    def __post_init__(self) -> None:
        if len(self.digest) != DIGEST_BYTES or len(self.secret) != SECRET_BYTES:
            raise InvalidToken(f"expected a digest of {DIGEST_BYTES} bytes and a secret of {SECRET_BYTES} bytes")

    @classmethod
    def parse(cls, text: str) -> JoinToken:
        """Read a token.

        Args:
            text: the token alone, no white space around it.

        Raises:
            InvalidToken: for any other text; the message never repeats it.
        """
        if len(text) > _MAX_LENGTH:
            raise InvalidToken(f"expected a join token of at most {_MAX_LENGTH} characters", hint=_HINT)
        match text.split("-"):
            case ["SWMTKN", "1", digest, secret]:
                return cls._of_parts(digest, secret, fips=None)
            case ["SWMTKN", "2", ("0" | "1") as flag, digest, secret]:
                return cls._of_parts(digest, secret, fips=flag == "1")
            case _:
                raise InvalidToken("expected a join token that begins with SWMTKN-1- or SWMTKN-2-", hint=_HINT)

    @classmethod
    def build(cls, bundle_pem: bytes, secret16: bytes, *, fips: bool | None = None) -> JoinToken:
        """Make the token of a root bundle.

        Args:
            bundle_pem: exactly the bytes that joining nodes will be served.
            secret16: 16 bytes from a cryptographic source.
            fips: None for a version 1 token, which every Docker understands.

        Raises:
            InvalidToken: when the secret is not 16 bytes long.
        """
        return cls(digest=digest_of_bundle(bundle_pem), secret=secret16, fips=fips)

    def format(self) -> str:
        """The token as text, with its secret."""
        version = "1" if self.fips is None else f"2-{int(self.fips)}"
        digest = base36.encode(int.from_bytes(self.digest, "big"), width=_DIGEST_WIDTH)
        secret = base36.encode(int.from_bytes(self.secret, "big"), width=_SECRET_WIDTH)
        return f"SWMTKN-{version}-{digest}-{secret}"

    def is_same(self, other: JoinToken) -> bool:
        """Compare two tokens wholly, in constant time."""
        return hmac.compare_digest(self._octets(), other._octets())

    def __eq__(self, other: object) -> bool:
        return self.is_same(other) if isinstance(other, JoinToken) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # secrets are never dictionary keys

    def _octets(self) -> bytes:
        """All of the token, in lengths that are always the same."""
        version = 0 if self.fips is None else 1 + self.fips
        return bytes([version]) + self.digest + self.secret

    @classmethod
    def _of_parts(cls, digest: str, secret: str, *, fips: bool | None) -> JoinToken:
        try:
            digest_number = base36.decode(digest, width=_DIGEST_WIDTH, bits=8 * DIGEST_BYTES)
            secret_number = base36.decode(secret, width=_SECRET_WIDTH, bits=8 * SECRET_BYTES)
        except ValueError:
            raise InvalidToken("expected digest and secret in base 36 and in range", hint=_HINT) from None
        return cls(
            digest=digest_number.to_bytes(DIGEST_BYTES, "big"),
            secret=secret_number.to_bytes(SECRET_BYTES, "big"),
            fips=fips,
        )


def digest_of_bundle(pem: bytes) -> bytes:
    """The digest that a join token carries.

    Args:
        pem: the bundle exactly as it is served, final newline included.

    Returns:
        SHA-256 over these bytes, 32 bytes.
    """
    return hashlib.sha256(pem).digest()

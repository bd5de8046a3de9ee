"""Seals: ways to get the root key back.

A seal wraps the root key under a key of its own, AES-256-GCM, with the store, the seal and its parameters as
associated data. ``file`` takes 32 bytes from a file outside the home, so that a copied home is no theft;
``passphrase`` derives them with Argon2id (RFC 9106). Parameters come back from the database and are bounded before
they are used, or a forged row could ask for all memory of the machine.
"""

from __future__ import annotations

import json
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from swarmsec.errors import IntegrityFailure
from swarmsec.keys.errors import WrongUnlock
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.envelope import KEY_BYTES, NONCE_BYTES, Random, frame

FORMAT: Final = 1
FILE: Final = "file"
PASSPHRASE: Final = "passphrase"  # noqa: S105  # the name of a kind of seal
ARGON2_LANES: Final = 4
ARGON2_PASSES: Final = 3
ARGON2_KIB: Final = 262_144
"""Second recommended choice of RFC 9106 section 4, with four times its memory."""
_MAX_LANES, _MAX_PASSES, _MAX_KIB = 16, 16, 2_097_152
_SALT_BYTES: Final = 16
MIN_PASSPHRASE: Final = 12


def new_params(kind: str, random: Random) -> str:
    """Parameters for a new seal of this kind."""
    members: dict[str, object] = {"format": FORMAT, "suite": "aes-256-gcm"}
    if kind == PASSPHRASE:
        members |= {
            "kdf": "argon2id",
            "salt": random(_SALT_BYTES).hex(),
            "lanes": ARGON2_LANES,
            "passes": ARGON2_PASSES,
            "kib": ARGON2_KIB,
        }
    return json.dumps(members, sort_keys=True, separators=(",", ":"))


def seal_key(kind: str, params: str, given: SecretBytes) -> SecretBytes:
    """The seal's own key.

    Args:
        kind: ``file`` or ``passphrase``.
        params: from ``new_params``.
        given: the file's 32 bytes, or the passphrase in UTF-8.

    Raises:
        IntegrityFailure: parameters that this version does not know or will not afford.
    """
    members = _parse_params(params)
    match kind:
        case "file":
            return given
        case "passphrase":
            return _stretch(given, members)
        case _:
            raise IntegrityFailure(f"expected a seal of kind file or passphrase, got {kind!r:.40}")


def wrap_root(key: SecretBytes, root: SecretBytes, context: bytes, random: Random) -> bytes:
    """Wrap the root key; ``context`` is from ``seal_context``."""
    nonce = random(NONCE_BYTES)
    return nonce + AESGCM(key.reveal()).encrypt(nonce, root.reveal(), context)


def unwrap_root(key: SecretBytes, wrapped: bytes, context: bytes) -> SecretBytes:
    """Get the root key back.

    Raises:
        WrongUnlock: the key does not fit, or the seal was altered.
    """
    if len(key) != KEY_BYTES:
        raise WrongUnlock(f"expected a seal key of {KEY_BYTES} bytes, got {len(key)}")
    try:
        return SecretBytes(AESGCM(key.reveal()).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context))
    except (InvalidTag, ValueError):
        raise WrongUnlock(
            "the seal does not open with what was given", hint="check the passphrase, or [seal] path in swarmsec.toml"
        ) from None


def seal_context(store_id: str, seal_id: str, kind: str, params: str) -> bytes:
    """The associated data of a seal."""
    return frame(b"swarmsec/seal/v1", store_id.encode(), seal_id.encode(), kind.encode(), params.encode())


def _parse_params(params: str) -> dict[str, Any]:
    try:
        members = json.loads(params)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict) or members.get("format") != FORMAT or members.get("suite") != "aes-256-gcm":
        raise IntegrityFailure(f"expected seal parameters of format {FORMAT}")
    return members


def _stretch(passphrase: SecretBytes, members: dict[str, Any]) -> SecretBytes:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    salt, costs = members.get("salt"), [members.get(name) for name in ("lanes", "passes", "kib")]
    lanes, passes, kib = (cost if type(cost) is int else 0 for cost in costs)
    affordable = 1 <= lanes <= _MAX_LANES and 1 <= passes <= _MAX_PASSES and 8 * lanes <= kib <= _MAX_KIB
    salted = isinstance(salt, str) and len(salt) == 2 * _SALT_BYTES
    if members.get("kdf") != "argon2id" or not salted or not affordable:
        raise IntegrityFailure("expected Argon2id parameters within this version's bounds")
    try:
        kdf = Argon2id(salt=bytes.fromhex(str(salt)), length=KEY_BYTES, iterations=passes, lanes=lanes, memory_cost=kib)
    except ValueError:
        raise IntegrityFailure("expected Argon2id parameters within this version's bounds") from None
    return SecretBytes(kdf.derive(passphrase.reveal()))

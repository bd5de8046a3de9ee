"""Make envelope_v1.json anew, from the written format alone: nothing here comes from swarmsec.

Run: python tests/vectors/secretstore/make_envelope_v1.py > tests/vectors/secretstore/envelope_v1.json
"""

from __future__ import annotations

import hashlib
import hmac
import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CASES = (
    ("a short value", 1, 1, 1_700_000_000, b"swordfish"),
    ("an empty value", 1, 2, 0, b""),
    ("name/with é and \U0001d11e", 4_294_967_295, 2**63 - 1, 2**40, bytes(range(256))),
)
STORE = "2f9e0a3c-5d1b-4c7e-8f60-1a2b3c4d5e6f"


def framed(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand of RFC 5869 for one block of SHA-256."""
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def stretched(seed: str, count: int) -> bytes:
    """Bytes that look random and can be made again."""
    return hashlib.shake_256(seed.encode()).digest(count)


def case(number: int, name: str, term: int, version: int, created: int, plaintext: bytes) -> dict[str, object]:
    term_key, data_key = stretched(f"term {number}", 32), stretched(f"data {number}", 32)
    body_nonce, wrap_nonce = stretched(f"body {number}", 12), stretched(f"wrap {number}", 12)
    where = framed(b"\x01\x01", STORE.encode(), name.encode(), version.to_bytes(8, "big") + created.to_bytes(8, "big"))
    wrap_data = framed(b"term", term.to_bytes(4, "big"), where)
    wrapping_key = expand(term_key, framed(b"swarmsec/wrap/v1", wrap_data))
    commitment = expand(data_key, framed(b"swarmsec/commit/v1", where))
    wrapped = b"\x01\x01" + term.to_bytes(4, "big") + wrap_nonce
    wrapped += AESGCM(wrapping_key).encrypt(wrap_nonce, data_key, wrap_data) + commitment
    body = b"\x01\x01" + body_nonce + AESGCM(data_key).encrypt(body_nonce, plaintext, where)
    return {
        "store_id": STORE,
        "name": name,
        "term": term,
        "version": version,
        "created": created,
        "term_key": term_key.hex(),
        "random": [data_key.hex(), body_nonce.hex(), wrap_nonce.hex()],
        "plaintext": plaintext.hex(),
        "wrapped_key": wrapped.hex(),
        "body": body.hex(),
    }


if __name__ == "__main__":
    print(json.dumps([case(number, *values) for number, values in enumerate(CASES)], indent=2))

"""Make seals_v1.json anew, from the written format alone: nothing here comes from swarmsec.

Run: python tests/vectors/keys/make_seals_v1.py > tests/vectors/keys/seals_v1.json
"""

from __future__ import annotations

import hashlib
import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

STORE = "2f9e0a3c-5d1b-4c7e-8f60-1a2b3c4d5e6f"
SEAL = "0123456789abcdef"
ROOT = hashlib.sha256(b"root").digest()
NONCE = hashlib.sha256(b"nonce").digest()[:12]
KEY_FILE = hashlib.sha256(b"key file").digest()
PASSPHRASE = "correct horse battery staple é"
SALT = hashlib.sha256(b"salt").digest()[:16]
PLAIN = {"format": 1, "suite": "aes-256-gcm"}
STRETCHED = PLAIN | {"kdf": "argon2id", "salt": SALT.hex(), "lanes": 1, "passes": 1, "kib": 64}


def framed(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def case(kind: str, members: dict[str, object], given: bytes, key: bytes) -> dict[str, str]:
    params = json.dumps(members, sort_keys=True, separators=(",", ":"))
    context = framed(*(part.encode() for part in ("swarmsec/seal/v1", STORE, SEAL, kind, params)))
    return {
        "store_id": STORE,
        "seal_id": SEAL,
        "kind": kind,
        "params": params,
        "given": given.hex(),
        "root": ROOT.hex(),
        "wrapped_root": (NONCE + AESGCM(key).encrypt(NONCE, ROOT, context)).hex(),
    }


if __name__ == "__main__":
    derived = Argon2id(salt=SALT, length=32, iterations=1, lanes=1, memory_cost=64).derive(PASSPHRASE.encode())
    cases = [case("file", PLAIN, KEY_FILE, KEY_FILE), case("passphrase", STRETCHED, PASSPHRASE.encode(), derived)]
    print(json.dumps(cases, indent=2))

"""Makes tlog_v1.json from the specifications alone; see README.md. Run it with any Python that has cryptography."""

import base64
import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ENTRIES = [b"entry %d" % number for number in range(7)]
TIME = 1_777_000_000


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def mth(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def key(name: str, kind: int, number: int) -> tuple[Ed25519PrivateKey, bytes, str]:
    private = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
    material = bytes([kind]) + private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key_id = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    return private, key_id, f"{name}+{key_id.hex()}+{b64(material)}"


leaves = [hashlib.sha256(b"\0" + entry).digest() for entry in ENTRIES]
log_name, witness_name = "swarmsec.example/log/1", "witness.example/w0"
log, log_id, log_vkey = key(log_name, 1, 1)
witness, witness_id, witness_vkey = key(witness_name, 4, 100)
text = f"{log_name}\n7\n{b64(mth(leaves))}\n"
signed = f"\u2014 {log_name} {b64(log_id + log.sign(text.encode()))}\n"
cosignature = TIME.to_bytes(8, "big") + witness.sign(f"cosignature/v1\ntime {TIME}\n{text}".encode())
cosigned = f"\u2014 {witness_name} {b64(witness_id + cosignature)}\n"
# PATH(3, D[7]) and PROOF(3, D[7]) of RFC 6962 section 2.1.3, whose example tree has seven leaves:
# PATH(3) = [c, g, l]; PROOF(3) = [c, d, g, l], where l is called right.
g, right = mth(leaves[:2]), mth(leaves[4:])
hashes = "".join(f"{b64(value)}\n" for value in (leaves[2], g, right))
proof = f"c2sp.org/tlog-proof@v1\nextra {b64(ENTRIES[3])}\nindex 3\n{hashes}\n{text}\n{signed}{cosigned}"
hashes = "".join(f"{b64(value)}\n" for value in (leaves[2], leaves[3], g, right))
request = f"old 3\n{hashes}\n{text}\n{signed}"
document = {
    "log_key": log_vkey,
    "witness_key": witness_vkey,
    "checkpoint": f"{text}\n{signed}{cosigned}",
    "time": TIME,
    "proof": proof,
    "old_root": b64(mth(leaves[:3])),
    "add_checkpoint": request,
    "bundle": b"".join(len(entry).to_bytes(2, "big") + entry for entry in ENTRIES).hex(),
}
Path(__file__).with_name("tlog_v1.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")

"""A checker of transparency logs that shares no code with the product, written from the specifications.

RFC 6962 section 2.1 (tree hash and both proofs, in its recursive words), and C2SP ``signed-note``, ``tlog-checkpoint``,
``tlog-cosignature``, ``tlog-tiles``, ``tlog-proof``. It is slow and short on purpose. Everything that does not hold
raises ``Wrong``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Wrong(Exception):
    """What was checked does not hold."""


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def leaf(data: bytes) -> bytes:
    """MTH({d(0)}) = SHA-256(0x00 || d(0))."""
    return sha256(b"\0" + data)


def mth(leaves: list[bytes]) -> bytes:
    """MTH over leaf hashes."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:]))


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: list[bytes]) -> list[bytes]:
    """PROOF(m, D[n])."""
    return subproof(m, leaves, whole=True)


def subproof(m: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole=whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], whole=False), mth(leaves[:k])]


def root_from_path(leaf_hash: bytes, m: int, n: int, hashes: list[bytes]) -> bytes:
    """The root that an audit path leads to, by the recursion of PATH read backwards."""
    if n == 1:
        if hashes:
            raise Wrong("path too long")
        return leaf_hash
    if not hashes:
        raise Wrong("path too short")
    k = split(n)
    if m < k:
        return sha256(b"\1" + root_from_path(leaf_hash, m, k, hashes[:-1]) + hashes[-1])
    return sha256(b"\1" + hashes[-1] + root_from_path(leaf_hash, m - k, n - k, hashes[:-1]))


def roots_from_proof(
    m: int, n: int, hashes: list[bytes], old_root: bytes, *, whole: bool = True
) -> tuple[bytes, bytes]:
    """Both roots that a consistency proof leads to, by the recursion of SUBPROOF read backwards."""
    if m == n:
        if whole:
            if hashes:
                raise Wrong("proof too long")
            return old_root, old_root
        if len(hashes) != 1:
            raise Wrong("proof of the wrong length")
        return hashes[0], hashes[0]
    if not hashes:
        raise Wrong("proof too short")
    k = split(n)
    if m <= k:
        old, new = roots_from_proof(m, k, hashes[:-1], old_root, whole=whole)
        return old, sha256(b"\1" + new + hashes[-1])
    old, new = roots_from_proof(m - k, n - k, hashes[:-1], old_root, whole=False)
    return sha256(b"\1" + hashes[-1] + old), sha256(b"\1" + hashes[-1] + new)


@dataclass(frozen=True)
class Key:
    """A verifier key."""

    name: str
    id: bytes
    kind: int
    public: bytes

    @classmethod
    def read(cls, text: str) -> Key:
        name, key_id, encoded = text.split("+", 2)
        material = base64.b64decode(encoded, validate=True)
        if sha256(name.encode() + b"\n" + material)[:4].hex() != key_id:
            raise Wrong("key id")
        return cls(name=name, id=bytes.fromhex(key_id), kind=material[0], public=material[1:])

    def verify(self, signature: bytes, message: bytes) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            raise Wrong(f"signature of {self.name}") from None


@dataclass(frozen=True)
class Head:
    """A verified checkpoint."""

    origin: str
    size: int
    root: bytes
    witnesses: tuple[str, ...]


def checkpoint(note: bytes, log: Key, witnesses: tuple[Key, ...] = ()) -> Head:
    """Verify a checkpoint and those of its cosignatures that are of known witnesses."""
    text, _, below = note.decode().rpartition("\n\n")
    text += "\n"
    origin, size, root = text.split("\n")[:3]
    if origin != log.name:
        raise Wrong("origin")
    signed, cosigned = False, []
    for line in below.removesuffix("\n").split("\n"):
        dash, name, encoded = line.split(" ")
        decoded = base64.b64decode(encoded, validate=True)
        if dash != "\u2014":
            raise Wrong("signature line")
        if (name, decoded[:4]) == (log.name, log.id):
            log.verify(decoded[4:], text.encode())
            signed = True
        for witness in witnesses:
            if (name, decoded[:4]) == (witness.name, witness.id):
                time = int.from_bytes(decoded[4:12], "big")
                witness.verify(decoded[12:], f"cosignature/v1\ntime {time}\n{text}".encode())
                cosigned.append(name)
    if not signed:
        raise Wrong("no signature of the log")
    return Head(origin=origin, size=int(size), root=base64.b64decode(root), witnesses=tuple(cosigned))


def tlog_proof(data: bytes, log: Key, witnesses: tuple[Key, ...] = (), entry: bytes | None = None) -> tuple[int, bytes]:
    """Verify a proof file; returns the entry's number and bytes."""
    head, _, note = data.partition(b"\n\n")
    lines = head.decode().split("\n")
    if lines.pop(0) != "c2sp.org/tlog-proof@v1":
        raise Wrong("first line")
    if lines[0].startswith("extra "):
        entry = base64.b64decode(lines.pop(0)[6:])
    if entry is None:
        raise Wrong("no entry")
    index = int(lines.pop(0).removeprefix("index "))
    found = checkpoint(note, log, witnesses)
    if index >= found.size:
        raise Wrong("index")
    if root_from_path(leaf(entry), index, found.size, [base64.b64decode(line) for line in lines]) != found.root:
        raise Wrong("inclusion")
    return index, entry


def number_path(number: int) -> str:
    """A tile's number as path elements."""
    text = str(number)
    text = text.zfill(-(-len(text) // 3) * 3)
    parts = [text[at : at + 3] for at in range(0, len(text), 3)]
    return "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])


def read_tile(directory: Path, level: str, number: int, width: int) -> bytes:
    """A tile of a directory in the layout of ``tlog-tiles``."""
    suffix = "" if width == 256 else f".p/{width}"
    return (directory / "tile" / level / f"{number_path(number)}{suffix}").read_bytes()


def export(directory: Path, log: Key, witnesses: tuple[Key, ...] = (), *, minimum: int = 0) -> tuple[Head, list[bytes]]:
    """Verify a whole exported log: every tile of every level, every entry from ``minimum`` on, and the checkpoint.

    Entries before ``minimum`` may be missing in whole bundles.
    """
    head = checkpoint((directory / "checkpoint").read_bytes(), log, witnesses)
    leaves = _level_zero(directory, head.size)
    if mth(leaves) != head.root:
        raise Wrong("root")
    level, row = 0, leaves
    while len(row) >= 256:
        row = [mth(row[at : at + 256]) for at in range(0, len(row) - 255, 256)]
        level += 1
        for number in range(-(-len(row) // 256)):
            part = row[number * 256 : number * 256 + 256]
            if read_tile(directory, str(level), number, len(part)) != b"".join(part):
                raise Wrong(f"tile {number} of level {level}")
    entries: list[bytes] = []
    for number in range(-(-head.size // 256)):
        width = min(256, head.size - number * 256)
        if number * 256 + width <= minimum:
            continue
        data, at = read_tile(directory, "entries", number, width), 0
        for index in range(number * 256, number * 256 + width):
            length = int.from_bytes(data[at : at + 2], "big")
            entry = data[at + 2 : at + 2 + length]
            at += 2 + length
            if index >= minimum:
                if leaf(entry) != leaves[index] or json.loads(entry)["seq"] != index:
                    raise Wrong(f"entry {index}")
                entries.append(entry)
        if at != len(data):
            raise Wrong(f"bundle {number}")
    return head, entries


def _level_zero(directory: Path, size: int) -> list[bytes]:
    leaves: list[bytes] = []
    for number in range(-(-size // 256)):
        width = min(256, size - number * 256)
        data = read_tile(directory, "0", number, width)
        if len(data) != 32 * width:
            raise Wrong(f"tile {number}")
        leaves += [data[at : at + 32] for at in range(0, len(data), 32)]
    return leaves

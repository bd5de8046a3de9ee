"""Logs and keys for the tests of proofs: fixed seeds, so that the same bytes come each time."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from swarmsec.audit.checkpoints import Checkpoint
from swarmsec.audit.entry import leaf_hash
from swarmsec.audit.notes import KeyKind, VerifierKey
from swarmsec.audit.proofs import root_of
from swarmsec.audit.tiles import WIDTH, TileTree, tile_hash

ORIGIN = "swarmsec.example/log/1"


@dataclass(frozen=True)
class FixedSigner:
    """A note signer made of a number."""

    name: str
    number: int
    kind: KeyKind

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.number.to_bytes(32, "big"))

    @property
    def key(self) -> VerifierKey:
        public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return VerifierKey(name=self.name, kind=self.kind, public_key=public)

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


LOG = FixedSigner(ORIGIN, 1, KeyKind.LOG)
WITNESSES = [FixedSigner(f"witness.example/w{number}", 100 + number, KeyKind.COSIGNER) for number in range(3)]


@dataclass
class FixedLog:
    """A log of numbered entries in memory, read through tiles."""

    size: int
    salt: bytes = b"entry"
    leaves: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.leaves = [leaf_hash(self.entry(number)) for number in range(self.size)]
        self._rows = [self.leaves]

    def entry(self, number: int) -> bytes:
        return self.salt + b" %d" % number

    def tile(self, level: int, index: int) -> list[bytes]:
        while len(self._rows) <= level:
            below = self._rows[-1]
            full = range(0, len(below) - WIDTH + 1, WIDTH)
            self._rows.append([tile_hash(below[at : at + WIDTH]) for at in full])
        return self._rows[level][index * WIDTH : (index + 1) * WIDTH]

    @property
    def tree(self) -> TileTree:
        return TileTree(self.tile)

    def checkpoint(self, size: int | None = None, origin: str = ORIGIN) -> Checkpoint:
        wanted = self.size if size is None else size
        return Checkpoint(origin=origin, size=wanted, root=root_of(wanted, self.tree))

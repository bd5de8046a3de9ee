"""The Merkle tree over the stored entries, read through tiles.

Level 0 is the entries' own leaf hashes; the hashes of full tiles are kept beside them as the log is signed, so that no
proof reads more than a tile of each level. Whoever relies on a proof verifies it; nothing here is believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, Select, bindparam, delete, func, select

from swarmsec.audit.entry import HASH_BYTES
from swarmsec.audit.errors import EntryInvalid
from swarmsec.audit.tiles import HEIGHT, WIDTH, TileTree, tile_hash, width_at
from swarmsec.storage.insertbuffer import InsertBuffer
from swarmsec.storage.logtables import audit_tiles
from swarmsec.storage.statements import fetch_all
from swarmsec.storage.tables import audit_entries

_TILES_AT_ONCE: Final = 64
_LEAVES: Final = (
    select(audit_entries.c.leaf_hash)
    .where(audit_entries.c.seq >= bindparam("first"), audit_entries.c.seq < bindparam("end"))
    .order_by(audit_entries.c.seq)
)
_KEPT: Final = (
    select(audit_tiles.c.hash)
    .where(
        audit_tiles.c.level == bindparam("at"),
        audit_tiles.c.number >= bindparam("first"),
        audit_tiles.c.number < bindparam("end"),
    )
    .order_by(audit_tiles.c.number)
)


class LogTree:
    """The tree of one database, as a transaction sees it.

    Args:
        connection: of the transaction.
        size: how many entries count; what came later is not looked at.
    """

    def __init__(self, connection: Connection, size: int) -> None:
        self._connection = connection
        self.size = size

    def tile(self, level: int, index: int) -> list[bytes]:
        """The hashes of a tile in the tree of this size.

        Raises:
            EntryInvalid: hashes are missing, or of another kind than we write.
        """
        width = width_at(self.size, level, index)
        first = index * WIDTH
        found = self._leaves(first, width) if level == 0 else self._kept(level, first, width)
        if len(found) != width:
            raise EntryInvalid(f"tile {index} of level {level}: expected {width} hashes in the store, got {len(found)}")
        return found

    def nodes(self) -> TileTree:
        """What proofs are made from."""
        return TileTree(self.tile)

    def extend(self) -> None:
        """Keep the hashes of the tiles that are full in the tree of this size; the transaction is a writing one."""
        buffer = InsertBuffer(self._connection)
        level = 1
        while wanted := self.size >> (HEIGHT * level):
            kept = self._count(level)
            for number in range(kept, wanted):
                buffer.add(
                    audit_tiles, {"level": level, "number": number, "hash": tile_hash(self.tile(level - 1, number))}
                )
                if number % _TILES_AT_ONCE == 0:
                    buffer.flush()
            buffer.flush()
            level += 1

    def is_true(self) -> bool:
        """Whether every kept hash is that of the tile below it, and belongs to a full tile of this tree."""
        kept = select(audit_tiles).order_by(audit_tiles.c.level, audit_tiles.c.number)
        level, below = 0, self._full_tiles(0)
        for row in self._connection.execute(kept):
            while level < row.level - 1 and row.number == 0:
                level, below = level + 1, self._full_tiles(level + 1)
            if level != row.level - 1 or next(below, None) != (row.number, row.hash):
                return False
        return True

    def forget(self) -> None:
        """Drop the kept hashes, for ``extend`` to make them anew."""
        self._connection.execute(delete(audit_tiles))

    def _full_tiles(self, level: int) -> Iterator[tuple[int, bytes]]:
        """The full tiles of a level in order, by number and hash."""
        full = (self.size >> (HEIGHT * level)) // WIDTH
        return ((number, tile_hash(self.tile(level, number))) for number in range(full))

    def _count(self, level: int) -> int:
        newest = self._connection.execute(select(func.max(audit_tiles.c.number)).where(audit_tiles.c.level == level))
        number = newest.scalar_one()
        return 0 if number is None else int(number) + 1

    def _leaves(self, first: int, width: int) -> list[bytes]:
        return self._hashes(_LEAVES, first, {"first": first, "end": first + width})

    def _kept(self, level: int, first: int, width: int) -> list[bytes]:
        return self._hashes(_KEPT, first, {"first": first, "end": first + width, "at": level})

    def _hashes(self, statement: Select[tuple[bytes]], first: int, values: dict[str, int]) -> list[bytes]:
        found: list[bytes] = [value for (value,) in fetch_all(self._connection, statement, values)]
        # SQLite keeps a value of any kind in any column.
        if any(type(value) is not bytes or len(value) != HASH_BYTES for value in found):
            raise EntryInvalid(f"from log entry {first} on: expected hashes in the store, got something else")
        return found

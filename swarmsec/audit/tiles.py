"""Tiles: the tree and its entries as files that never change (C2SP ``tlog-tiles``).

A tile holds up to 256 hashes of one level, a level being eight heights of the tree; an entry bundle holds the entries
of a tile of level 0, each behind its length in 16 bits. What is said here is where things lie and what they look like;
others keep them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from swarmsec.audit.errors import LogFormatInvalid
from swarmsec.audit.merkle import row_hash

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
MAX_LEVEL: Final = 63
MAX_INDEX: Final = 2**55
"""A tile beyond this one would begin past the largest tree."""
_HASH_BYTES: Final = 32
_LENGTH_BYTES: Final = 2
_MAX_ENTRY: Final = 65_535
_NUMBER: Final = re.compile(r"(?:x[0-9]{3}/){0,6}[0-9]{3}", re.ASCII)
_PARTIAL: Final = re.compile(r"\.p/([1-9][0-9]{0,2})\Z", re.ASCII)
_LEVEL: Final = re.compile(r"0|[1-9][0-9]?", re.ASCII)
ENTRIES: Final = "entries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Where a tile is: level (None for an entry bundle), index in it, and how many of its 256 places are filled."""

    level: int | None
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Its path below the log's prefix, such as ``tile/0/x001/x234/067.p/5``."""
        level = ENTRIES if self.level is None else str(self.level)
        suffix = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_number_path(self.index)}{suffix}"

    @property
    def first(self) -> int:
        """The index of its first hash in its level, or of its first entry."""
        return self.index * WIDTH

    @classmethod
    def parse(cls, path: str) -> Self:
        """Read a path.

        Raises:
            LogFormatInvalid: it is none; there is one path for one tile.
        """
        head, _, rest = path.partition("/")
        level, _, number = rest.partition("/")
        partial = _PARTIAL.search(number)
        width = int(partial[1]) if partial else WIDTH
        digits = number[: partial.start()] if partial else number
        well_formed = head == "tile" and (level == ENTRIES or _LEVEL.fullmatch(level)) and _NUMBER.fullmatch(digits)
        if not well_formed or (partial and width >= WIDTH):
            raise _no_path(path)
        index = int(digits.replace("x", "").replace("/", ""))
        tile = cls(level=None if level == ENTRIES else int(level), index=index, width=width)
        if tile.path != path or index > MAX_INDEX or (tile.level or 0) > MAX_LEVEL:
            raise _no_path(path)
        return tile


def _number_path(index: int) -> str:
    parts = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        parts.append(f"x{index % 1000:03d}")
    return "/".join(reversed(parts))


def _no_path(path: str) -> LogFormatInvalid:
    return LogFormatInvalid(f"expected the path of a tile such as tile/0/x001/067, got {path!r:.80}")


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile of a tree, level by level; the last of each may be partial."""
    level, count = 0, size
    while count:
        full, partial = divmod(count, WIDTH)
        yield from (Tile(level=level, index=index) for index in range(full))
        if partial:
            yield Tile(level=level, index=full, width=partial)
        level, count = level + 1, full


def bundles_of(size: int) -> Iterator[Tile]:
    """Every entry bundle of a tree."""
    full, partial = divmod(size, WIDTH)
    yield from (Tile(level=None, index=index) for index in range(full))
    if partial:
        yield Tile(level=None, index=full, width=partial)


def width_at(size: int, level: int, index: int) -> int:
    """How many places of a tile are filled in a tree of a size: 0 to 256."""
    return max(0, min(WIDTH, (size >> (HEIGHT * level)) - index * WIDTH))


def parse_tile(data: bytes, width: int) -> list[bytes]:
    """The hashes of a tile.

    Raises:
        LogFormatInvalid: it is of another length.
    """
    if len(data) != width * _HASH_BYTES:
        raise LogFormatInvalid(f"expected a tile of {width * _HASH_BYTES} bytes, got {len(data)}")
    return [data[start : start + _HASH_BYTES] for start in range(0, len(data), _HASH_BYTES)]


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """An entry bundle.

    Raises:
        ValueError: an entry is longer than 16 bits can say.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > _MAX_ENTRY:
            raise ValueError(f"expected an entry of at most {_MAX_ENTRY} bytes, got {len(entry)}")
        parts += (len(entry).to_bytes(_LENGTH_BYTES, "big"), entry)
    return b"".join(parts)


def parse_bundle(data: bytes, width: int) -> list[bytes]:
    """The entries of a bundle.

    Raises:
        LogFormatInvalid: it holds more or fewer, or ends inside one.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(data[at:begin], "big")
        if begin > len(data) or at > len(data) or len(entries) == width:
            raise LogFormatInvalid(f"expected {width} entries in a bundle, got something else")
        entries.append(data[begin:at])
    if len(entries) != width:
        raise LogFormatInvalid(f"expected {width} entries in a bundle, got {len(entries)}")
    return entries


def tile_hash(hashes: Sequence[bytes]) -> bytes:
    """The Merkle tree hash over a power of two of hashes of one height."""
    return row_hash(b"".join(hashes))


class TileTree:
    """Reads subtrees out of tiles; implements ``proofs.NodeReader``.

    Args:
        read: the hashes of a tile, given its level and index; at least those of the tree that is asked about.
    """

    def __init__(self, read: Callable[[int, int], Sequence[bytes]]) -> None:
        self._read = read
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    def __call__(self, height: int, index: int) -> bytes:
        """The hash of a complete subtree.

        Raises:
            LogFormatInvalid: the tile has fewer hashes than the tree needs.
        """
        level, rest = divmod(height, HEIGHT)
        first = index << rest
        number, start = divmod(first, WIDTH)
        tile = self._tiles.get((level, number))
        if tile is None:
            tile = self._tiles[level, number] = self._read(level, number)
        hashes = tile[start : start + (1 << rest)]
        if len(hashes) != 1 << rest:
            raise LogFormatInvalid(f"expected more hashes in tile {number} of level {level}, got {len(tile)}")
        return tile_hash(hashes)

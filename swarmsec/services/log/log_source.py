"""A log as somebody outside sees it: a checkpoint, tiles and entry bundles; and verifying all of it from these alone.

The same words serve a store of our own, a directory that was exported, and a server that is asked for its ``/log/``.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from swarmsec.audit.chain import ChainState, StoredEntry, verify_chain
from swarmsec.audit.checkpoints import Checkpoint, open_checkpoint
from swarmsec.audit.entry import leaf_hash
from swarmsec.audit.errors import CheckpointInvalid, EntryInvalid, LogFormatInvalid
from swarmsec.audit.notes import SignedNote, VerifierKey
from swarmsec.audit.tiles import (
    WIDTH,
    Tile,
    TileTree,
    bundles_of,
    parse_bundle,
    parse_tile,
    tile_hash,
    tiles_of,
    width_at,
)


class LogSource(Protocol):
    """Where a log's public files come from."""

    def checkpoint(self) -> bytes:
        """The newest signed checkpoint."""
        ...

    def read(self, tile: Tile) -> bytes | None:
        """A tile or entry bundle; None where it was pruned or is not there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """What was found whole."""

    checkpoint: Checkpoint
    note: SignedNote
    pruned: int
    """How many entries, from the first, are there by their hashes alone."""
    steps: tuple[int, ...] = ()
    """Entries whose clock was behind that of the entry before."""


def read_hashes(source: LogSource, tile: Tile) -> list[bytes]:
    """The hashes of a tile.

    Raises:
        EntryInvalid: the tile is not there.
        LogFormatInvalid: it is of another length.
    """
    data = source.read(tile)
    if data is None:
        first = tile.first if tile.level == 0 else None
        raise EntryInvalid(f"expected {tile.path}, got nothing: hashes of the log are missing", seq=first)
    return parse_tile(data, tile.width)


def tree_of(source: LogSource, size: int) -> TileTree:
    """The tree of a log of a size, read through its tiles."""

    def read(level: int, index: int) -> Sequence[bytes]:
        return read_hashes(source, Tile(level=level, index=index, width=width_at(size, level, index)))

    return TileTree(read)


def verify_source(source: LogSource, key: VerifierKey) -> SourceReport:
    """Verify a log from its files alone: every entry, the chain, every tile, and the signed checkpoint over all.

    Args:
        source: the files.
        key: of the log, from elsewhere than the files.

    Raises:
        CheckpointInvalid: the checkpoint is forged, or of another history than the entries.
        EntryInvalid: names the first entry that is wrong.
        LogFormatInvalid: a file is of another form.
    """
    checkpoint, note = open_checkpoint(source.checkpoint(), key)
    chain, pruned = _verify_entries(source, checkpoint.size)
    if not hmac.compare_digest(chain.tree.root(), checkpoint.root):
        raise CheckpointInvalid(
            f"the {checkpoint.size} entries are not those of the checkpoint that was signed: the log was rewritten"
        )
    _verify_upper_tiles(source, checkpoint.size)
    return SourceReport(checkpoint=checkpoint, note=note, pruned=pruned, steps=tuple(chain.steps))


def entries_of(source: LogSource, size: int) -> Iterator[tuple[Tile, list[bytes] | None]]:
    """Every bundle's entries; None for a bundle that was pruned.

    Raises:
        LogFormatInvalid: a bundle is of another form.
    """
    for bundle in bundles_of(size):
        data = source.read(bundle)
        yield bundle, None if data is None else parse_bundle(data, bundle.width)


def _verify_entries(source: LogSource, size: int) -> tuple[ChainState, int]:
    chain, pruned = ChainState(), 0
    for bundle, entries in entries_of(source, size):
        hashes = read_hashes(source, Tile(level=0, index=bundle.index, width=bundle.width))
        if entries is None:
            if pruned != chain.entries or bundle.width < WIDTH:
                # Only whole bundles are pruned, and nothing before them is left.
                raise EntryInvalid(f"log entry {chain.entries}: expected its bundle, got none", seq=chain.entries)
            _pass_over(chain, hashes)
            pruned = chain.entries
            continue
        stored = zip(entries, hashes, strict=True)
        chain = verify_chain(
            (StoredEntry(seq=bundle.first + at, data=data, leaf_hash=leaf) for at, (data, leaf) in enumerate(stored)),
            chain,
        )
    return chain, pruned


def _pass_over(chain: ChainState, hashes: Sequence[bytes]) -> None:
    """Entries whose content was pruned: their hashes stand for them."""
    for leaf in hashes:
        chain.tree.append(leaf)
        chain.entries, chain.head = chain.entries + 1, leaf


def _verify_upper_tiles(source: LogSource, size: int) -> None:
    """Hold every tile above level 0 against those below it."""
    for tile in tiles_of(size):
        if not tile.level:
            continue
        for at, kept in enumerate(read_hashes(source, tile)):
            below = Tile(level=tile.level - 1, index=tile.first + at)
            if not hmac.compare_digest(tile_hash(read_hashes(source, below)), kept):
                raise LogFormatInvalid(f"{tile.path} does not follow from {below.path}")


def verify_lines(lines: Iterable[bytes], hashes: Sequence[bytes]) -> ChainState:
    """Verify exported lines: the chain of entries, after the hashes of those that were pruned.

    Raises:
        EntryInvalid: names the first entry that is wrong.
    """
    chain = ChainState()
    _pass_over(chain, hashes)
    first = chain.entries
    stored = (StoredEntry(seq=first + at, data=data, leaf_hash=leaf_hash(data)) for at, data in enumerate(lines))
    return verify_chain(stored, chain)

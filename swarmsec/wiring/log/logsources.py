"""Where a log's public files come from: a store of ours, a directory, or a server's ``/log/``."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from swarmsec.audit.errors import EntryInvalid, LogFormatInvalid
from swarmsec.audit.notes import MAX_NOTE_BYTES, VerifierKey
from swarmsec.audit.tiles import WIDTH, Tile, encode_bundle
from swarmsec.errors import NotFound, Unavailable
from swarmsec.openedfile import open_to_read
from swarmsec.services.log.log_ports import LogTransaction
from swarmsec.services.log.prove_entries import present_key
from swarmsec.services.log.prune_records import pruned_below

CHECKPOINT: Final = "checkpoint"
KEY: Final = "log.vkey"
ENTRIES: Final = "entries.jsonl"
PRUNED: Final = "pruned.hashes"
TILES: Final = "tile"
MAX_FILE: Final = WIDTH * (65_535 + 2)
_MAX_KEY: Final = 8192
_EXPORT: Final = "exported files are made with: swarmsec audit export --format tiles --out DIRECTORY"


class StoredLog:
    """A log in a store, as one transaction sees it.

    Args:
        transaction: a reading one.
    """

    def __init__(self, transaction: LogTransaction) -> None:
        self._transaction = transaction
        self.key = present_key(transaction)
        newest = transaction.checkpoints.newest(self.key.name)
        if newest is None:
            raise NotFound(
                "no signed checkpoint exists yet", hint="one is made when a command opens the keys and writes"
            )
        self._note = newest.note
        self._size = newest.size
        self._below = pruned_below(transaction)

    def checkpoint(self) -> bytes:
        """The newest signed checkpoint."""
        return self._note

    def read(self, tile: Tile) -> bytes | None:
        """A tile or entry bundle, in the tree of the checkpoint or an earlier one."""
        if tile.level is None:
            return self._bundle(tile)
        end = (tile.first + tile.width) << (8 * tile.level)
        if end > self._size:
            return None
        return b"".join(self._transaction.tree.at(self._size).tile(tile.level, tile.index)[: tile.width])

    def _bundle(self, tile: Tile) -> bytes | None:
        end = tile.first + tile.width
        if end > self._size or end <= self._below:
            return None
        entries: list[bytes] = []
        for stored in self._transaction.log_entries.since(tile.first):
            if stored.seq >= end:
                break
            if not stored.data:
                raise EntryInvalid(f"log entry {stored.seq}: expected its content, got none", seq=stored.seq)
            entries.append(stored.data)
        return encode_bundle(entries)


class ExportedLog:
    """A log in a directory in the layout of C2SP ``tlog-tiles``.

    Args:
        directory: as ``audit export --format tiles`` wrote it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def checkpoint(self) -> bytes:
        """The signed checkpoint.

        Raises:
            NotFound: there is none; the export was not finished.
        """
        return read_exported(self._directory / CHECKPOINT, limit=MAX_NOTE_BYTES)

    def read(self, tile: Tile) -> bytes | None:
        """A tile or entry bundle; None where there is no such file."""
        try:
            return read_exported(self._directory / tile.path, limit=MAX_FILE)
        except NotFound:
            return None


class ServedLog:
    """A log behind a server.

    Args:
        fetch: the body of a path below ``/log/``; None for one that is not there.
    """

    def __init__(self, fetch: Callable[[str], bytes | None]) -> None:
        self._fetch = fetch

    def checkpoint(self) -> bytes:
        """The newest signed checkpoint.

        Raises:
            NotFound: the log has none yet.
        """
        note = self._fetch(CHECKPOINT)
        if note is None:
            raise NotFound("the server's log has no signed checkpoint yet")
        return note

    def read(self, tile: Tile) -> bytes | None:
        """A tile or entry bundle."""
        return self._fetch(tile.path)


def read_key(directory: Path) -> VerifierKey:
    """The log's key as it lies beside exported files; whoever wrote the files wrote it too.

    Raises:
        NotFound: it is not there.
        LogFormatInvalid: it is none.
    """
    text = read_exported(directory / KEY, limit=_MAX_KEY).decode("utf-8", "replace")
    return VerifierKey.parse(text.removesuffix("\n"))


def verify_plain(path: Path) -> Path:
    """Refuse what is no plain file in a directory that somebody else filled: reading a pipe would never end.

    Raises:
        NotFound: there is none.
        Unavailable: it is something else.
    """
    if not stat.S_ISREG(mode_of(path)):
        raise Unavailable(f"expected {path} to be a plain file, got something else", hint=_EXPORT)
    return path


def mode_of(path: Path) -> int:
    """The mode of a file or directory.

    Raises:
        NotFound: there is none.
        Unavailable: it cannot be looked at.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"no file {path}", hint=_EXPORT) from None
    except OSError as error:
        raise Unavailable(
            f"{path} could not be read: {error.strerror}", hint="check its name, owner and mode"
        ) from None


def read_exported(path: Path, *, limit: int) -> bytes:
    """A plain file's bytes.

    Raises:
        NotFound, Unavailable, LogFormatInvalid: as ``verify_plain`` and ``read_file``.
    """
    return read_file(verify_plain(path), limit=limit)


def read_file(path: Path, *, limit: int) -> bytes:
    """A file's bytes.

    Raises:
        NotFound: there is none.
        Unavailable: it cannot be read.
        LogFormatInvalid: it is larger than any of its kind.
    """
    try:
        with open_to_read(path) as file:
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"no file {path}") from None
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}", hint="check its owner and mode") from None
    if len(data) > limit:
        raise LogFormatInvalid(f"expected at most {limit} bytes in {path}, got more")
    return data

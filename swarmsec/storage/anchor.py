"""The rollback anchor: a small file outside the home that knows how long the log was.

A home restored from an older copy, or one whose newest entries were cut off, is shorter than its anchor or differs at
the anchor's entry. The file only ever moves forward. Format 2: one JSON object with ``format``, ``store_id``, ``size``
(entries), ``leaf_hash`` of the last one, ``checkpoint`` (the newest that the log signed; older than ``size`` where a
process without the keys wrote last, empty before the first), and ``check`` (SHA-256 over the others, to find damage).
Format 1 had no ``checkpoint`` and is still read. Nothing here keeps anybody from writing another anchor, which is why
it belongs on another mount.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from swarmsec.atomicfile import make_private_directory, write_atomically
from swarmsec.audit.entry import HASH_BYTES
from swarmsec.errors import IntegrityFailure, Unavailable
from swarmsec.openedfile import open_to_read
from swarmsec.storage.log import LogHead

FORMAT: Final = 2
MAX_BYTES: Final = 4096
_MAX_SIZE: Final = 2**53
_MEMBERS: Final = {
    1: frozenset({"format", "store_id", "size", "leaf_hash", "check"}),
    FORMAT: frozenset({"format", "store_id", "size", "leaf_hash", "checkpoint", "check"}),
}
MAX_CHECKPOINT: Final = 2048


class _Known(NamedTuple):
    """What an anchor says."""

    head: LogHead
    checkpoint: bytes


class AnchorFile:
    """The anchor of one store.

    Args:
        path: the file; its directory is made when the first anchor is written.
        store_id: whose anchor it is.
    """

    def __init__(self, path: Path, store_id: str) -> None:
        self.path = path
        self._store_id = store_id
        self._is_swept = False

    def read(self) -> LogHead | None:
        """The newest anchor's head, or None where there is none.

        Raises:
            IntegrityFailure: the file is damaged or another store's.
            Unavailable: it cannot be read.
        """
        known = self._read()
        return None if known is None else known.head

    def read_checkpoint(self) -> bytes:
        """The newest signed checkpoint in the anchor; empty where there is none.

        Raises:
            IntegrityFailure, Unavailable: as ``read``.
        """
        known = self._read()
        return b"" if known is None else known.checkpoint

    def _read(self) -> _Known | None:
        """The anchor, or None where there is none.

        Raises:
            IntegrityFailure: the file is damaged or another store's.
            Unavailable: it cannot be read.
        """
        try:
            with open_to_read(self.path) as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(
                f"the anchor {self.path} could not be read: {error.strerror}", hint="check [anchor] path and its mount"
            ) from None
        return self._parse(data)

    def advance(self, head: LogHead, checkpoint: bytes = b"") -> None:
        """Write a newer anchor; an older or equal one changes nothing.

        Args:
            head: the newest.
            checkpoint: of exactly this head; without it the one that is there stays.

        Raises:
            Unavailable: the file cannot be written.
        """
        with self._writing():
            known = self._read()
            is_newly_signed = known is not None and known.head == head and checkpoint not in {b"", known.checkpoint}
            if known is None or known.head.size < head.size or is_newly_signed:
                kept = checkpoint or (known.checkpoint if known else b"")
                write_atomically(self.path, self._encode(head, kept), mode=0o600)

    def replace(self, head: LogHead) -> None:
        """Write an anchor even if it is older, without a checkpoint: only for an operator who accepted a rollback.

        Raises:
            Unavailable: the file cannot be written.
        """
        with self._writing():
            write_atomically(self.path, self._encode(head, b""), mode=0o600)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            make_private_directory(self.path.parent)
            with self._locked():
                self._remove_leftovers()
                yield
        except OSError as error:
            raise Unavailable(
                f"the anchor {self.path} could not be written: {error.strerror}",
                hint="check [anchor] path, its mount and its free space",
            ) from None

    def _remove_leftovers(self) -> None:
        """Remove what a process that was killed while it wrote has left."""
        if not self._is_swept:
            for leftover in self.path.parent.glob(f".{glob.escape(self.path.name)}.*"):
                leftover.unlink(missing_ok=True)
            self._is_swept = True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(
            self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _encode(self, head: LogHead, checkpoint: bytes) -> bytes:
        members: dict[str, object] = {
            "format": FORMAT,
            "store_id": self._store_id,
            "size": head.size,
            "leaf_hash": head.last_hash.hex(),
            "checkpoint": checkpoint.decode(),
        }
        return json.dumps({**members, "check": _check(members)}).encode() + b"\n"

    def _parse(self, data: bytes) -> _Known:
        damaged = IntegrityFailure(
            f"the anchor {self.path} is damaged or not an anchor of this version",
            hint="if you know why, repeat with --accept-rollback REASON",
        )
        try:
            members = json.loads(data)
        except (ValueError, RecursionError):
            raise damaged from None
        if len(data) > MAX_BYTES:
            raise damaged
        if not isinstance(members, dict) or not _is_known(members):
            raise damaged
        if members.pop("check") != _check(members):
            raise damaged
        head = _head_of(members["size"], members["leaf_hash"])
        checkpoint = members.get("checkpoint", "")
        if head is None or not isinstance(checkpoint, str) or len(checkpoint) > MAX_CHECKPOINT:
            raise damaged
        if members["store_id"] != self._store_id:
            raise IntegrityFailure(
                f"the anchor {self.path} belongs to store {members['store_id']!r:.80}, expected {self._store_id}",
                hint="give each home its own [anchor] path",
            )
        try:
            return _Known(head=head, checkpoint=checkpoint.encode())
        except UnicodeEncodeError:
            raise damaged from None


def _is_known(members: dict[str, object]) -> bool:
    version = members.get("format")
    return type(version) is int and members.keys() == _MEMBERS.get(version)


def _head_of(size: object, leaf_hash: object) -> LogHead | None:
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_SIZE:
        return None
    if not isinstance(leaf_hash, str) or not re.fullmatch(f"[0-9a-f]{{{2 * HASH_BYTES}}}", leaf_hash):
        return None
    return LogHead(size=size, last_hash=bytes.fromhex(leaf_hash))


def _check(members: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()

"""The rollback anchor: a small file outside the home that knows how long the log was.

A home restored from an older copy, or one whose newest entries were cut off, is shorter than its anchor or differs at
the anchor's entry. The file only ever moves forward. Format 1: one JSON object with ``format``, ``store_id``,
``size`` (entries), ``leaf_hash`` of the last one, and ``check`` (SHA-256 over the others, to find damage; it keeps
nobody from writing another anchor, which is why the anchor belongs on another mount).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from swarmsec.atomicfile import write_atomically
from swarmsec.errors import IntegrityFailure, Unavailable
from swarmsec.storage.log import LogHead

FORMAT: Final = 1
MAX_BYTES: Final = 4096


class AnchorFile:
    """The anchor of one store.

    Args:
        path: the file; its directory is made when the first anchor is written.
        store_id: whose anchor it is.
    """

    def __init__(self, path: Path, store_id: str) -> None:
        self.path = path
        self._store_id = store_id

    def read(self) -> LogHead | None:
        """The newest anchor, or None where there is none.

        Raises:
            IntegrityFailure: the file is damaged or another store's.
            Unavailable: it cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(
                f"the anchor {self.path} could not be read: {error.strerror}", hint="check [anchor] path and its mount"
            ) from None
        return self._parse(data)

    def advance(self, head: LogHead) -> None:
        """Write a newer anchor; an older or equal one changes nothing.

        Raises:
            Unavailable: the file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._locked():
                known = self.read()
                if known is None or known.size < head.size:
                    write_atomically(self.path, self._encode(head), mode=0o600)
        except OSError as error:
            raise Unavailable(
                f"the anchor {self.path} could not be written: {error.strerror}",
                hint="check [anchor] path, its mount and its free space",
            ) from None

    def replace(self, head: LogHead) -> None:
        """Write an anchor even if it is older: only for an operator who accepted a rollback."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            write_atomically(self.path, self._encode(head), mode=0o600)

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

    def _encode(self, head: LogHead) -> bytes:
        members = {
            "format": FORMAT,
            "store_id": self._store_id,
            "size": head.size,
            "leaf_hash": head.last_hash.hex(),
        }
        return json.dumps({**members, "check": _check(members)}).encode() + b"\n"

    def _parse(self, data: bytes) -> LogHead:
        damaged = IntegrityFailure(
            f"the anchor {self.path} is damaged or not an anchor of this version",
            hint="if you know why, repeat with --accept-rollback REASON",
        )
        try:
            members = json.loads(data)
            check = members.pop("check")
            head = LogHead(size=int(members["size"]), last_hash=bytes.fromhex(members["leaf_hash"]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise damaged from None
        if members.get("format") != FORMAT or check != _check(members):
            raise damaged
        if members["store_id"] != self._store_id:
            raise IntegrityFailure(
                f"the anchor {self.path} belongs to store {members['store_id']}, expected {self._store_id}",
                hint="give each home its own [anchor] path",
            )
        return head


def _check(members: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()

"""Room for a migration that writes the whole log anew, looked for before the work begins.

On a disk that fills up half-way the migration is undone too, but a large log takes minutes to get there, and the disk
is full for everybody else meanwhile.
"""

from __future__ import annotations

import shutil
from collections.abc import Set
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from swarmsec.storage.database import sqlite_path
from swarmsec.storage.errors import StoreUnwritable

_BEFORE, _AFTER = "core_0001", "core_0002"
_TIMES: Final = 4
"""The new pages and the zeroed old ones go to the write-ahead log, and the new ones from there to the database: 3.5
times what the entries hold, measured with 10,000 to 200,000 of them."""
_BESIDE: Final = 4 << 20
"""What the two files take besides, however short the log."""
_MIB: Final = 1 << 20


def verify_room(connection: Connection, revisions: Set[str]) -> None:
    """Refuse to begin a migration that the disk of a SQLite database has no room for.

    Args:
        connection: to the database.
        revisions: that it is at.

    Raises:
        StoreUnwritable: says how much room it takes.
    """
    path = sqlite_path(connection.engine.url)
    if path is None or _BEFORE not in revisions or _AFTER in revisions:
        return
    needed, free = _needed(connection), _free(path)
    if free < needed:
        raise StoreUnwritable(
            f"the log of this home is to be written anew for this version, which takes {_mebibytes(needed)} MiB of free"
            f" space beside {path}, got {free // _MIB} MiB",
            hint="free space, then repeat the command; nothing is changed yet, and the former version still works",
        )


def _needed(connection: Connection) -> int:
    size = connection.execute(text("SELECT sum(length(data) + length(leaf_hash)) FROM audit_entries")).scalar()
    return _TIMES * int(size or 0) + _BESIDE


def _free(path: Path) -> int:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError as error:
        raise StoreUnwritable(
            f"expected to learn how much space is free beside {path}: {error.strerror}",
            hint="look at the disk or mount of the home",
        ) from None


def _mebibytes(size: int) -> int:
    return -(-size // _MIB)

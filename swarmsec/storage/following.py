"""Following the log: what any process in the home changed since one looked last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Integer, bindparam, select

from swarmsec.audit.decoding import decode_quickly
from swarmsec.audit.entry import parse_entry
from swarmsec.storage.errors import translated
from swarmsec.storage.statements import fetch_all
from swarmsec.storage.store import Store
from swarmsec.storage.tables import audit_entries

BATCH = 2000
_NEW_ENTRIES = (
    select(audit_entries.c.seq, audit_entries.c.data)
    .where(audit_entries.c.seq >= bindparam("size"))
    .order_by(audit_entries.c.seq)
    .limit(bindparam("most", type_=Integer))
)


@dataclass(slots=True, kw_only=True)
class News:
    """What some entries say: rows that changed by table, and the entries themselves."""

    rows: dict[str, set[str]] = field(default_factory=dict)
    entries: list[Mapping[str, object]] = field(default_factory=list)


class LogFollower:
    """Reads new entries.

    Args:
        store: whose log.
        size: how many entries are known already.
    """

    def __init__(self, store: Store, size: int) -> None:
        self._store = store
        self.size = size

    def poll(self) -> News:
        """At most ``BATCH`` new entries; call again while there are some."""
        news, size = News(), self.size
        with translated(), self._store.reading() as transaction:
            found = fetch_all(transaction.connection, _NEW_ENTRIES, {"size": size, "most": BATCH})
        for seq, data in found:
            if data:
                # What was pruned since is too old to be news.
                entry = _members(bytes(data))
                news.entries.append(entry)
                self._note_rows(entry, news)
            size = seq + 1
        # Only now: entries that a failing read began to give come again.
        self.size = size
        return news

    @staticmethod
    def _note_rows(entry: Mapping[str, object], news: News) -> None:
        changes = entry.get("state")
        for change in changes if isinstance(changes, list) else []:
            news.rows.setdefault(str(change[0]), set()).add(str(change[1]))


def _members(data: bytes) -> Mapping[str, object]:
    """An entry's members, the quick way where it can tell them.

    Raises:
        EntryInvalid: it is no entry.
    """
    quick = decode_quickly(data)
    return parse_entry(data) if quick is None else msgspec.to_builtins(quick)

"""Read the log: the entries that a question selects, each checked against its own hash before it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from swarmsec.audit.actions import Action
from swarmsec.audit.chain import StoredEntry, verify_entry
from swarmsec.audit.keyedhash import keyed_hashes_of
from swarmsec.clock import rfc3339
from swarmsec.errors import UsageProblem
from swarmsec.services.log.prune_records import pruned_below
from swarmsec.services.ports import Transaction

_AGO: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuestion:
    """What to select; an empty text selects everything.

    ``since`` is an RFC 3339 time as entries write it. ``actor`` is an id or ``type:id``; ``action`` a whole action or
    the part before its dot; ``target`` the type, id or name of the object; ``hashes`` are the keyed hashes of a value.
    """

    since: str = ""
    actor: str = ""
    action: str = ""
    target: str = ""
    hashes: frozenset[str] = frozenset()

    def matches(self, entry: dict[str, object]) -> bool:
        """Whether an entry is selected."""
        actor, done_to = _members(entry.get("actor")), _members(entry.get("object"))
        action = str(entry["action"])
        return (
            str(entry["time"]) >= self.since
            and self.actor in {"", actor.get("id"), f"{actor.get('type')}:{actor.get('id')}"}
            and self.action in {"", action, action.partition(".")[0]}
            and self.target in {"", done_to.get("type"), done_to.get("id"), done_to.get("name")}
            and (not self.hashes or not self.hashes.isdisjoint(keyed_hashes_of(entry)))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A selected entry: its number, its exact bytes, and its members."""

    seq: int
    data: bytes
    members: dict[str, object]


def parse_since(text: str, *, now_ms: int) -> str:
    """Read ``--since``: an RFC 3339 time, a date, or a time ago such as ``90m`` or ``7d``.

    Args:
        text: as the user wrote it.
        now_ms: the wall clock in milliseconds.

    Returns:
        the time as entries write it.

    Raises:
        UsageProblem: it is none of these.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return rfc3339(max(0, now_ms - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) // timedelta(milliseconds=1)))
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageProblem(
            f"expected a time such as 2026-01-31T12:00:00Z, a date or a time ago such as 7d, got {text!r:.60}"
        ) from None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_action(text: str) -> str:
    """Read ``--action``: an action, or the part before its dot for all of a kind.

    Raises:
        UsageProblem: no action is called that.
    """
    subjects = sorted({action.partition(".")[0] for action in Action})
    if text not in set(Action) and text not in subjects:
        raise UsageProblem(
            f"expected an action such as ca.issue, got {text!r:.60}", hint=f"or all of one: {', '.join(subjects)}"
        )
    return text


def read_log(transaction: Transaction, question: LogQuestion, *, first: int = 0) -> Iterator[LogEntry]:
    """The selected entries from a sequence number on, ascending.

    Raises:
        EntryInvalid: an entry on the way is not what was written.
    """
    return _selected(transaction.log_entries.since(first), question, pruned_below(transaction))


def newest_of_log(transaction: Transaction, question: LogQuestion, limit: int) -> list[LogEntry]:
    """The newest selected entries, at most ``limit`` (from 1), ascending.

    Raises:
        EntryInvalid: an entry on the way is not what was written.
    """
    found: list[LogEntry] = []
    for entry in _selected(transaction.log_entries.newest_first(), question, pruned_below(transaction)):
        found.append(entry)
        if len(found) >= limit:
            break
    return found[::-1]


def _selected(entries: Iterator[StoredEntry], question: LogQuestion, below: int) -> Iterator[LogEntry]:
    for stored in entries:
        if not stored.data and stored.seq < below:
            continue
        members = verify_entry(stored)
        if question.matches(members):
            yield LogEntry(seq=stored.seq, data=stored.data, members=members)


def _members(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}

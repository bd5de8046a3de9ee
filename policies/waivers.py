"""Waivers and attestations: who answers for a finding, or for what only a person can tell, why, and until when.

A waiver names one control and one thing, exactly: there are no patterns, so it cannot come to cover what nobody
looked at. Whether it is in force, and what follows, is ``swarmsec.reports.waiving``'s matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeVar

from policies.controls import CONTROL_ID, kind_fields, sentence_of
from policies.trees import Node, read_fields, read_list, read_text

WAIVER_KIND: Final = "WaiverSet"
MAX_WAIVERS: Final = 256
MAX_DAYS: Final = 365
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_TYPE = re.compile(r"[a-z][a-z-]{0,31}", re.ASCII)
_EXACT = re.compile(r"[^\x00-\x1f*?]{1,256}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SINGLE: Final = frozenset({"home", "swarm"})
"""Of these a report knows one; other things are named."""
Item = TypeVar("Item", "Waiver", "Attestation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One thing of a report: its type, and its name, its id or both; empty where it is not asked for.

    ``cluster`` is the cluster id of the only report that it counts in; empty for any.
    """

    type: str
    name: str = ""
    id: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A failure that somebody answers for.

    Args:
        control: the id of its control; whether there is one, the report says.
        created: the start of the day, Unix seconds; before it, the waiver is not in force.
        expires: the start of the day, Unix seconds; from then on it is not in force.
        ticket: where it was decided; empty for nowhere.
    """

    id: str
    control: str
    scope: Scope
    owner: str
    reason: str
    ticket: str
    created: int
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What a person says of a control that only a person can tell; times as in a waiver.

    Args:
        evidence: SHA-256 of what was looked at, 64 lower-case hex digits.
    """

    id: str
    control: str
    scope: Scope
    owner: str
    statement: str
    evidence: str
    created: int
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverSet:
    """What one file holds, in its order; ids are unique in it."""

    waivers: tuple[Waiver, ...] = ()
    attestations: tuple[Attestation, ...] = ()


def load_waivers(text: bytes, *, source: str = "waivers") -> WaiverSet:
    """Read waivers and attestations.

    Args:
        text: one YAML document of kind ``WaiverSet``.
        source: name of the text in messages.

    Raises:
        InvalidDocument: it is not exactly one, an id is there twice, or one lasts more than 365 days.
    """
    fields = kind_fields(text, source, WAIVER_KIND, optional=frozenset({"waivers", "attestations"}))
    seen: set[str] = set()
    return WaiverSet(
        waivers=_items(fields.get("waivers"), _waiver, seen),
        attestations=_items(fields.get("attestations"), _attestation, seen),
    )


def _items(node: Node | None, read: Callable[[Node], Item], seen: set[str]) -> tuple[Item, ...]:
    found = []
    for child in () if node is None else read_list(node, maximum=MAX_WAIVERS):
        item = read(child)
        if item.id in seen:
            raise child.place.refusal(f"expected each id once, got {item.id} twice")
        seen.add(item.id)
        found.append(item)
    return tuple(found)


def _waiver(node: Node) -> Waiver:
    names = frozenset({"id", "control", "scope", "owner", "reason", "created", "expires"})
    fields = read_fields(node, required=names, optional=frozenset({"ticket"}))
    created, expires = _span(fields["created"], fields["expires"])
    return Waiver(
        id=read_text(fields["id"], pattern=_ID, expected="an id"),
        control=read_text(fields["control"], pattern=CONTROL_ID, expected="the id of a control"),
        scope=_scope(fields["scope"]),
        owner=sentence_of(fields["owner"]),
        reason=sentence_of(fields["reason"]),
        ticket=sentence_of(fields["ticket"]) if "ticket" in fields else "",
        created=created,
        expires=expires,
    )


def _attestation(node: Node) -> Attestation:
    names = frozenset({"id", "control", "scope", "owner", "statement", "evidence", "created", "expires"})
    fields = read_fields(node, required=names)
    created, expires = _span(fields["created"], fields["expires"])
    return Attestation(
        id=read_text(fields["id"], pattern=_ID, expected="an id"),
        control=read_text(fields["control"], pattern=CONTROL_ID, expected="the id of a control"),
        scope=_scope(fields["scope"]),
        owner=sentence_of(fields["owner"]),
        statement=sentence_of(fields["statement"]),
        evidence=read_text(fields["evidence"], pattern=_SHA256, expected="a SHA-256 digest in hex"),
        created=created,
        expires=expires,
    )


def _scope(node: Node) -> Scope:
    fields = read_fields(node, required=frozenset({"type"}), optional=frozenset({"name", "id", "cluster"}))
    texts = {
        name: read_text(field, pattern=_EXACT, expected="a name or an id without * and ?")
        for name, field in fields.items()
        if name != "type"
    }
    kind = read_text(fields["type"], pattern=_TYPE, expected="a type of thing")
    if kind not in _SINGLE and not {"name", "id"} & texts.keys():
        raise node.place.refusal(f"expected the name or the id of one {kind}, got neither")
    return Scope(type=kind, **texts)


def _span(first: Node, last: Node) -> tuple[int, int]:
    created, expires = _day(first), _day(last)
    if not timedelta() < expires - created <= timedelta(days=MAX_DAYS):
        raise last.place.refusal(f"expected an expiry within {MAX_DAYS} days after created, got {expires:%Y-%m-%d}")
    return int(created.timestamp()), int(expires.timestamp())


def _day(node: Node) -> datetime:
    text = read_text(node, pattern=_DATE, expected="a date such as 2027-01-31")
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        raise node.place.refusal(f"expected a date such as 2027-01-31, got {text}") from None

"""Revocations, and which of them the next list holds. How a list is written is ``ca.revocation``'s."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from itertools import pairwise
from operator import attrgetter
from typing import Final

from ca.errors import InvalidRequest
from ca.profiles import Validity

MAX_ENTRIES = 1_000_000
MAX_LIST_LIFE = timedelta(days=366)
"""The longest a list is valid; whoever can replay one hides later revocations until it ends."""
_MAX_NUMBER_BITS = _MAX_SERIAL_BITS = 159
"""RFC 5280, sections 4.1.2.2 and 5.2.3: at most 20 octets, the first bit of which is the sign."""


class Reason(IntEnum):
    """Why a certificate was revoked (RFC 5280, section 5.3.1).

    certificateHold and removeFromCRL are left out: nothing here takes a revocation back.
    """

    UNSPECIFIED = 0
    KEY_COMPROMISE = 1
    CA_COMPROMISE = 2
    AFFILIATION_CHANGED = 3
    SUPERSEDED = 4
    CESSATION_OF_OPERATION = 5
    PRIVILEGE_WITHDRAWN = 9

    @property
    def word(self) -> str:
        """Its name in RFC 5280, such as ``keyCompromise``."""
        return _WORDS[self]


_WORDS: Final = {
    Reason.UNSPECIFIED: "unspecified",
    Reason.KEY_COMPROMISE: "keyCompromise",
    Reason.CA_COMPROMISE: "cACompromise",
    Reason.AFFILIATION_CHANGED: "affiliationChanged",
    Reason.SUPERSEDED: "superseded",
    Reason.CESSATION_OF_OPERATION: "cessationOfOperation",
    Reason.PRIVILEGE_WITHDRAWN: "privilegeWithdrawn",
}
_BY_WORD: Final = {word: reason for reason, word in _WORDS.items()}


def parse_reason(word: str) -> Reason:
    """Read a reason by its name in RFC 5280, letter for letter.

    Raises:
        InvalidRequest: it is none of those that are used here.
    """
    try:
        return _BY_WORD[word]
    except KeyError:
        expected = ", ".join(_BY_WORD)
        raise InvalidRequest(f"expected a reason among {expected}, got {word!r:.40}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One entry of a list.

    Args:
        serial: of the revoked certificate.
        revoked_at: when it was revoked, UTC, whole seconds.
        reason: why.

    Raises:
        InvalidRequest: for a serial or a time that no list can hold.
    """

    serial: int
    revoked_at: datetime
    reason: Reason

    def __post_init__(self) -> None:
        if not 0 < self.serial < 1 << _MAX_SERIAL_BITS:
            raise InvalidRequest(f"expected a positive serial of at most {_MAX_SERIAL_BITS} bits")
        if self.revoked_at.tzinfo is not UTC or self.revoked_at.microsecond or self.revoked_at.year < 1950:
            raise InvalidRequest("expected a revocation in UTC, of whole seconds, from 1950 on")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedCertificate:
    """A revocation together with the end of the certificate's life, UTC, by which its entry can go."""

    revocation: Revocation
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """What a list says.

    Args:
        number: cRLNumber.
        validity: thisUpdate and nextUpdate.
        entries: by ascending serial, each serial once.
    """

    number: int
    validity: Validity
    entries: tuple[Revocation, ...]


def entries_to_list(
    revoked: Iterable[RevokedCertificate], *, this_update: datetime, previous_update: datetime | None
) -> tuple[Revocation, ...]:
    """Choose the entries of the next list.

    An entry stays until it has been on a list issued after its certificate ended (RFC 5280, section 3.3). Whether it
    has been is told from the times alone.

    Args:
        revoked: every revocation ever made.
        this_update: thisUpdate of the list to be made, UTC.
        previous_update: thisUpdate of the list before, UTC; None for the first list.

    Returns:
        the entries by ascending serial.
    """
    if previous_update is None:
        return by_serial(one.revocation for one in revoked)
    # NOTE: after a clock that ran ahead, the previous list is later than this one. Its time says nothing of what has
    # ended, and an entry that is left out too early makes a revoked certificate good again.
    listed_until = min(previous_update, this_update)
    # What happened in the very second of the previous list may not have been on it.
    return by_serial(one.revocation for one in revoked if max(one.not_after, one.revocation.revoked_at) >= listed_until)


def by_serial(entries: Iterable[Revocation]) -> tuple[Revocation, ...]:
    """Entries in the order of a list."""
    return tuple(sorted(entries, key=attrgetter("serial")))


def verify_bounds(wanted: RevocationList) -> RevocationList:
    """Return what a list shall say if a list can say it.

    Raises:
        InvalidRequest: naming what is out of range, or that a serial occurs twice.
    """
    if not 0 <= wanted.number < 1 << _MAX_NUMBER_BITS:
        raise InvalidRequest(f"expected a list number of 0 to {_MAX_NUMBER_BITS} bits")
    if wanted.validity.not_after - wanted.validity.not_before > MAX_LIST_LIFE:
        raise InvalidRequest(f"expected a next list within {MAX_LIST_LIFE.days} days")
    if len(wanted.entries) > MAX_ENTRIES:
        raise InvalidRequest(f"expected at most {MAX_ENTRIES} revocations, got {len(wanted.entries)}")
    if any(one.serial >= other.serial for one, other in pairwise(wanted.entries)):
        raise InvalidRequest("expected every serial once, in ascending order")
    return wanted

"""Certificates to be made, those of a group together: when they begin and end, serial numbers, signatures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from cryptography import x509

from ca.identity import NodeIdentity
from ca.issuing import LeafOrder, issue_leaves, serial_from
from ca.profiles import BACKDATE, MIN_LIFETIME, Profile, Validity, validity
from ca.serials import SERIAL_BYTES
from swarmsec.clock import Clock, unix_seconds
from swarmsec.services.ca.authority import Authority


class Order(NamedTuple):
    """A certificate to be made, as ``ca.leaves.LeafOrder`` has it but for what a group has in common."""

    profile: Profile
    subject: NodeIdentity | x509.Name
    spki_der: bytes
    hosts: Sequence[str]


class Signed(NamedTuple):
    """A certificate that was made, DER, and what it was made of."""

    leaf: LeafOrder
    der: bytes


def sign_orders(clock: Clock, authority: Authority, orders: Sequence[Order]) -> list[Signed]:
    """Sign certificates by the root that signs now, from now on, for as long as the settings say.

    Chance is asked once for all: each system call gives other threads a turn, which costs more than the bytes.
    """
    issuer = authority.issuer
    span = validity_at(unix_seconds(clock), authority.lifetime, issuer.not_after)
    drawn = clock.random(SERIAL_BYTES * len(orders))
    starts = range(0, len(drawn), SERIAL_BYTES)
    leaves = [
        LeafOrder(issuer, *order, span, serial_from(drawn[start : start + SERIAL_BYTES]))
        for order, start in zip(orders, starts, strict=True)
    ]
    return [Signed(leaf, der) for leaf, der in zip(leaves, issue_leaves(leaves), strict=True)]


@lru_cache(maxsize=16)
def validity_at(unix: int, lifetime: timedelta, issuer_not_after: datetime) -> Validity:
    """When a leaf begins and ends that is issued in a second, in which many others may be.

    Args:
        unix: the second.
        lifetime: below an hour only where the settings allow it, and then without backdate.
        issuer_not_after: the end of the issuer's certificate, aware of its zone.
    """
    is_short = lifetime < MIN_LIFETIME
    return validity(
        datetime.fromtimestamp(unix, UTC),
        lifetime,
        timedelta(0) if is_short else BACKDATE,
        issuer_not_after=issuer_not_after,
        allow_short=is_short,
    )


@lru_cache(maxsize=16)
def unix_of(span: Validity) -> tuple[int, int]:
    """The first and the last second, as records have them."""
    return int(span.not_before.timestamp()), int(span.not_after.timestamp())

"""What each kind of certificate contains, and how long it lives.

A node's certificate differs from SwarmKit's own in one point: its key usage is digitalSignature alone, because
keyEncipherment is wrong for elliptic-curve keys (RFC 8813, section 3) and no Docker Engine asks for it. Roots carry no
pathLenConstraint, as a rotation puts a cross-signed root below them. Names are not constrained in roots: Go refuses a
critical directoryName constraint.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import assert_never

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ca.errors import InvalidRequest
from ca.identity import NodeRole

DEFAULT_LIFETIME = timedelta(days=90)
MIN_LIFETIME = timedelta(hours=1)
MIN_SHORT_LIFETIME = timedelta(minutes=2)
"""The least that ``allow_short`` permits; SwarmKit's renewal counts whole minutes and needs two."""
BACKDATE = timedelta(hours=1)
"""How far back certificates begin, for clocks that run late; the only clock protection nodes have."""
MAX_BACKDATE = timedelta(days=1)
ROOT_LIFETIME = timedelta(seconds=630_720_000)
"""20 years of 365 days, as SwarmKit's roots."""
CROSS_LIFETIME = timedelta(days=7)
"""The most that a cross-signed root lives, backdating included: one rotation, no longer."""


class Profile(StrEnum):
    """The kinds of certificates; a closed choice."""

    SWARM_WORKER = "swarm-worker"
    SWARM_MANAGER = "swarm-manager"
    SERVER = "server"
    CLIENT = "client"
    ROOT = "root"

    @property
    def role(self) -> NodeRole | None:
        """The role of the node, for the profiles of nodes."""
        match self:
            case Profile.SWARM_WORKER:
                return NodeRole.WORKER
            case Profile.SWARM_MANAGER:
                return NodeRole.MANAGER
            case Profile.SERVER | Profile.CLIENT | Profile.ROOT:
                return None
            case _:
                assert_never(self)


def swarm_node(role: NodeRole) -> Profile:
    """The profile of a node in a role."""
    match role:
        case NodeRole.WORKER:
            return Profile.SWARM_WORKER
        case NodeRole.MANAGER:
            return Profile.SWARM_MANAGER
        case _:
            assert_never(role)


@lru_cache(maxsize=len(Profile))
def extensions_of(profile: Profile) -> tuple[x509.Extension[x509.ExtensionType], ...]:
    """The extensions that are the same in every certificate of a profile, in the order they are written.

    SKI follows them, then AKI and subjectAltName in all but roots; these depend on keys and names.
    """
    match profile:
        case Profile.ROOT:
            return (_key_usage(is_ca=True), _extension(x509.BasicConstraints(ca=True, path_length=None), critical=True))
        case Profile.SWARM_WORKER | Profile.SWARM_MANAGER:
            purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        case Profile.SERVER:
            purposes = [ExtendedKeyUsageOID.SERVER_AUTH]
        case Profile.CLIENT:
            purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        case _:
            assert_never(profile)
    return (
        _key_usage(is_ca=False),
        _extension(x509.ExtendedKeyUsage(purposes), critical=False),
        _extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """The first and the last second of a certificate's life, in UTC.

    Raises:
        InvalidRequest: for times that are not in UTC, not whole seconds, before 1950 or in no order.
    """

    not_before: datetime
    not_after: datetime

    def __post_init__(self) -> None:
        for moment in (self.not_before, self.not_after):
            if moment.tzinfo is not UTC or moment.microsecond or moment.year < 1950:
                raise InvalidRequest("expected times in UTC, of whole seconds, from 1950 on")
        if self.not_before >= self.not_after:
            raise InvalidRequest("expected a validity that ends after it begins")


def validity(
    now: datetime,
    lifetime: timedelta = DEFAULT_LIFETIME,
    backdate: timedelta = BACKDATE,
    *,
    issuer_not_after: datetime,
    allow_short: bool = False,
) -> Validity:
    """When a leaf certificate begins and ends.

    It begins ``backdate`` before now, rounded down to the minute, and ends ``lifetime`` after this minute, but never
    after its issuer. A fresh root may be younger than the backdated leaf; Go, OpenSSL and cryptography accept that.

    A short lifetime, below an hour, begins with the second of its issue: backdating would be most of its life, and
    rounding to the minute would take away up to half of the shortest.

    Args:
        now: time of issue, aware of its zone.
        lifetime: 1 h up to the lifetime of a root; from 2 min on with ``allow_short``.
        backdate: not negative, at most a day; must be 0 for a short lifetime.
        issuer_not_after: the end of the issuer's certificate, aware of its zone.
        allow_short: whether less than 1 h can be meant. A node whose clock runs late does not accept such a
            certificate when it arrives.

    Raises:
        InvalidRequest: for values out of range, or when the issuer has no time left.
    """
    return _validity(now, lifetime, backdate, issuer_not_after, allow_short)


@lru_cache(maxsize=64)
def _validity(
    now: datetime, lifetime: timedelta, backdate: timedelta, issuer_not_after: datetime, allow_short: bool
) -> Validity:
    """Certificates that are issued in the same second cost one calculation."""
    utc_now, issuer_end = _as_utc(now), _as_utc(issuer_not_after)
    _verify_lifetime(lifetime, backdate, allow_short=allow_short)
    if issuer_end <= utc_now:
        raise InvalidRequest(
            f"expected an issuer with time left, got one that ended at {issuer_end.isoformat()}",
            hint="rotate the root with 'swarmsec ca rotate'",
        )
    if lifetime < MIN_LIFETIME:
        second = utc_now.replace(microsecond=0)
        return _between(second, second, lifetime, issuer_end)
    return _between(_backdated(utc_now, backdate), utc_now.replace(second=0, microsecond=0), lifetime, issuer_end)


def root_validity(now: datetime, lifetime: timedelta = ROOT_LIFETIME, backdate: timedelta = BACKDATE) -> Validity:
    """When a root begins and ends: ``lifetime`` is its whole life, backdating included, as with SwarmKit.

    Raises:
        InvalidRequest: for values out of range, as ``validity``.
    """
    if not MIN_LIFETIME + MAX_BACKDATE <= lifetime <= 2 * ROOT_LIFETIME:
        raise InvalidRequest(f"expected a root's lifetime of 25 h to 40 years, got {lifetime}")
    not_before = _backdated(now, backdate)
    return Validity(not_before=not_before, not_after=_later(not_before, lifetime).replace(microsecond=0))


def cross_validity(now: datetime, *, issuer_not_after: datetime, root_not_after: datetime) -> Validity:
    """When a cross-signed root begins and ends: seven days in all, and never after either of the two roots.

    Args:
        now: time of issue, aware of its zone.
        issuer_not_after: the end of the old root, aware of its zone.
        root_not_after: the end of the new root, aware of its zone.

    Raises:
        InvalidRequest: as ``validity``.
    """
    end = min(_as_utc(issuer_not_after), _as_utc(root_not_after))
    return validity(now, CROSS_LIFETIME - BACKDATE, BACKDATE, issuer_not_after=end)


def _between(not_before: datetime, begin: datetime, lifetime: timedelta, issuer_end: datetime) -> Validity:
    not_after = min(_later(begin, lifetime), issuer_end).replace(microsecond=0)
    return Validity(not_before=not_before, not_after=not_after)


def _verify_lifetime(lifetime: timedelta, backdate: timedelta, *, allow_short: bool) -> None:
    least, words = (MIN_SHORT_LIFETIME, "2 min") if allow_short else (MIN_LIFETIME, "1 h")
    if not least <= lifetime <= ROOT_LIFETIME:
        raise InvalidRequest(f"expected a lifetime of {words} to 20 years, got {lifetime}")
    if lifetime < MIN_LIFETIME and backdate:
        raise InvalidRequest(f"expected no backdate for a lifetime below 1 h, got {backdate}")


def _backdated(now: datetime, backdate: timedelta) -> datetime:
    if not timedelta(0) <= backdate <= MAX_BACKDATE:
        raise InvalidRequest(f"expected a backdate of 0 s to 1 day, got {backdate}")
    return _floor_minute(_later(_as_utc(now), -backdate))


def _later(moment: datetime, distance: timedelta) -> datetime:
    try:
        return moment + distance
    except OverflowError as error:
        raise InvalidRequest("expected times that a certificate can hold") from error


def _floor_minute(moment: datetime) -> datetime:
    return _as_utc(moment).replace(second=0, microsecond=0)


def _as_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InvalidRequest("expected a time with its zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidRequest("expected times that a certificate can hold") from error


def _extension(value: x509.ExtensionType, *, critical: bool) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)


def _key_usage(*, is_ca: bool) -> x509.Extension[x509.ExtensionType]:
    """Critical: keyCertSign and cRLSign for an authority, digitalSignature for everybody else."""
    usage = x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )
    return _extension(usage, critical=True)

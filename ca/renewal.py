"""When a certificate is due for renewal, in SwarmKit's window.

A node renews at a random whole minute in [0.5, 0.8) of its certificate's whole life, backdating included (swarmkit,
ca/renewer.go), so that nodes that joined together do not come back together. Only the share of the window is random;
it is an argument here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ca.errors import InvalidRequest

_MINUTE = timedelta(minutes=1)


def renewal_time(not_before: datetime, not_after: datetime, fraction: float) -> datetime:
    """The moment at which a certificate is renewed.

    Args:
        not_before: first second of the certificate, aware of its zone.
        not_after: its last second, aware of its zone.
        fraction: where in the window, 0 up to but not 1; drawn once per certificate.

    Returns:
        whole minutes after ``not_before``. A certificate of less than two minutes is due as soon as it begins.

    Raises:
        InvalidRequest: for times without zone, a life that is not one, or a fraction out of range.
    """
    if not 0 <= fraction < 1:
        raise InvalidRequest(f"expected a fraction from 0 to below 1, got {fraction}")
    earliest, end = _window(not_before, not_after)
    return not_before + (earliest + int(fraction * max(end - earliest, 1))) * _MINUTE


def is_due(not_before: datetime, not_after: datetime, fraction: float, *, now: datetime) -> bool:
    """Whether a certificate shall be renewed now; one that has expired is due as well.

    Args:
        not_before: as for ``renewal_time``.
        not_after: as for ``renewal_time``.
        fraction: as for ``renewal_time``.
        now: aware of its zone.

    Raises:
        InvalidRequest: as ``renewal_time``.
    """
    return renewal_time(not_before, not_after, fraction) <= _with_zone(now)


def is_overdue(not_before: datetime, not_after: datetime, *, now: datetime) -> bool:
    """Whether the window has passed, so that whoever holds the certificate has failed to renew it.

    Args:
        not_before: as for ``renewal_time``.
        not_after: as for ``renewal_time``.
        now: aware of its zone.

    Raises:
        InvalidRequest: as ``renewal_time``.
    """
    _, end = _window(not_before, not_after)
    # A certificate of less than two minutes has an empty window; the minute it begins in is left to it.
    return not_before + max(end, 1) * _MINUTE <= _with_zone(now)


def _window(not_before: datetime, not_after: datetime) -> tuple[int, int]:
    """The first minute of the window and the one it ends before, counted from the certificate's begin."""
    life = _with_zone(not_after) - _with_zone(not_before)
    if life <= timedelta(0):
        raise InvalidRequest("expected a certificate that ends after it begins")
    # Whole numbers, where SwarmKit multiplies floating point: 0.8 of some lives would lose their last minute.
    return life // (2 * _MINUTE), 4 * life // (5 * _MINUTE)


def _with_zone(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InvalidRequest("expected a time with its zone")
    return moment

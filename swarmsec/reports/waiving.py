"""What waivers and attestations change in a report, and what has to be said of them.

A waived failure stays in the report, with who answers for it. A waiver changes only what failed: what could not be
read, or was not looked at, stays as it is. Nobody can waive that our own log is whole. The files say who, why and
until when (``policies.waivers``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from policies.waivers import Attestation, Scope, Waiver, WaiverSet
from swarmsec.reports.model import Evidence, Report, Result, State

LOG_CONTROL: Final = "OWN-9"
"""Whether the log and the store are whole; every other result rests on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """A report after its waivers.

    Args:
        expired: the ids of waivers whose time is over, in the order of the file.
    """

    report: Report
    expired: tuple[str, ...]


def apply_waivers(report: Report, given: WaiverSet, known: Iterable[str], *, now: int) -> Waived:
    """Close what somebody answers for.

    Args:
        report: as the checks made it.
        given: waivers and attestations.
        known: the ids of all controls.
        now: Unix seconds, of the clock; not the date that the report bears.
    """
    items: tuple[Waiver | Attestation, ...] = (*given.waivers, *given.attestations)
    matched = {item.id: [r for r in report.results if _is_about(item, r, report.cluster_id)] for item in items}
    controls = frozenset(known)
    chosen = frozenset(result.control.id for result in report.results)
    notices = [
        notice
        for item in items
        for notice in _notices(item, matched[item.id], controls=controls, chosen=chosen, now=now)
    ]
    results = tuple(_closed(result, given, matched, now) for result in report.results)
    return Waived(
        report=replace(report, results=results, notices=(*report.notices, *notices)),
        expired=tuple(waiver.id for waiver in given.waivers if waiver.expires <= now),
    )


def _is_about(item: Waiver | Attestation, result: Result, cluster_id: str) -> bool:
    scope = item.scope
    return (
        item.control == result.control.id
        and scope.type == result.resource.type
        and scope.name in {"", result.resource.name}
        and scope.id in {"", result.resource.id}
        and scope.cluster in {"", cluster_id}
    )


def _closed(result: Result, given: WaiverSet, matched: Mapping[str, Sequence[Result]], now: int) -> Result:
    if result.state is State.FAIL and result.control.id != LOG_CONTROL:
        waivers = [item for item in given.waivers if result in matched[item.id] and item.created <= now]
        # The one that lasts longest: with it the failure is a failure again.
        valid = max((item for item in waivers if now < item.expires), key=lambda item: item.expires, default=None)
        return _waived(result, valid) if valid else _with_expired(result, waivers)
    if result.state is State.MANUAL:
        for item in given.attestations:
            if result in matched[item.id] and item.created <= now < item.expires:
                return _attested(result, item)
    return result


def _waived(result: Result, waiver: Waiver) -> Result:
    ticket = f" ({waiver.ticket})" if waiver.ticket else ""
    said = f"{waiver.owner} answers for it until {_day(waiver.expires)}: {waiver.reason}{ticket}"
    return replace(
        result,
        state=State.WAIVED,
        reason=_joined(result.reason, said),
        waiver_id=waiver.id,
        waiver_expires=waiver.expires,
    )


def _with_expired(result: Result, waivers: Sequence[Waiver]) -> Result:
    if not waivers:
        return result
    newest = max(waivers, key=lambda item: item.expires)
    said = f"waiver {newest.id} of {newest.owner} expired on {_day(newest.expires)}"
    return replace(result, reason=_joined(result.reason, said))


def _attested(result: Result, item: Attestation) -> Result:
    return replace(
        result,
        state=State.PASS,
        observed=f"attested by {item.owner} on {_day(item.created)}: {item.statement}",
        reason=f"counts until {_day(item.expires)}",
        evidence=(Evidence(source="attestation", query=item.id, sha256=item.evidence),),
    )


def _notices(
    item: Waiver | Attestation,
    matched: Sequence[Result],
    *,
    controls: frozenset[str],
    chosen: frozenset[str],
    now: int,
) -> Iterable[str]:
    word = "waiver" if isinstance(item, Waiver) else "attestation"
    if item.control not in controls:
        yield f"{word} {item.id} names {item.control}, which is no control"
    elif isinstance(item, Waiver) and item.control == LOG_CONTROL:
        yield f"waiver {item.id} changes nothing: nobody can waive {LOG_CONTROL}"
    elif item.control in chosen and not matched:
        yield f"{word} {item.id} is about {_named(item.scope)}, which {item.control} found nowhere"
    elif matched and not any(result.state in {State.FAIL, State.MANUAL} for result in matched):
        yield f"{word} {item.id} is not needed: {item.control} stands at {matched[0].state.value}"
    if item.expires <= now:
        yield f"{word} {item.id} of {item.owner} expired on {_day(item.expires)}"
    elif item.created > now:
        yield f"{word} {item.id} is not in force before {_day(item.created)}"


def _named(scope: Scope) -> str:
    cluster = f" of cluster {scope.cluster}" if scope.cluster else ""
    return f"{scope.type} {scope.name or scope.id}".strip() + cluster


def _joined(first: str, second: str) -> str:
    return f"{first}; {second}" if first else second


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")

"""What has to be true before a Swarm's root is changed, each point with what was found and what to do about it.

A point that nobody here can look at is named as not checked, together with what would fail: silence would be read as
"good". Only facts come in and findings go out; asking engines and dialling is the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from swarmsec.services.swarm.swarm_records import READY, SwarmNode, SwarmState

ROOT_REMAINS: Final = timedelta(days=365)
"""SwarmKit refuses a root that ends within a year (swarmkit, manager/controlapi/ca_rotation.go)."""
CLOCK_NOTICED: Final = timedelta(seconds=60)
_FIRST_WITH_ALPN: Final = (28,)
_VERSION: Final = re.compile(r"(\d{1,4})\.(\d{1,4})")
_NAMED: Final = 5


class Result(StrEnum):
    """How a point was found."""

    GOOD = "good"
    WARNING = "warning"
    BLOCKER = "blocker"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One point.

    Args:
        check: its name, a word for scripts.
        text: what was found.
        hint: what to do, or what would fail where it was not checked.
    """

    check: str
    result: Result
    text: str
    hint: str = ""

    def members(self) -> dict[str, object]:
        """The finding as JSON members."""
        return {"check": self.check, "result": self.result.value, "text": self.text, "hint": self.hint or None}


def check_nodes(nodes: Sequence[SwarmNode]) -> list[Finding]:
    """Whether every node is there: a rotation waits for one that is not, for ever."""
    away = [node for node in nodes if node.state != READY]
    if not away:
        return [Finding(check="nodes", result=Result.GOOD, text=f"all {len(nodes)} nodes are ready")]
    return [
        Finding(
            check="nodes",
            result=Result.BLOCKER,
            text=f"{names_of(away)} {'is' if len(away) == 1 else 'are'} not ready",
            hint="bring them up, or remove them with: docker node rm NODE; the rotation would wait for ever",
        )
    ]


def check_versions(nodes: Sequence[SwarmNode]) -> list[Finding]:
    """Engine versions that are known to fail once certificates are renewed."""
    known = [(node, version) for node in nodes if (version := version_of(node.engine_version)) is not None]
    findings = []
    old_managers = [node for node, version in known if node.role == "manager" and version < _FIRST_WITH_ALPN]
    new_nodes = [node for node, version in known if version >= _FIRST_WITH_ALPN]
    if old_managers and new_nodes:
        findings.append(
            Finding(
                check="versions",
                result=Result.BLOCKER,
                text=f"managers before Docker 28 ({names_of(old_managers)}) beside engines of 28 and later"
                f" ({names_of(new_nodes)})",
                hint="update the managers first: once their certificates are renewed, newer engines cannot reach them",
            )
        )
    silent = [node for node in nodes if version_of(node.engine_version) is None]
    if silent:
        text, hint = f"{names_of(silent)} did not tell a version", "known traps of versions are not excluded for them"
        findings.append(Finding(check="versions", result=Result.NOT_CHECKED, text=text, hint=hint))
    if not findings:
        told = sorted({f"{version[0]}.{version[1]}" for _, version in known})
        text = f"no known trap in Docker {', '.join(told)}"
        findings.append(Finding(check="versions", result=Result.GOOD, text=text))
    return findings


def check_lock(state: SwarmState) -> list[Finding]:
    """Whether managers are locked."""
    if not state.is_autolocked:
        return [Finding(check="autolock", result=Result.GOOD, text="autolock is off")]
    return [
        Finding(
            check="autolock",
            result=Result.WARNING,
            text="autolock is on: a manager that restarts meanwhile stays out until it is unlocked",
            hint="have the key at hand: docker swarm unlock-key",
        )
    ]


def check_root(not_after: datetime, now: datetime) -> list[Finding]:
    """Whether our root lives as long as SwarmKit asks for."""
    if not_after - now >= ROOT_REMAINS:
        return [Finding(check="root", result=Result.GOOD, text=f"our root counts until {not_after:%Y-%m-%d}")]
    return [
        Finding(
            check="root",
            result=Result.BLOCKER,
            text=f"our root ends on {not_after:%Y-%m-%d}, within a year",
            hint="SwarmKit refuses such a root; make a home with a newer one",
        )
    ]


def check_clock(engine: float | None, now: datetime, backdate: timedelta) -> list[Finding]:
    """Whether the engine's clock lets it accept certificates that begin now.

    Args:
        engine: its clock in Unix seconds; None where it did not tell.
        backdate: how long before now our certificates begin.
    """
    if engine is None:
        hint = "an engine whose clock is behind refuses certificates as not valid yet"
        return [Finding(check="clock", result=Result.NOT_CHECKED, text="the engine did not tell its time", hint=hint)]
    behind = timedelta(seconds=now.timestamp() - engine)
    seconds = round(behind.total_seconds())
    if behind >= backdate:
        text = f"the engine's clock is {seconds} s behind ours"
        hint = f"set the clocks: certificates that begin {round(backdate.total_seconds())} s before now are refused"
        return [Finding(check="clock", result=Result.BLOCKER, text=text, hint=hint)]
    if abs(behind) >= CLOCK_NOTICED:
        text = f"the engine's clock is {abs(seconds)} s {'behind' if seconds > 0 else 'ahead of'} ours"
        return [Finding(check="clock", result=Result.WARNING, text=text, hint="set the clocks")]
    return [Finding(check="clock", result=Result.GOOD, text="the engine's clock agrees with ours")]


def others_not_checked(nodes: Sequence[SwarmNode], url: str, asked: str) -> list[Finding]:
    """What cannot be seen from here: the clocks of other nodes, and what other managers reach.

    Args:
        asked: the id of the engine that answered.
    """
    findings = []
    managers = [node for node in nodes if node.role == "manager" and not node.is_leader]
    if managers:
        findings.append(
            Finding(
                check="reach",
                result=Result.NOT_CHECKED,
                text=f"whether {names_of(managers)} would reach {url} as the leader",
                hint="if not, nobody joins or renews while that manager leads",
            )
        )
    others = [node for node in nodes if node.id != asked]
    if others:
        findings.append(
            Finding(
                check="clock",
                result=Result.NOT_CHECKED,
                text=f"the clocks of {names_of(others)}",
                hint="a node whose clock is too far behind refuses its certificate, and the rotation waits for it",
            )
        )
    return findings


def blockers(findings: Iterable[Finding]) -> list[Finding]:
    """Those that stand against it."""
    return [finding for finding in findings if finding.result is Result.BLOCKER]


def names_of(nodes: Sequence[SwarmNode]) -> str:
    """A few host names, and how many more there are."""
    labels = sorted(node.label for node in nodes)
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return ", ".join(labels[:_NAMED]) + more


def version_of(text: str) -> tuple[int, int] | None:
    """The first two numbers of an engine's version."""
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2])) if found else None

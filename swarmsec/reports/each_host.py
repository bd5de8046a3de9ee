"""How a control is held against hosts: each with fresh facts is judged, and it is said which could not be.

Nothing passes without facts, or with old ones: a node whose agent was silent for an hour is ``not_checked``, and so are
the nodes that have no agent. What an agent could not read is ``error``. An agent of a node that the Swarm does not know
any more counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from swarmsec.reports.checks import not_checked, unreadable
from swarmsec.reports.facts import Facts, HostFact, Json, Unknown, text
from swarmsec.reports.host_report import HostReport, Part
from swarmsec.reports.model import Evidence, Finding, Resource, State

FRESH_SECONDS: Final = 3600
NODES: Final = "/nodes"
MAX_NAMED: Final = 5
Found = TypeVar("Found")
Judge = Callable[[HostFact, HostReport], Iterable[Finding]]


def on_each_host(facts: Facts, expected: str, judge: Judge) -> Iterator[Finding]:
    """Hold every host with fresh facts against a control, and say which could not be."""
    known = _known_nodes(facts)
    hosts = [fact for fact in facts.home.hosts if known is None or any(fact.node in names for names in known)]
    if not hosts:
        raise Unknown(State.NOT_CHECKED, "no agent of a node has reported; see: swarmsec agent --help")
    for fact in hosts:
        yield from (replace(finding, evidence=(_evidence(fact),)) for finding in _of_host(facts, fact, expected, judge))
    with_agent = {fact.node for fact in hosts}
    without = [names[0] for names in known or () if not with_agent & set(names)]
    if without:
        count = f"{len(without)} node{'s' if len(without) != 1 else ''} without an agent"
        yield not_checked(Resource(type="swarm", id="nodes"), "nothing", expected, f"{count}: {some(without)}")


def _of_host(facts: Facts, fact: HostFact, expected: str, judge: Judge) -> Sequence[Finding]:
    age = facts.home.now - fact.last_seen
    if age > FRESH_SECONDS:
        reason = f"its agent last reported {age // 3600} hours ago"
        return [not_checked(node_of(fact), "nothing newer", expected, reason)]
    if fact.report is None:
        return [unreadable(node_of(fact), expected, fact.problem)]
    try:
        return list(judge(fact, fact.report))
    except Unknown as unknown:
        return [unreadable(node_of(fact), expected, unknown.reason)]


def known_part(report: HostReport, name: Part, found: Found | None) -> Found:
    """A part of a report.

    Raises:
        Unknown: the agent could not read it.
    """
    if found is None:
        raise Unknown(State.ERROR, report.problems.get(name, f"the agent did not say: {name}"))
    return found


def names_of(node: Json) -> tuple[str, ...]:
    """What an agent of a node may be called: its host name, or its id in the Swarm."""
    found = (text(node, "Description", "Hostname"), text(node, "ID"))
    return tuple(name for name in found if name) or ("unnamed",)


def node_of(fact: HostFact) -> Resource:
    return Resource(type="node", id=fact.node)


def _evidence(fact: HostFact) -> Evidence:
    return Evidence(source=f"agent of {fact.node}", query="host facts", sha256=fact.sha256)


def _known_nodes(facts: Facts) -> Sequence[tuple[str, ...]] | None:
    """The names of each node of the Swarm; None where no manager said."""
    try:
        return [names_of(node) for node in facts.objects(NODES)]
    except Unknown:
        return None


def some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
